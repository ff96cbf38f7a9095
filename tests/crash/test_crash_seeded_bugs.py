"""The harness finds bugs: each of a list of one-line bugs, put into a copy of the sources, is found."""

import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.crash.errors import TROUBLES, suffer
from tests.crash.figures import count
from tests.crash.pipelines import PIPELINES
from tests.crash.points import spread
from tests.crash.seeded_bugs import BUGS, Bug
from tests.crash.shim import Fault
from tests.crash.sweep import DONE, Case, Sweep, Verdict
from tests.crash.test_crash_clocks import ASLEEP, LATER, asleep
from tests.crash.test_crash_errors import points_of
from tests.crash.test_crash_powercut import commits_in, cut, cut_at, traced
from tests.crash.world import ROOT, SOURCES, Frame, Service, World


def kills(sweep: Sweep) -> Iterator[Verdict]:
    points = spread(sweep.baseline.calls, 120, "seeded")
    for at in random.Random(1).sample(points, len(points)):
        yield sweep.survive(Case(sweep.world.pipeline.name, [Fault("kill", at)]))


def power_cuts(sweep: Sweep) -> Iterator[Verdict]:
    rng, trace = random.Random(2), traced(sweep)
    for at in reversed(commits_in(trace)):
        yield cut_at(sweep, trace, at, "lost", True, rng)
    for _ in range(100):
        yield cut(sweep, trace, rng)


def leftovers(sweep: Sweep) -> Iterator[Verdict]:
    """Behind what was confirmed stands more than will be written again, as blocks that a power cut has left."""
    for at in range(1, 5):
        sweep.world.begin()
        verdict = Verdict(Case(f"killed after commit {at}, and longer files", []))
        verdict.ends.append(sweep.run(failpoint=f"after_commit:{at}=kill"))
        for part in sweep.world.folder.rglob("*.part"):
            with part.open("ab") as file:
                file.write(bytes(4096))
        yield sweep.go_on(verdict)


def short_writes(sweep: Sweep) -> Iterator[Verdict]:
    trouble = next(trouble for trouble in TROUBLES if trouble.mode == "short")
    for at in reversed(points_of(sweep, trouble)):
        yield suffer(sweep, trouble, at, persists=False)


def sleepers(sweep: Sweep) -> Iterator[Verdict]:
    for place in ASLEEP:
        owner = asleep(sweep, place)
        held, taken = sweep.run(), sweep.run(LATER)
        os.kill(owner.pid, signal.SIGCONT)
        owner.communicate(timeout=60)
        verdict = Verdict(Case(f"asleep at {place}", []), ends=[held, taken])
        if (held.code, owner.returncode) != (75, 6) or taken.code not in DONE:
            verdict.wrong.append(f"exit codes {held.code}, {taken.code}, {owner.returncode}")
        yield sweep.go_on(verdict)


def doubts(sweep: Sweep) -> Iterator[Verdict]:
    """A visit that a kill cut short stands on record as one that is in doubt."""
    for at in range(1, 4):
        sweep.world.begin()
        verdict = Verdict(Case(f"killed after announcement {at}", []))
        verdict.ends.append(sweep.run(failpoint=f"after_announcement:{at}=kill"))
        sweep.go_on(verdict)
        with closing(sqlite3.connect(sweep.world.audit)) as connection:
            told = connection.execute(
                "SELECT count(*) FROM node_states WHERE status = 'in_doubt'"
            ).fetchone()[0]
        if not told:
            verdict.wrong.append("no visit is in doubt")
        yield verdict


def tampering(sweep: Sweep) -> Iterator[Verdict]:
    """A changed duration is found by `frame verify`."""
    sweep.world.begin()
    verdict = Verdict(Case("tampered with", []), ends=[sweep.run()])
    with closing(sqlite3.connect(sweep.world.audit)) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'segments'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE segments SET duration_us = duration_us + 1 WHERE kind = 'visited'")
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()
    verdict.wrong += [] if any("frame verify" in said for said in sweep.compare()) else ["it was not found"]
    yield verdict


HARNESSES: dict[str, Callable[[Sweep], Iterator[Verdict]]] = {
    "kill": kills,
    "power": power_cuts,
    "leftover": leftovers,
    "short": short_writes,
    "sleep": sleepers,
    "doubt": doubts,
    "tamper": tampering,
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources."""
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def is_found(bug: Bug, tree: Path, home: Path, packages: Path, service: Service) -> bool:
    """Whether the harness says that something is wrong with the sources in `tree`."""
    home.mkdir()
    frame = Frame(home, tree, packages)
    try:
        sweep = Sweep(frame, World(PIPELINES[bug.pipeline], home / "worlds" / bug.pipeline, service))
        return any(verdict.wrong for verdict in HARNESSES[bug.harness](sweep))
    except AssertionError:
        return True
    finally:
        frame.close()


def seeded(bug: Bug, tree: Path, frame: Frame, service: Service, record: Any) -> None:
    bug.seed(tree)

    found = is_found(bug, tree, frame.home / f"bug-{BUGS.index(bug)}", frame.packages, service)

    count(record, "seeded bugs", bugs=1, found=found)
    assert found, f"nobody notices that {bug.name}"


SHORT = ("nothing is cut off", "it is delivered again under another key", "a file is not synced")


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SHORT], ids=lambda bug: bug.name)
def test_a_bug_that_is_put_in_is_found(
    bug: Bug, tree: Path, frame: Frame, service: Service, record_property: Any
) -> None:
    seeded(bug, tree, frame, service, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name not in SHORT], ids=lambda bug: bug.name)
def test_every_bug_that_is_put_in_is_found(
    bug: Bug, tree: Path, frame: Frame, service: Service, record_property: Any
) -> None:
    seeded(bug, tree, frame, service, record_property)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_put_in(bug: Bug, tree: Path) -> None:
    bug.seed(tree)


@pytest.mark.soak
@pytest.mark.parametrize("harness", HARNESSES)
def test_sources_without_a_bug_are_found_right(
    harness: str, tree: Path, frame: Frame, service: Service
) -> None:
    pipeline = next(bug.pipeline for bug in BUGS if bug.harness == harness)
    bug = Bug("none", "", "", "", harness, pipeline)
    found = is_found(bug, tree, frame.home / f"right-{harness}", frame.packages, service)

    assert not found
