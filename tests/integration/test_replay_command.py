"""`frame replay`, as a shell sees it, over runs of real plugins with their record in a file."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

PIPELINE = """\
frame: 1
name: people
source:
  plugin: csv
  options: {path: people.csv}
  schema: {mode: fixed, fields: {name: str, age: int}}
  on_invalid: rejected
nodes:
  - name: grown
    gate: "row.age >= 18"
    routes: {"true": continue, "false": children}
  - name: older
    plugin: compute
    options: {set: {older: "row.age + 10"}}
    on_error: rejected
  - name: split
    gate: "row.older > 50"
    routes: {"true": [old, by_name], "false": by_name}
  - name: by_name
    aggregate: {plugin: group_stats, options: {by: [name], of: older}}
    trigger: {count: 2}
    to: stats
sinks:
  old: {plugin: jsonl, options: {path: old.jsonl}}
  stats: {plugin: csv, options: {path: stats.csv}}
  children: {plugin: jsonl, options: {path: children.jsonl}}
  rejected: {plugin: jsonl, options: {path: rejected.jsonl}}
settings: {chunk_rows: 3}
"""
PEOPLE = "name,age\nAda,50\nGrace,20\nTim,7\nAlan,forty\nEdsger,71\nBarbara,35\nAda,51\n"


def frame(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "frame", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "", "PYTHONWARNINGS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replayed")
    (folder / "people.csv").write_text(PEOPLE)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    assert frame(folder, "run", "pipeline.yaml").returncode == 0
    return folder


@pytest.fixture
def folder(done: Path, tmp_path: Path) -> Path:
    """A copy of a run that is over, in its own folder, where the record does not look for the pipeline."""
    return Path(shutil.copytree(done, tmp_path / "copy"))


def replay(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    told = frame(folder, "replay", "latest", "--pipeline", "pipeline.yaml", "--json", *arguments)
    assert told.stdout, told.stderr
    return told.returncode, json.loads(told.stdout)


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "pipeline.yaml").read_text()
    assert old in text
    (folder / "pipeline.yaml").write_text(text.replace(old, new))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}


def test_a_replay_agrees_and_changes_nothing(folder: Path) -> None:
    (folder / "people.csv").unlink()
    before = files_of(folder)

    told = frame(folder, "replay", "latest", "--pipeline", "pipeline.yaml")

    assert told.returncode == 0
    assert "done over, all 32 results are as on record" in told.stdout
    assert "grade     full" in told.stdout
    assert files_of(folder) == before
    code, found = replay(folder)
    assert (code, found["ok"], found["differences"]) == (0, True, {"total": 0, "first": []})
    assert found["nodes"]["older"] == {"compared": 5, "taken": 0, "unreached": 0, "differ": 0}


def test_another_pipeline_is_refused_and_says_what_differs(folder: Path) -> None:
    change(folder, "row.age + 10", "row.age + 11")

    told = frame(folder, "replay", "latest", "--pipeline", "pipeline.yaml")

    assert told.returncode == 8
    assert "nodes[1].options.set.older was 'row.age + 10' and is 'row.age + 11'" in told.stderr
    assert "--accept-changes" in told.stderr


def test_accepted_changes_are_said_and_what_they_come_to_is_shown(folder: Path) -> None:
    change(folder, "row.age + 10", "row.name == 'Edsger' ? row.age + 11 : row.age + 10")

    told = frame(folder, "replay", "latest", "--pipeline", "pipeline.yaml", "--accept-changes")
    code, found = replay(folder, "--accept-changes")

    assert (told.returncode, code) == (1, 1)
    assert told.stdout.startswith("compared with a pipeline that is not the one of the run:\n")
    assert f"older: token {found['differences']['first'][0]['token']}, row 4 (chunk " in told.stdout
    assert "older  81  ->  82" in told.stdout
    (first,) = found["differences"]["first"]
    assert (first["node"], first["row"]) == ("older", 4)
    assert first["fields"] == {"older": {"recorded": 81, "made": 82}}
    assert found["accepted_changes"]


def test_other_nodes_are_refused_whatever_is_accepted(folder: Path) -> None:
    change(folder, "name: older", "name: elder")

    told = frame(folder, "replay", "latest", "--pipeline", "pipeline.yaml", "--accept-changes")

    assert told.returncode == 8
    assert "a run can be compared in its own graph only" in told.stderr


def test_a_live_node_has_to_be_one_that_is_called(folder: Path) -> None:
    told = frame(folder, "replay", "latest", "--pipeline", "pipeline.yaml", "--live", "oldest")
    sink = frame(folder, "replay", "latest", "--pipeline", "pipeline.yaml", "--live", "stats")

    assert (told.returncode, sink.returncode) == (2, 2)
    assert "the pipeline has no node 'oldest'; there are grown, older, split, by_name" in told.stderr
    assert "'stats' is a sink" in sink.stderr


def test_a_purged_run_is_refused_and_graded_lower(folder: Path) -> None:
    assert frame(folder, "purge", "--run", "latest", "--yes").returncode == 0

    told = frame(folder, "replay", "latest", "--pipeline", "pipeline.yaml")
    shown = json.loads(frame(folder, "runs", "show", "latest", "--json").stdout)

    assert told.returncode == 8
    assert "cannot be done over: its data was purged on" in told.stderr
    assert shown["grade"] == "attributable"


def test_runs_show_tells_the_grade(folder: Path) -> None:
    told = frame(folder, "runs", "show", "latest")

    assert "  grade     full\n" in told.stdout
    assert json.loads(frame(folder, "runs", "show", "latest", "--json").stdout)["grade"] == "full"


def test_a_run_that_was_killed_and_resumed_is_replayed_as_one(tmp_path: Path) -> None:
    rows = "".join(f"p{number % 9},{number % 90}\n" for number in range(6_000))
    (tmp_path / "people.csv").write_text(f"name,age\n{rows}")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.replace("chunk_rows: 3", "chunk_rows: 100"))
    killed = subprocess.Popen([sys.executable, "-m", "frame", "run", "pipeline.yaml", "-q"], cwd=tmp_path)
    until = time.monotonic() + 60
    while _chunks(tmp_path) < 10 and killed.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    resumed = frame(tmp_path, "resume", "latest")
    code, found = replay(tmp_path)

    assert resumed.returncode == 0, resumed.stderr
    assert (code, found["differences"]["total"]) == (0, 0)
    assert found["nodes"]["grown"]["compared"] == 6_000
    assert found["nodes"]["by_name"]["unreached"] == 0


def _chunks(folder: Path) -> int:
    import sqlite3

    store = folder / ".frame" / "audit.db"
    if not store.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])
    except sqlite3.Error:
        return 0
