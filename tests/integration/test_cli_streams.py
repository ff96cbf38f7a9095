"""What `frame` writes where: data to stdout, messages to stderr, and nothing that plays tricks on a terminal."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

COPY = """\
frame: 1
name: copy
source: {plugin: csv, options: {path: in.csv}}
sinks:
  out: {plugin: jsonl, options: {path: "-"}}
"""
NOISY = COPY.replace(
    "sinks:", "nodes:\n  - {name: noisy, plugin: python, options: {function: 'noisy:talk'}}\nsinks:"
)
COMMAND = [sys.executable, "-m", "frame"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in.csv").write_text("id\n1\n2\n")
    (tmp_path / "pipeline.yaml").write_text(COPY)
    (tmp_path / "noisy.py").write_text(
        "def talk(row):\n    print('hear \\x1b[31mme', row['id'])\n    return row\n"
    )
    (tmp_path / "noisy.yaml").write_text(NOISY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frame(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.usefixtures("folder")
def test_nothing_but_the_rows_of_a_sink_goes_to_stdout_even_when_a_plugin_prints() -> None:
    done = frame("run", "noisy.yaml")

    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"id": 1}, {"id": 2}]
    assert "hear \\x1b[31mme 1" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.usefixtures("folder")
def test_json_and_a_sink_on_stdout_do_not_go_together() -> None:
    done = frame("run", "pipeline.yaml", "--json")

    assert done.returncode == 2
    assert "writes to stdout" in done.stderr


def test_json_is_exactly_one_object_with_a_schema_version(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text(COPY.replace('"-"', "out.jsonl"))

    run = frame("run", "pipeline.yaml", "--json", "--quiet")
    shown = frame("runs", "show", "latest", "--json")
    listed = frame("runs", "list", "--json")

    result, report, runs = (json.loads(each.stdout) for each in (run, shown, listed))
    assert run.stderr == ""
    assert (result["schema_version"], report["schema_version"], runs["schema_version"]) == (1, 1, 1)
    assert result["run"] == report["run"] == runs["runs"][0]["run"]
    assert report["nodes"]["out"]["in"] == 2
    assert report["artifacts"]["out"]["rows"] == 2


@pytest.mark.usefixtures("folder")
def test_a_reader_that_goes_away_is_told_in_one_line() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [*COMMAND, "plugins", "list"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)

    assert done.returncode == 1
    assert done.stderr == "frame: nobody reads standard output any more; what was left of it is not written\n"


@pytest.mark.usefixtures("folder")
def test_a_terminal_gets_progress_and_gives_the_cursor_back() -> None:
    ours, theirs = pty.openpty()

    run = subprocess.Popen([*COMMAND, "run", "pipeline.yaml"], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 4096):
            seen += piece
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(ours)

    assert run.communicate()[0] == b'{"id":1}\n{"id":2}\n'
    assert run.returncode == 0
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l") >= 0
    assert b"2 rows" in seen


def test_importing_frame_loads_no_library() -> None:
    heavy = ["numpy", "pandas", "pyarrow", "httpx", "rich", "click", "pydantic", "sqlalchemy", "cel"]
    code = f"import sys, frame; print([name for name in {heavy!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_help_and_version_load_nothing_heavy() -> None:
    heavy = ["pydantic", "sqlalchemy", "rich", "cel", "asyncio", "pyarrow", "yaml"]
    for arguments in (["--version"], ["run", "--help"]):
        code = (
            "import sys\nfrom frame.cli.main import main\n"
            f"try: main({arguments!r})\n"
            f"except SystemExit: print('loaded', [n for n in {heavy!r} if n in sys.modules])"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout.splitlines()[-1] == "loaded []"
