"""A run that is killed at any call, and killed again while it is resumed, comes to the same end."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from tests.crash.figures import count
from tests.crash.pipelines import PIPELINES
from tests.crash.points import spread
from tests.crash.shim import COUNT, Fault, calls_in
from tests.crash.sweep import Case, Sweep

PARTS = 12
"""Tests into which the exhaustive sweep of a pipeline is cut, so that they can run side by side."""

DOUBLE_KILLS = 240
"""Kills during the resume after a kill, for each pipeline, in the long test."""


def survive(sweep: Sweep, cases: Iterable[Case], record: Any, what: str) -> None:
    """Fail with all that went wrong."""
    verdicts = [sweep.survive(case) for case in cases]
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    kills = sum(verdict.kills for verdict in verdicts)
    count(record, what, cases=len(verdicts), kills=kills, bad=len(wrong))
    assert not wrong, f"{len(wrong)} of {len(verdicts)}\n" + "\n".join(map(str, wrong[:5]))


def killed(name: str, points: Iterable[int], mode: str = "kill") -> list[Case]:
    return [Case(name, [Fault(mode, at)]) for at in points]


def killed_again(sweep: Sweep, points: Sequence[int], times: int, seed: str) -> list[Case]:
    """At each of `points` a kill, and then one at each of `times` calls of the resume.

    Not a third one: a row that was in hand each time would be taken for the cause, as it should be.
    """
    rng = random.Random(seed)
    cases = []
    for first in points:
        sweep.world.begin()
        sweep.run(Fault("kill", first))
        sweep.run(COUNT, sweep.log)
        calls = calls_in(sweep.log)
        seconds = rng.sample(range(1, len(calls) + 1), min(times, len(calls)))
        cases += [
            Case(sweep.world.pipeline.name, [Fault("kill", first), Fault("kill", at)]) for at in seconds
        ]
    return cases


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("name", PIPELINES)
def test_a_run_that_is_killed_at_a_call_ends_as_if_nothing_had_been(
    name: str, part: int, sweeps: Any, record_property: Any
) -> None:
    sweep = sweeps[name]
    points = spread(sweep.baseline.calls, 44, name)[part::4]

    survive(sweep, killed(name, points[:-2]), record_property, "kills, sampled")
    survive(sweep, killed(name, points[-2:], "kill-after"), record_property, "kills, sampled")


@pytest.mark.parametrize("name", PIPELINES)
def test_a_resume_that_is_killed_can_be_resumed(name: str, sweeps: Any, record_property: Any) -> None:
    sweep = sweeps[name]
    last = len(sweep.baseline.calls)
    points = [round(last * share) for share in (0.5, 0.75, 0.98)]

    survive(sweep, killed_again(sweep, points, 2, name), record_property, "double kills, sampled")


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", PIPELINES)
def test_kills_at_every_call(name: str, part: int, sweeps: Any, record_property: Any) -> None:
    sweep = sweeps[name]
    points = range(part + 1, len(sweep.baseline.calls) + 1, PARTS)

    survive(sweep, killed(name, points), record_property, "kills, exhaustive")


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("name", PIPELINES)
def test_kills_during_the_resume_after_kills(name: str, part: int, sweeps: Any, record_property: Any) -> None:
    sweep = sweeps[name]
    times = 10
    points = spread(sweep.baseline.calls, DOUBLE_KILLS // times, f"{name} again")[part::4]

    survive(sweep, killed_again(sweep, points, times, f"{name} {part}"), record_property, "double kills")
