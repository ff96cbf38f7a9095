"""The wall clock may jump or stand still, and a process may sleep through its own replacement."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.crash.pipelines import PIPELINES
from tests.crash.shim import NONE, Fault
from tests.crash.sweep import DONE, Case, Sweep, Verdict

DAY_S = 86_400
CLOCKS = {
    "a day back": f"jump:{-DAY_S}",
    "ten years on": f"jump:{3653 * DAY_S}",
    "frozen": "frozen",
}


@pytest.mark.parametrize("share", [0.0, 0.7])
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("name", ["batches", "mixed"])
def test_a_clock_that_jumps_changes_nothing(name: str, clock: str, share: float, sweeps: Any) -> None:
    sweep = sweeps[name]
    at = round(len(sweep.baseline.calls) * share)
    sweep.world.begin()

    end = sweep.run(Fault("count", at, clock=CLOCKS[clock]))

    assert end.code in DONE, end.stderr
    verdict = sweep.go_on(Verdict(Case(name, []), ends=[end]))
    assert not verdict.wrong, str(verdict)


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_run_that_is_killed_is_resumed_under_another_clock(clock: str, sweeps: Any) -> None:
    sweep = sweeps["mixed"]
    sweep.world.begin()
    killed = sweep.run(Fault("kill", round(len(sweep.baseline.calls) * 0.7)))

    end = sweep.run(Fault("count", clock=CLOCKS[clock]))

    assert killed.was_killed
    assert end.code in DONE, end.stderr
    verdict = sweep.go_on(Verdict(Case("mixed", []), ends=[killed, end]))
    assert not verdict.wrong, str(verdict)


LATER = Fault("count", clock=f"jump:{3600}")
"""An hour later every lease has run out."""


ASLEEP = (
    "before_commit:4",
    "after_commit:3",
    "before_sink_write:3",
    "after_sink_write:3",
    "after_sink_sync:4",
    "after_writes:3",
    "before_publish",
    "after_publish",
    "before_end",
)
"""Where an owner falls asleep. Not inside a transaction: with the lock of a SQLite file in its hand it keeps
everybody out, and there is no takeover."""


@pytest.mark.parametrize("place", ASLEEP)
def test_an_owner_that_wakes_after_a_takeover_stops_and_doubles_nothing(place: str, sweeps: Any) -> None:
    take_over(sweeps["files"], place)


@pytest.mark.parametrize("place", ["after_sink_write:2", "before_publish"])
@pytest.mark.parametrize("name", ["joins", "ledger", "calls"])
def test_whatever_an_owner_writes_to_it_doubles_nothing_when_it_wakes(
    name: str, place: str, sweeps: Any
) -> None:
    take_over(sweeps[name], place)


@pytest.mark.soak
@pytest.mark.parametrize("place", ASLEEP)
@pytest.mark.parametrize("name", PIPELINES)
def test_takeovers_at_every_place(name: str, place: str, sweeps: Any) -> None:
    take_over(sweeps[name], place)


def take_over(sweep: Sweep, place: str) -> None:
    """Let an owner fall asleep at `place`, another process finish its run, and then wake it."""
    owner = asleep(sweep, place)

    held = sweep.run()
    taken = sweep.run(LATER)
    os.kill(owner.pid, signal.SIGCONT)
    _, said = owner.communicate(timeout=60)

    assert held.code == 75, held.stderr
    assert taken.code in DONE, taken.stderr
    assert owner.returncode == 6, said
    verdict = sweep.go_on(
        Verdict(Case(f"{sweep.world.pipeline.name}, asleep at {place}", []), ends=[held, taken])
    )
    assert not verdict.wrong, str(verdict)


def asleep(sweep: Sweep, place: str) -> subprocess.Popen[str]:
    """A run that has been stopped at a failpoint."""
    sweep.world.begin()
    owner = sweep.frame.start(sweep.world.folder, *sweep.command(), failpoint=f"{place}=stop")
    status = Path(f"/proc/{owner.pid}/stat")
    deadline = time.monotonic() + 60
    while status.read_text().rpartition(")")[2].split()[0] != "T":
        assert owner.poll() is None, owner.communicate()[1]
        assert time.monotonic() < deadline, "it was not stopped"
        time.sleep(0.01)
    return owner


def test_the_lease_of_an_owner_that_is_gone_is_free_at_once(sweeps: Any) -> None:
    sweep = sweeps["files"]
    sweep.world.begin()
    killed = sweep.run(Fault("kill", round(len(sweep.baseline.calls) * 0.7)))

    end = sweep.run(NONE)

    assert killed.was_killed
    assert end.code in DONE, end.stderr
