"""How a command ends that a plugin ends, or that a signal reaches while it waits: soon, and without a lie."""

import signal
from pathlib import Path

import pytest

from tests.integration.attacked import RESUMABLE, Place
from tests.postgresql_server import Server

LEAVING = """
import os

WHEN = os.environ.get("LEAVE")

if WHEN == "import":
    os._exit(0)

def work(row):
    if WHEN == "call":
        os._exit(0)
    return dict(row)
"""

PIPELINE = """
frame: 1
name: leaving
source: {plugin: csv, options: {path: in.csv}, schema: {mode: observed}}
nodes:
  - {name: work, plugin: python, options: {function: "leaving:work", determinism: deterministic}}
sinks:
  out: {plugin: jsonl, options: {path: out/out.jsonl}}
"""


def leaving(folder: Path) -> Place:
    place = Place(folder)
    place.put("leaving.py", LEAVING)
    place.put("in.csv", "id\n1\n2\n")
    place.put("pipeline.yaml", PIPELINE)
    return place


@pytest.mark.parametrize(
    ("command", "when"),
    [
        (("replay", "latest"), "call"),
        (("replay", "latest"), "import"),
        (("explain", "latest", "--row", "0"), "call"),
        (("explain", "latest", "--row", "0"), "import"),
        (("validate", "pipeline.yaml"), "import"),
        (("graph", "pipeline.yaml"), "import"),
    ],
)
def test_a_command_that_a_plugin_ends_has_not_done_what_was_asked(
    tmp_path: Path, command: tuple[str, ...], when: str
) -> None:
    place = leaving(tmp_path)
    assert place.run().code == 0

    ended = place.frame(*command, environment={"LEAVE": when}).without_traceback()

    if ended.out:  # the command could do without the plugin
        assert ended.code == 0
        assert place.frame(*command).out == ended.out
    else:
        assert ended.code == 4, ended.err
        ended.says("a plugin has ended the process before the command was done")


@pytest.mark.parametrize("when", ["import", "call"])
def test_a_run_and_its_resume_that_a_plugin_ends_can_be_resumed(tmp_path: Path, when: str) -> None:
    place = leaving(tmp_path)

    ends = [
        place.frame("run", "pipeline.yaml", environment={"LEAVE": "call"}),
        place.frame("resume", "latest", environment={"LEAVE": when}),
    ]

    assert [ended.code for ended in ends] == [RESUMABLE, RESUMABLE], ends
    assert place.frame("resume", "latest").code == 0
    assert [str(row["id"]) for row in place.rows()] == ["1", "2"]


WORKING = PIPELINE.replace("leaving:work", "working:work") + "settings: {chunk_rows: 1}\n"

WORK = """
import pathlib, time

def work(row):
    pathlib.Path("begun").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    return dict(row)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heard_while_a_run_waits_for_its_database(
    tmp_path: Path, postgresql: Server, postgresql_store: str, number: signal.Signals
) -> None:
    place = leaving(tmp_path)
    place.put("working.py", WORK)
    place.put("pipeline.yaml", WORKING)
    audit = ("--audit", postgresql_store)
    started = place.start("run", "pipeline.yaml", *audit).until((tmp_path / "begun").exists)

    postgresql.crash()
    try:
        (tmp_path / "go").touch()
        ended = started.signal(number).end(timeout_s=100).without_traceback()
    finally:
        postgresql.start()

    assert ended.code == RESUMABLE, ended.err
    ended.says("could not be reached until the stop that was asked for", "the run can be resumed")
    assert place.frame("resume", "latest", *audit).code == 0
    assert [str(row["id"]) for row in place.rows()] == ["1", "2"]
