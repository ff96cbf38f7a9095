"""Every named failpoint is reached, and a run that is killed there comes to the same end."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash.figures import count
from tests.crash.records import run_id_in
from tests.crash.sweep import DONE, Case, Sweep, Verdict
from tests.crash.world import ROOT

PIPELINE = "mixed"
STARTED = "after_commit:6=kill"
"""Where a run is killed whose resume is to reach a failpoint."""


def names() -> Iterator[str]:
    """The failpoints in the source, which has them as `reached("name")`."""
    for path in (ROOT / "core" / "src" / "frame").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reached":
                assert isinstance(node.args[0], ast.Constant)
                yield str(node.args[0].value)


NAMES = sorted(names())
OF_RETRIES = "after_retry_opened"


def killed_at(sweep: Sweep, failpoint: str) -> Verdict:
    """A run, or if that does not get there a resume, that is killed at `failpoint`."""
    sweep.world.begin()
    verdict = Verdict(Case(f"{PIPELINE} {failpoint}", []))
    verdict.ends.append(sweep.run(failpoint=f"{failpoint}=kill"))
    if not verdict.ends[-1].was_killed:
        sweep.world.begin()
        verdict.ends.append(sweep.run(failpoint=STARTED))
        verdict.ends.append(sweep.run(failpoint=f"{failpoint}=kill"))
    return verdict


def test_a_failpoint_has_one_place() -> None:
    assert len(NAMES) == len(set(NAMES))
    assert NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != OF_RETRIES])
def test_a_run_that_is_killed_at_a_failpoint_ends_as_if_nothing_had_been(
    name: str, sweeps: Any, record_property: Any
) -> None:
    sweep = sweeps[PIPELINE]

    verdict = killed_at(sweep, name)

    assert verdict.ends[-1].was_killed, f"no test reaches failpoint {name!r}"
    sweep.go_on(verdict)
    count(record_property, "failpoints", names=1, bad=bool(verdict.wrong))
    assert not verdict.wrong, str(verdict)


def test_a_retry_of_dead_letters_that_is_killed_can_be_resumed(sweeps: Any) -> None:
    sweep = sweeps["files"]
    sweep.world.begin()
    pipeline = sweep.world.folder / "pipeline.yaml"
    unhandled = "on_error: [{when: error.attempts > 5, to: broken}]"
    pipeline.write_text(pipeline.read_text().replace("on_error: broken", unhandled))
    first = sweep.run()
    assert first.code == 1, "the pipeline leaves dead letters"
    run_id = run_id_in(sweep.world.url)

    plan = {"FRAME_FAILPOINT": f"{OF_RETRIES}=kill"}
    killed = sweep.ask("dead-letters", "retry", str(run_id), "--all", env=plan)
    again = sweep.run()

    assert killed.was_killed, killed.stderr
    assert run_id_in(sweep.world.url) != run_id
    assert again.code in DONE, again.stderr
    assert sweep.ask("verify", "--all").code == 0


@pytest.mark.parametrize(
    "name", ["before_sink_write", "after_sink_write", "after_sink_sync", "before_publish"]
)
def test_a_sink_that_raises_stops_the_run_and_loses_nothing(name: str, sweeps: Any) -> None:
    sweep = sweeps[PIPELINE]
    sweep.world.begin()

    end = sweep.run(failpoint=f"{name}=raise")

    assert end.code == 6, end.stderr
    assert f"failpoint {name}" in end.stderr
    verdict = sweep.go_on(Verdict(Case(PIPELINE, []), ends=[end]))
    assert not verdict.wrong, str(verdict)


@pytest.mark.parametrize("plan", ["x", "x=", "x:0=kill", "x=explode", "x=kill,,y=kill"])
def test_a_plan_that_makes_no_sense_is_an_error(plan: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import frame.failpoints"],
        env={**os.environ, "FRAME_FAILPOINT": plan},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "is not of the form NAME:TIMES=kill, raise or stop" in done.stderr
