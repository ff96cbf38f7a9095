"""Ctrl-C and SIGTERM: the first ends the run after the chunk in hand, the second ends it at once."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = """\
frame: 1
name: slow
source: {plugin: csv, options: {path: in.csv}}
nodes:
  - {name: wait, plugin: delay, options: {duration: DURATION}}
sinks:
  out: {plugin: jsonl, options: {path: "-"}}
settings: {chunk_rows: 2}
"""


def start(folder: Path, duration: str) -> subprocess.Popen[str]:
    (folder / "in.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(10_000)))
    (folder / "pipeline.yaml").write_text(SLOW.replace("DURATION", duration))
    with (folder / "out.jsonl").open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "frame", "run", "pipeline.yaml"],
            cwd=folder,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )


def await_first_rows(run: subprocess.Popen[str], folder: Path) -> None:
    while not (folder / "out.jsonl").stat().st_size:
        assert run.poll() is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_finishes_the_chunk_in_hand(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    run = start(tmp_path, "20ms")
    await_first_rows(run, tmp_path)

    run.send_signal(number)
    messages = run.communicate(timeout=30)[1]

    assert run.returncode == code
    assert "finishing the chunk in hand" in messages
    assert "interrupted" in messages
    assert "to go on with it: frame resume 0" in messages
    ids = [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert ids == list(range(len(ids)))
    shown = subprocess.run(
        [sys.executable, "-m", "frame", "runs", "show", "latest", "--json"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    report = json.loads(shown.stdout)
    assert (report["status"], report["counters"]["succeeded"]) == ("interrupted", len(ids))


def test_the_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    run = start(tmp_path, "60s")
    assert run.stderr is not None
    while not (tmp_path / ".frame" / "audit.db").exists():
        assert run.poll() is None
    line = ""
    while "finishing the chunk" not in line:
        run.send_signal(signal.SIGINT)
        line = run.stderr.readline()
        if "Traceback" in line:
            pytest.fail(line + run.stderr.read())

    run.send_signal(signal.SIGINT)
    messages = run.communicate(timeout=20)[1]

    assert run.returncode == 130
    assert messages.strip() == "frame: stopped at once; what was committed is safe"
