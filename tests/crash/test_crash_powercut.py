"""A power cut loses, keeps or tears what was not synced, and the run goes on as if nothing had been."""

import random
from typing import Any

import pytest

from tests.crash.figures import count
from tests.crash.pipelines import PIPELINES
from tests.crash.powercut import Trace, files_in, put, read_trace
from tests.crash.shim import TRACE
from tests.crash.sweep import DONE, Case, Sweep, Verdict

LOCAL = [name for name, pipeline in PIPELINES.items() if not pipeline.uses_service]
"""A service elsewhere keeps its power; the kills say what becomes of it."""

MOODS = ("lost", "kept", "torn", "mixed")
IMAGES_SHORT, IMAGES_LONG = 40, 2250
PARTS = 10


def traced(sweep: Sweep) -> Trace:
    """What an undisturbed run asks of the disk."""
    sweep.world.begin()
    present = files_in(sweep.world.folder)
    end = sweep.run(TRACE, sweep.log)
    assert end.code in DONE, end.stderr
    return read_trace(sweep.world.folder, present, sweep.log)


def cut(sweep: Sweep, trace: Trace, rng: random.Random) -> Verdict:
    """Cut the power somewhere, and resume on what the disk may then hold."""
    at, mood = rng.randrange(1, len(trace.calls) + 1), rng.choice(MOODS)
    return cut_at(sweep, trace, at, mood, rng.random() < 0.5, rng)


def cut_at(sweep: Sweep, trace: Trace, at: int, mood: str, ordered: bool, rng: random.Random) -> Verdict:
    """Cut the power after call number `at`."""
    sweep.world.begin()
    put(sweep.world.folder, trace.disk_after(at).after_cut(rng, mood, ordered))
    verdict = Verdict(Case(f"{sweep.world.pipeline.name}, power cut after {at}, {mood}, {ordered=}", []))
    return sweep.go_on(verdict)


def commits_in(trace: Trace) -> list[int]:
    """After which calls something new is durable on record, the end of the trace among them."""
    synced = [
        call.number for call in trace.calls if call.kind in ("fsync", "fdatasync") and "audit.db" in call.path
    ]
    return [*synced, len(trace.calls)]


def survive_cuts(sweep: Sweep, seed: str, images: int, record: Any, what: str) -> None:
    rng = random.Random(seed)
    trace = traced(sweep)
    wrong = [verdict for verdict in (cut(sweep, trace, rng) for _ in range(images)) if verdict.wrong]
    count(record, what, images=images, bad=len(wrong))
    assert not wrong, f"{len(wrong)} of {images}\n" + "\n".join(map(str, wrong[:5]))


@pytest.mark.parametrize("name", LOCAL)
def test_what_a_disk_may_hold_after_a_power_cut_is_enough(
    name: str, sweeps: Any, record_property: Any
) -> None:
    survive_cuts(sweeps[name], name, IMAGES_SHORT, record_property, "power cuts, sampled")


@pytest.mark.parametrize("name", LOCAL)
def test_all_that_is_not_synced_may_be_lost_after_a_commit(
    name: str, sweeps: Any, record_property: Any
) -> None:
    sweep, rng = sweeps[name], random.Random(name)
    trace = traced(sweep)
    verdicts = [cut_at(sweep, trace, at, "lost", True, rng) for at in commits_in(trace)[-12:]]
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    count(record_property, "power cuts, sampled", images=len(verdicts), bad=len(wrong))
    assert not wrong, "\n".join(map(str, wrong[:5]))


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", LOCAL)
def test_power_cuts_at_length(name: str, part: int, sweeps: Any, record_property: Any) -> None:
    survive_cuts(sweeps[name], f"{name} {part}", IMAGES_LONG // PARTS, record_property, "power cuts")
