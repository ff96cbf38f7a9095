"""The exit code of `frame`, class by class, as a shell sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from frame.cli.main import main

PIPELINE = """\
frame: 1
name: people
source:
  plugin: csv
  options: {path: people.csv}
  schema:
    mode: fixed
    fields: {name: str, age: int}
  on_invalid: rejected
nodes:
  - name: older
    plugin: compute
    options: {set: {older: "100 / row.age"}}
    to: out
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl}}
  rejected: {plugin: jsonl, options: {path: rejected.jsonl}}
"""


def frame(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "frame", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "", "PYTHONWARNINGS": "", **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text("name,age\nAda,50\nGrace,20\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "pipeline.yaml").read_text()
    assert old in text
    (folder / "pipeline.yaml").write_text(text.replace(old, new))


def test_a_run_whose_rows_all_arrive_exits_with_0_and_says_nothing_on_stdout(folder: Path) -> None:
    done = frame(folder, "run", "pipeline.yaml")

    assert (done.returncode, done.stdout) == (0, "")
    assert "completed" in done.stderr
    assert "out.jsonl" in done.stderr
    assert (folder / "out.jsonl").read_text().count("\n") == 2


def test_rejects_that_the_pipeline_handles_exit_with_0_and_with_1_under_strict(folder: Path) -> None:
    (folder / "people.csv").write_text("name,age\nAda,fifty\nGrace,20\n")

    done = frame(folder, "run", "pipeline.yaml")

    assert done.returncode == 0
    assert "1  did not fit the source's schema" in done.stderr

    (folder / "out.jsonl").unlink()
    (folder / "rejected.jsonl").unlink()
    assert frame(folder, "run", "pipeline.yaml", "--strict", "--quiet").returncode == 1


def test_dead_letters_exit_with_1(folder: Path) -> None:
    (folder / "people.csv").write_text("name,age\nAda,0\nGrace,20\n")

    done = frame(folder, "run", "pipeline.yaml")

    assert done.returncode == 1
    assert "1  left as dead letters" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "Did you mean run"),
        (["run"], "Missing argument"),
        (["run", "pipeline.yaml", "--qiet"], "--quiet"),
        (["runs", "show", "latest"], "no audit store"),
        (["explain", "latest"], "--row N"),
    ],
)
def test_a_command_line_that_makes_no_sense_exits_with_2(
    folder: Path,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    (folder / "pipeline.yaml").unlink()

    with pytest.raises(SystemExit) as ended:
        main(arguments, prog_name="frame")

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize("command", ["run", "validate"])
def test_an_invalid_pipeline_exits_with_3_lists_every_problem_and_touches_nothing(
    folder: Path, command: str
) -> None:
    change(folder, "options: {set:", "optionz: {set:")
    change(folder, "mode: fixed", "mode: fixd")
    before = sorted(folder.iterdir())

    done = frame(folder, command, "pipeline.yaml")

    assert done.returncode == 3
    assert "did you mean 'options'?" in done.stderr
    assert "did you mean 'fixed'?" in done.stderr
    assert "pipeline.yaml:7:11" in done.stderr
    assert sorted(folder.iterdir()) == before


def test_a_plugin_that_is_missing_exits_with_4(folder: Path) -> None:
    change(folder, "plugin: compute", "plugin: computer")

    done = frame(folder, "run", "pipeline.yaml", "--json")

    assert done.returncode == 4
    assert "did you mean compute?" in done.stderr
    answer = json.loads(done.stdout)
    assert (answer["schema_version"], answer["exit_code"]) == (1, 4)
    assert answer["error"]["problems"][0]["line"] == 12


def test_a_record_that_cannot_be_kept_exits_with_6(folder: Path) -> None:
    (folder / "store").write_text("a file where a folder has to be")

    done = frame(folder, "run", "pipeline.yaml", "--audit", "sqlite:///store/audit.db")

    assert done.returncode == 6
    assert "cannot be made" in done.stderr


def test_a_strangers_file_as_audit_store_is_refused_with_8_and_left_alone(folder: Path) -> None:
    (folder / "notes.db").write_text("mine")

    done = frame(folder, "run", "pipeline.yaml", FRAME_AUDIT="sqlite:///notes.db")

    assert done.returncode == 8
    assert (folder / "notes.db").read_text() == "mine"


def test_a_bug_exits_with_70_and_shows_its_traceback_only_under_debug(folder: Path) -> None:
    (folder / "sitecustomize.py").write_text(
        "import frame.operations as o\ndef broken(*a, **k): raise ZeroDivisionError('oops')\no.validate = broken\n"
    )

    plain = frame(folder, "validate", "pipeline.yaml", PYTHONPATH=str(folder))
    debug = frame(folder, "validate", "pipeline.yaml", "--debug", PYTHONPATH=str(folder))

    assert (plain.returncode, debug.returncode) == (70, 70)
    assert "Traceback" not in plain.stderr
    assert "ZeroDivisionError: oops" in plain.stderr
    assert "Traceback" in debug.stderr
