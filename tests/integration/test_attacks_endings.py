"""A plugin that ends the process makes no command look done, whichever command it is."""

from pathlib import Path

import pytest

from tests.integration.attacked import RESUMABLE, Place

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
