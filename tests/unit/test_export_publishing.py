"""An export appears whole or not at all, and never in place of what is not one."""

import errno
import os
from pathlib import Path

import pytest
from frame.audit.export import publishing
from frame.errors import ExportError, Refused


class Interrupted(BaseException):
    """As Ctrl-C is."""


def half_a_file(target: Path, overwrite: bool, error: BaseException) -> None:
    with publishing.new_file(target, overwrite) as file:
        file.write(b"half")
        raise error


def half_a_folder(target: Path, overwrite: bool, error: BaseException) -> None:
    with publishing.new_folder(target, overwrite) as folder:
        (folder / "manifest.json").write_text("half")
        raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    with publishing.new_file(tmp_path / "new" / "run.jsonl", overwrite=False) as file:
        file.write(b"all")
        assert not (tmp_path / "new" / "run.jsonl").exists()

    assert (tmp_path / "new" / "run.jsonl").read_bytes() == b"all"
    assert names(tmp_path / "new") == ["run.jsonl"]


@pytest.mark.parametrize("error", [Interrupted(), ValueError("no"), KeyboardInterrupt()])
def test_an_interrupted_file_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        half_a_file(tmp_path / "run.jsonl", False, error)

    assert names(tmp_path) == []


def test_an_interrupted_file_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_bytes(b'{"record":"run","old":1}')

    with pytest.raises(Interrupted):
        half_a_file(tmp_path / "run.jsonl", True, Interrupted())

    assert (tmp_path / "run.jsonl").read_bytes() == b'{"record":"run","old":1}'
    assert names(tmp_path) == ["run.jsonl"]


@pytest.mark.parametrize("half", [half_a_file, half_a_folder])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, half) -> None:
    with pytest.raises(ExportError, match="No space left on device"):
        half(tmp_path / "run", False, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    assert names(tmp_path) == []


def test_a_folder_is_there_once_it_is_whole(tmp_path: Path) -> None:
    with publishing.new_folder(tmp_path / "run", overwrite=False) as folder:
        (folder / "manifest.json").write_text("{}")
        assert names(tmp_path) == [folder.name]

    assert names(tmp_path / "run") == ["manifest.json"]
    assert names(tmp_path) == ["run"]


def test_a_folder_replaces_an_export_whole(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("old")
    (tmp_path / "run" / "row.csv").write_text("old")

    with publishing.new_folder(tmp_path / "run", overwrite=True) as folder:
        (folder / "manifest.json").write_text("new")

    assert names(tmp_path / "run") == ["manifest.json"]
    assert names(tmp_path) == ["run"]


def test_an_interrupted_folder_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("old")

    with pytest.raises(Interrupted):
        half_a_folder(tmp_path / "run", True, Interrupted())

    assert (tmp_path / "run" / "manifest.json").read_text() == "old"
    assert names(tmp_path) == ["run"]


def test_something_that_came_to_be_in_the_meantime_is_left(tmp_path: Path) -> None:
    def meanwhile() -> None:
        with publishing.new_file(tmp_path / "run.jsonl", overwrite=False):
            (tmp_path / "run.jsonl").write_bytes(b"another's")

    with pytest.raises(Refused, match="came to be"):
        meanwhile()

    assert (tmp_path / "run.jsonl").read_bytes() == b"another's"
    assert names(tmp_path) == ["run.jsonl"]


def a_file(path: Path) -> None:
    path.write_text("mine")


def a_folder_of_mine(path: Path) -> None:
    path.mkdir()
    (path / "letters").write_text("mine")


def a_link(path: Path) -> None:
    path.with_name("elsewhere").write_text("mine")
    path.symlink_to(path.with_name("elsewhere"))


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


REFUSED = [
    (a_file, False, "is there already"),
    (a_file, True, "is a file and no export"),
    (a_folder_of_mine, False, "is there already"),
    (a_folder_of_mine, True, "no export"),
    (a_link, False, "is a link"),
    (a_link, True, "is a link"),
    (a_dangling_link, True, "is a link"),
]


@pytest.mark.parametrize(("make", "overwrite", "why"), REFUSED)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_there_is_refused_and_left_alone(tmp_path, make, overwrite, why, kind) -> None:
    target = tmp_path / "out"
    make(target)
    before = sorted(os.fspath(path) for path in tmp_path.rglob("*"))

    new = publishing.new_file if kind == "file" else publishing.new_folder
    with pytest.raises(Refused, match=why), new(target, overwrite):
        raise AssertionError("nothing is written")

    assert sorted(os.fspath(path) for path in tmp_path.rglob("*")) == before


def test_a_folder_does_not_replace_a_file_nor_a_file_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()

    with pytest.raises(Refused, match="is a file"), publishing.new_folder(tmp_path / "file", overwrite=True):
        pass
    with (
        pytest.raises(Refused, match="is a folder"),
        publishing.new_file(tmp_path / "folder", overwrite=True),
    ):
        pass

    assert names(tmp_path) == ["file", "folder"]
