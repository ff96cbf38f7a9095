"""Every example, exported by the command in every format, signed, and verified without frame and without its store."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from frame.audit.key_files import write_pair
from frame.audit.signing import new_key
from frame.operations import verify_export

from tests.integration.attacked import Place
from tests.integration.test_examples import EXAMPLES, TABLE, Example, name_of, run_in

FORMATS = ("jsonl", "csv", "parquet", "html", "openlineage", "prov")


@pytest.fixture(params=TABLE, ids=name_of, scope="module")
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Example, Path, dict[str, Any]]:
    """An example, a folder with nothing but its exports and the public key, and what the run said of itself."""
    example: Example = request.param
    folder = tmp_path_factory.mktemp("run") / example.folder
    shutil.copytree(EXAMPLES / example.folder, folder, ignore=shutil.ignore_patterns("out", ".frame"))
    said = run_in(folder, example)
    handed_over = tmp_path_factory.mktemp("handed-over")
    public = write_pair(folder / "frame.key", new_key("auditor"))
    shutil.move(public, handed_over / "frame.key.pub")
    for name in FORMATS:
        to = ("--format", name, "--out", str(handed_over / name), "--sign", "frame.key", "--with-verifier")
        done = Place(folder).frame("export", "latest", *to)
        assert done.code == 0, done.err
    shutil.rmtree(folder)
    return example, handed_over, said


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", FORMATS)
def test_it_verifies_without_its_store(exported, name):
    _, folder, said = exported

    report = verify_export(folder / name, folder / "frame.key.pub")

    assert (report.wrong, report.place) == ("", "")
    assert report.run_id == said["run"]
    assert any("signed by auditor" in note for note in report.notes)


def test_the_program_beside_it_verifies_it_with_nothing_but_python(exported):
    _, folder, said = exported

    done = subprocess.run(
        [sys.executable, "-I", "verify_export.py", "jsonl", "--key", "frame.key.pub"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert said["run"] in done.stdout


def test_it_has_every_row_and_every_end(exported):
    example, folder, said = exported

    lines = read(folder)

    first, last = lines[0], lines[-1]
    paths = Counter(line["outcome"] for line in lines if line["record"] == "outcome")
    counters = said["counters"]
    assert {name: count for name, count in first["counters"].items() if count} == example.counters
    assert paths["success"] == counters["succeeded"]
    assert paths["failure"] == counters["failed"]
    assert last["counts"]["row"] == counters["rows"]
    assert last["counts"]["token"] == counters["tokens"] == sum(paths.values())


def test_another_key_does_not_verify_it(exported, tmp_path):
    _, folder, _ = exported
    another = write_pair(tmp_path / "another.key", new_key("auditor"))

    reports = [verify_export(folder / name, another) for name in FORMATS]

    assert [report.ok for report in reports] == [False] * len(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_byte_that_was_changed_is_found(exported, tmp_path, name):
    _, folder, _ = exported
    copy = tmp_path / name
    if (folder / name).is_dir():
        shutil.copytree(folder / name, copy)
        changed = copy / f"visit.{name}"  # no fact is held against this one
    else:
        for path in folder.glob(f"{name}*"):
            shutil.copy(path, tmp_path)
        changed = copy
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)

    assert not verify_export(copy, folder / "frame.key.pub").ok


@pytest.mark.parametrize("program", ["frame", "verify_export.py"])
@pytest.mark.parametrize(
    "lines", [0.5, 3, -1], ids=["within the first line", "after a line", "before the manifest"]
)
def test_an_export_that_was_cut_off_asks_whether_it_was(exported, tmp_path, lines, program):
    _, folder, said = exported
    whole = (folder / "jsonl").read_bytes().splitlines(keepends=True)
    kept = whole[0][:200] if lines == 0.5 else b"".join(whole[:lines])
    (tmp_path / "cut.jsonl").write_bytes(kept)

    if program == "frame":
        found = verify_export(tmp_path / "cut.jsonl")
        told = f"{found.wrong} ({found.place})"
        assert found.run_id == ("" if lines == 0.5 else said["run"])
        assert found.place == f"line {max(len(kept.splitlines()), 1)}"
    else:
        command = [sys.executable, "-I", folder / program, tmp_path / "cut.jsonl"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout

    assert "cut off?" in told or "was it cut off, or" in told, told
    assert "JSONDecodeError" not in told


def change_count(folder: Path) -> None:
    manifest = folder / "manifest.json"
    said = json.loads(manifest.read_text())
    said["counts"]["row"] = 1000
    manifest.write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "row.csv").unlink(), "row.csv is missing, which the manifest names"),
        (lambda folder: (folder / "more.csv").touch(), "more.csv is not named by the manifest"),
        (
            lambda folder: os.truncate(folder / "row.csv", 3),
            "row.csv is not as it was written: its sha256 is ",
        ),
        (change_count, "counts: it says 1000 of 'row', and there are "),
    ],
)
def test_what_is_wrong_with_a_folder_is_told_of_its_run_and_in_words(exported, tmp_path, spoil, said):
    _, folder, run = exported
    copy = Path(shutil.copytree(folder / "csv", tmp_path / "csv"))
    spoil(copy)

    told = Place(tmp_path).inside("verify", "--export", "csv")

    assert told.code == 7
    assert told.out.startswith(f"export of run {run['run']}: wrong: {said}")
    assert re.search(r"[\[{(]['{]", told.out) is None


def test_folders_tell_the_same_records(exported):
    _, folder, _ = exported

    lines = Counter(line["record"] for line in read(folder))
    counts = [
        json.loads((folder / name / "manifest.json").read_text())["counts"] for name in ("csv", "parquet")
    ]

    del lines["manifest"]
    assert counts == [dict(lines)] * 2
