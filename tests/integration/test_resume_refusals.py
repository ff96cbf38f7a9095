"""A run that cannot go on says why, with exit code 8, and nothing is touched; what was put right goes on."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PIPELINE = """
frame: 1
name: refused
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {n: int}}
nodes:
  - name: large
    plugin: compute
    options: {set: {twice: "row.n * 2"}}
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl}}
settings: {chunk_rows: 10}
"""


def frame(folder: Path, *arguments: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path} | ({"FRAME_FAILPOINT": failpoint} if failpoint else {})
    return subprocess.run(
        ["frame", *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A folder with a run that was killed after its second chunk was committed."""
    (tmp_path / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(40)))
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    assert frame(tmp_path, "run", "pipeline.yaml", failpoint="after_commit:2=kill").returncode == -9
    return tmp_path


def written(folder: Path) -> list[int]:
    return [json.loads(line)["n"] for line in (folder / "out.jsonl").read_text().splitlines()]


def test_an_input_that_has_changed_is_refused_with_both_hashes_and_goes_on_when_put_back(crashed: Path):
    before = (crashed / "in.csv").read_text()
    (crashed / "in.csv").write_text(before.replace("\n3\n", "\n333\n"))

    refused = frame(crashed, "resume", "latest")

    assert refused.returncode == 8
    assert "has changed" in refused.stderr
    assert refused.stderr.count("SHA-256") + refused.stderr.count("and have") >= 2
    assert "Put it back as it was" in refused.stderr

    (crashed / "in.csv").write_text(before)
    assert frame(crashed, "resume", "latest").returncode == 0
    assert written(crashed) == list(range(40))


def test_an_option_that_has_changed_is_listed_and_can_be_accepted(crashed: Path):
    changed = PIPELINE.replace("row.n * 2", "row.n * 3")
    (crashed / "pipeline.yaml").write_text(changed)

    refused = frame(crashed, "resume", "latest")
    accepted = frame(crashed, "resume", "latest", "--accept-changes")
    shown = json.loads(frame(crashed, "runs", "show", "latest", "--json").stdout)

    assert refused.returncode == 8
    assert "nodes[0].options.set.twice was 'row.n * 2' and is 'row.n * 3'" in refused.stderr
    assert "--accept-changes" in refused.stderr
    assert accepted.returncode == 0
    (resumed,) = [event for event in shown["events"] if event["detail"].get("accepted_changes")]
    assert "row.n * 3" in resumed["detail"]["accepted_changes"][0]


def test_other_nodes_cannot_be_accepted(crashed: Path):
    node = '  - {name: more, plugin: compute, options: {set: {m: "1"}}}\n'
    (crashed / "pipeline.yaml").write_text(PIPELINE.replace("sinks:", f"{node}sinks:"))

    refused = frame(crashed, "resume", "latest", "--accept-changes")

    assert refused.returncode == 8
    assert "transform 'more' is new" in refused.stderr
    assert "cannot go on in another graph" in refused.stderr


def test_a_part_file_that_somebody_changed_is_refused(crashed: Path):
    part = crashed / "out.jsonl.part"
    part.write_bytes(b"X" + part.read_bytes()[1:])

    refused = frame(crashed, "resume", "latest")

    assert refused.returncode == 8
    assert "out.jsonl.part has changed since the run stopped" in refused.stderr


def test_a_run_that_has_ended_is_refused(crashed: Path):
    assert frame(crashed, "resume", "latest").returncode == 0

    again = frame(crashed, "resume", "latest")

    assert again.returncode == 8
    assert "there is nothing to resume" in again.stderr


def test_a_pipeline_file_that_is_gone_can_be_named(crashed: Path):
    (crashed / "pipeline.yaml").rename(crashed / "moved.yaml")

    lost = frame(crashed, "resume", "latest")
    found = frame(crashed, "resume", "latest", "--pipeline", "moved.yaml")

    assert lost.returncode == 2
    assert "--pipeline FILE" in lost.stderr
    assert found.returncode == 0
    assert written(crashed) == list(range(40))


def test_two_resumes_at_once_one_wins(crashed: Path):
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    several = [
        subprocess.Popen(
            ["frame", "resume", "--quiet", "latest"],
            cwd=crashed,
            env={**os.environ, "PATH": path},
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]

    codes = sorted(process.wait(timeout=60) for process in several)

    assert codes.count(0) == 1
    assert set(codes) <= {0, 8, 75}
    assert written(crashed) == list(range(40))


def test_a_run_that_was_stopped_by_a_fault_says_how_to_go_on(crashed: Path):
    (crashed / "out.jsonl").write_text("somebody else's\n")

    stopped = frame(crashed, "resume", "latest")
    told = stopped.stderr.partition("when that is put right: frame ")[2].splitlines()[0]
    (crashed / "out.jsonl").unlink()
    went_on = frame(crashed, *told.split())

    assert (stopped.returncode, went_on.returncode) == (6, 0)
    assert written(crashed) == list(range(40))


def test_standard_input_can_be_given_again(crashed: Path):
    (crashed / "in.csv").rename(crashed / "other.csv")
    (crashed / "stdin.yaml").write_text(PIPELINE.replace("path: in.csv", 'path: "-"'))
    command = f"cat other.csv | {sys.executable} -m frame"
    killed = command.replace("|", "| FRAME_FAILPOINT=after_commit:2=kill") + " run stdin.yaml"
    resume = f"{command} resume latest --pipeline stdin.yaml"

    subprocess.run(killed, shell=True, cwd=crashed, capture_output=True, check=False)
    went_on = subprocess.run(resume, shell=True, cwd=crashed, capture_output=True, check=False)

    assert went_on.returncode == 0
    assert written(crashed) == list(range(40))
