"""A run that keeps its record in PostgreSQL is killed at any call, messages to the server included.

Until a COMMIT is sent, the server undoes what a killed process has told it; from then on it does it. A `recv` is no
place of its own: the server does what it was sent whether or not anybody waits for the answer.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.crash.figures import count
from tests.crash.pipelines import PIPELINES
from tests.crash.points import spread
from tests.crash.shim import Call
from tests.crash.sweep import Case, Sweep
from tests.crash.test_crash_failpoints import NAMES, OF_RETRIES, PIPELINE, killed_at
from tests.crash.test_crash_sweep import killed, killed_again, survive

PARTS = 12
COMMIT = len(b"Q" + bytes(4) + b"COMMIT\0")
SHORT = ("after_run_opened", "after_takeover")
DOUBLE_KILLS = 60


def places(sweep: Sweep) -> list[Call]:
    """The calls after which the world may be another than before."""
    return [call for call in sweep.baseline.calls if not is_of_server(call, "recv")]


def is_of_server(call: Call, kind: str) -> bool:
    return call.path == "postgresql" and call.kind == kind


def commits(sweep: Sweep) -> list[int]:
    """The calls that send a COMMIT."""
    found = [call for call in sweep.baseline.calls if is_of_server(call, "send") and call.size == COMMIT]
    assert len(found) > 5, "it is sent in another way"
    return [call.number for call in found]


def at_commits(sweep: Sweep, points: Sequence[int]) -> Iterator[Case]:
    """Killed when a COMMIT was about to be sent, and when it was sent and not answered."""
    for mode in ("kill", "kill-after"):
        yield from killed(sweep.world.pipeline.name, points, mode)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_run_on_postgresql_that_is_killed_ends_as_if_nothing_had_been(
    name: str, postgresql_sweeps: Any, record_property: Any
) -> None:
    sweep = postgresql_sweeps[name]
    chance = random.Random(name)
    points = chance.sample([call.number for call in places(sweep)], 1)

    survive(sweep, killed(name, points), record_property, "kills on PostgreSQL, sampled")
    commit = [chance.choice(commits(sweep))]
    survive(sweep, at_commits(sweep, commit), record_property, "kills on PostgreSQL, sampled")


def test_a_resume_on_postgresql_that_is_killed_can_be_resumed(
    postgresql_sweeps: Any, record_property: Any
) -> None:
    sweep = postgresql_sweeps[PIPELINE]
    half = commits(sweep)[len(commits(sweep)) // 2]

    cases = killed_again(sweep, [half], 2, "postgresql")
    survive(sweep, cases, record_property, "double kills on PostgreSQL, sampled")


def survive_at_failpoint(sweep: Sweep, name: str, record: Any) -> None:
    verdict = killed_at(sweep, name)

    assert verdict.ends[-1].was_killed, f"no test reaches failpoint {name!r}"
    sweep.go_on(verdict)
    count(record, "failpoints on PostgreSQL", names=1, bad=bool(verdict.wrong))
    assert not verdict.wrong, str(verdict)


@pytest.mark.parametrize("name", SHORT)
def test_a_run_on_postgresql_that_is_killed_at_a_failpoint_ends_as_if_nothing_had_been(
    name: str, postgresql_sweeps: Any, record_property: Any
) -> None:
    survive_at_failpoint(postgresql_sweeps[PIPELINE], name, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in NAMES if name != OF_RETRIES])
def test_kills_on_postgresql_at_every_failpoint(
    name: str, postgresql_sweeps: Any, record_property: Any
) -> None:
    survive_at_failpoint(postgresql_sweeps[PIPELINE], name, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", PIPELINES)
def test_kills_on_postgresql_at_every_call(
    name: str, part: int, postgresql_sweeps: Any, record_property: Any
) -> None:
    sweep = postgresql_sweeps[name]
    points = [call.number for call in places(sweep)][part::PARTS]

    survive(sweep, killed(name, points), record_property, "kills on PostgreSQL, exhaustive")


@pytest.mark.soak
@pytest.mark.parametrize("name", PIPELINES)
def test_kills_on_postgresql_at_every_commit(name: str, postgresql_sweeps: Any, record_property: Any) -> None:
    sweep = postgresql_sweeps[name]
    cases = killed(name, commits(sweep), "kill-after")

    survive(sweep, cases, record_property, "kills on PostgreSQL with a COMMIT on its way")


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("name", PIPELINES)
def test_kills_on_postgresql_during_the_resume_after_kills(
    name: str, part: int, postgresql_sweeps: Any, record_property: Any
) -> None:
    sweep = postgresql_sweeps[name]
    times = 5
    points = spread(places(sweep), DOUBLE_KILLS // times, f"{name} again")[part::4]

    cases = killed_again(sweep, points, times, f"{name} {part}")
    survive(sweep, cases, record_property, "double kills on PostgreSQL")
