"""A run that cannot go on says why, with exit code 8, and nothing is touched; what was put right goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.attacked import Place

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


@pytest.fixture
def crashed(tmp_path: Path) -> Place:
    """A folder with a run that was killed after its second chunk was committed."""
    place = Place(tmp_path)
    place.put("in.csv", "n\n" + "".join(f"{n}\n" for n in range(40)))
    place.put("pipeline.yaml", PIPELINE)
    place.killed_at("after_commit:2", "run", "pipeline.yaml")
    return place


def written(place: Place) -> list[int]:
    return [json.loads(line)["n"] for line in (place.folder / "out.jsonl").read_text().splitlines()]


def test_an_input_that_has_changed_is_refused_with_both_hashes_and_goes_on_when_put_back(crashed: Place):
    before = (crashed.folder / "in.csv").read_text()
    crashed.put("in.csv", before.replace("\n3\n", "\n333\n"))

    refused = crashed.frame("resume", "latest")

    assert refused.code == 8
    assert "has changed" in refused.err
    assert refused.err.count("SHA-256") + refused.err.count("and have") >= 2
    assert "Put it back as it was" in refused.err

    crashed.put("in.csv", before)
    assert crashed.frame("resume", "latest").code == 0
    assert written(crashed) == list(range(40))


def test_an_option_that_has_changed_is_listed_and_can_be_accepted(crashed: Place):
    changed = PIPELINE.replace("row.n * 2", "row.n * 3")
    crashed.put("pipeline.yaml", changed)

    refused = crashed.frame("resume", "latest")
    accepted = crashed.frame("resume", "latest", "--accept-changes")
    shown = crashed.json("runs", "show", "latest")

    assert refused.code == 8
    assert "nodes[0].options.set.twice was 'row.n * 2' and is 'row.n * 3'" in refused.err
    assert "--accept-changes" in refused.err
    assert accepted.code == 0
    (resumed,) = [event for event in shown["events"] if event["detail"].get("accepted_changes")]
    assert "row.n * 3" in resumed["detail"]["accepted_changes"][0]


def test_other_nodes_cannot_be_accepted(crashed: Place):
    node = '  - {name: more, plugin: compute, options: {set: {m: "1"}}}\n'
    crashed.put("pipeline.yaml", PIPELINE.replace("sinks:", f"{node}sinks:"))

    refused = crashed.frame("resume", "latest", "--accept-changes")

    assert refused.code == 8
    assert "transform 'more' is new" in refused.err
    assert "cannot go on in another graph" in refused.err


def test_a_part_file_that_somebody_changed_is_refused(crashed: Place):
    part = crashed.folder / "out.jsonl.part"
    part.write_bytes(b"X" + part.read_bytes()[1:])

    refused = crashed.frame("resume", "latest")

    assert refused.code == 8
    assert "out.jsonl.part has changed since the run stopped" in refused.err


def test_a_run_that_has_ended_is_refused(crashed: Place):
    assert crashed.frame("resume", "latest").code == 0

    again = crashed.frame("resume", "latest")

    assert again.code == 8
    assert "there is nothing to resume" in again.err
    assert f"A new run: frame run {crashed.folder}/pipeline.yaml. To do it over" in again.err


def test_a_pipeline_file_that_is_gone_can_be_named(crashed: Place):
    (crashed.folder / "pipeline.yaml").rename(crashed.folder / "moved.yaml")

    lost = crashed.frame("resume", "latest")
    found = crashed.frame("resume", "latest", "--pipeline", "moved.yaml")

    assert lost.code == 2
    assert "--pipeline FILE" in lost.err
    assert found.code == 0
    assert written(crashed) == list(range(40))


def test_two_resumes_at_once_one_wins(crashed: Place):
    several = [crashed.start("resume", "--quiet", "latest") for _ in range(3)]

    codes = sorted(each.end().code for each in several)

    assert codes.count(0) == 1
    assert set(codes) <= {0, 8, 75}
    assert written(crashed) == list(range(40))


def test_a_run_that_was_stopped_by_a_fault_says_how_to_go_on(crashed: Place):
    crashed.put("out.jsonl", "somebody else's\n")

    stopped = crashed.frame("resume", "latest")
    told = stopped.err.partition("when that is put right: frame ")[2].splitlines()[0]
    (crashed.folder / "out.jsonl").unlink()
    went_on = crashed.frame(*told.split())

    assert (stopped.code, went_on.code) == (6, 0)
    assert written(crashed) == list(range(40))


def test_standard_input_can_be_given_again(crashed: Place):
    (crashed.folder / "in.csv").rename(crashed.folder / "other.csv")
    crashed.put("stdin.yaml", PIPELINE.replace("path: in.csv", 'path: "-"'))
    command = f"cat other.csv | {sys.executable} -m frame"
    killed = command.replace("|", "| FRAME_FAILPOINT=after_commit:2=kill") + " run stdin.yaml"
    resume = f"{command} resume latest --pipeline stdin.yaml"

    subprocess.run(killed, shell=True, cwd=crashed.folder, capture_output=True, check=False)
    went_on = subprocess.run(resume, shell=True, cwd=crashed.folder, capture_output=True, check=False)

    assert went_on.returncode == 0
    assert written(crashed) == list(range(40))
