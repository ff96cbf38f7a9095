"""An auditor's copy of a store, on a disk that takes no writes."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from frame.audit import database
from frame.errors import TryAgainLater

from tests.integration.attacked import Place
from tests.integration.test_attacks_runtime import small_disk

ROWS = "id\n1\n2\n3\n"


@contextlib.contextmanager
def read_only_copy(place: Place, *ends: str) -> Iterator[str]:
    """The URL of a copy of the store, with the files beside it whose names end so, on a disk that takes no writes."""
    with small_disk(place.folder / "auditor", "20m") as disk:
        for end in ("", *ends):
            copy = shutil.copy(f"{place.folder}/.frame/audit.db{end}", disk)
            Path(copy).chmod(0o444)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        before = sorted(disk.iterdir())
        yield f"sqlite:///{disk}/audit.db"
        assert sorted(disk.iterdir()) == before


def killed(folder: Path) -> Place:
    """A place whose newest commits stand in the write-ahead log, since its run was killed."""
    place = Place(folder).through(ROWS)
    place.killed_at("after_commit", "run", "pipeline.yaml")
    return place


READERS = (
    ("runs", "list"),
    ("runs", "show", "latest"),
    ("explain", "latest", "--row", "0"),
    ("verify", "--all"),
    ("export", "latest", "--format", "jsonl", "--out", "export.jsonl"),
    ("dead-letters", "list"),
    ("replay", "latest"),
)
WRITERS = (
    ("resume", "latest"),
    ("purge", "--run", "latest", "--yes"),
)


def test_a_read_only_copy_answers_who_asks_and_refuses_who_writes(tmp_path: Path) -> None:
    place = Place(tmp_path).through(ROWS)
    assert place.run().code == 0

    with read_only_copy(place) as url:
        read = {command: place.inside(*command, "--audit", url) for command in READERS}
        written = {command: place.inside(*command, "--audit", url) for command in WRITERS}

    assert {command: ended.code for command, ended in read.items()} == dict.fromkeys(READERS, 0), read
    assert "note: this store cannot be written here: it was read in place" in read["verify", "--all"].out
    assert {ended.code for ended in written.values()} == {8}, written
    for ended in written.values():
        ended.says("audit.db is read-only", "Make the file and its folder writable")
    assert place.inside("verify", "--export", "export.jsonl").code == 0


def test_a_read_only_copy_is_read_with_the_log_beside_it(tmp_path: Path) -> None:
    place = killed(tmp_path)

    with read_only_copy(place, "-wal", "-shm") as url:
        shown = place.inside("runs", "show", "latest", "--audit", url)
        verified = place.inside("verify", "--audit", url)

    assert shown.code == 0, shown.err
    assert "3 rows" in verified.out
    assert verified.code == 0, verified.out


def test_a_read_only_copy_with_a_log_and_no_index_says_what_to_do(tmp_path: Path) -> None:
    place = killed(tmp_path)

    with read_only_copy(place, "-wal") as url:
        ended = place.inside("runs", "list", "--audit", url)

    assert ended.code == 8
    ended.says("newest commits stand in audit.db-wal", "copy the store with audit.db-wal")


def test_a_store_that_is_written_while_it_is_read_in_place_gives_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path).through(ROWS)
    assert place.run().code == 0
    store = tmp_path / ".frame" / "audit.db"
    # The superuser may write everywhere, so that the permission is said to be missing.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)

    with (
        pytest.raises(TryAgainLater, match="was written to while it was read"),
        database.open(f"sqlite:///{store}", to_read=True) as opened,
        opened.reading(),
    ):
        os.utime(store, ns=(0, 0))

    assert place.inside("runs", "list").code == 0
