"""Whatever a system call answers, the run stops cleanly or goes on, and loses nothing."""

import errno
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from tests.crash.errors import TROUBLES, Trouble, calls_of, suffer
from tests.crash.figures import count
from tests.crash.pipelines import PIPELINES
from tests.crash.shim import Fault, calls_in
from tests.crash.sweep import Case, Sweep, Verdict

PARTS = 6


def points_of(sweep: Sweep, trouble: Trouble) -> list[int]:
    """The calls that may answer so in an undisturbed run, numbered among themselves."""
    sweep.world.begin()
    sweep.run(Fault("count", kinds=trouble.kinds), sweep.log)
    return list(range(1, len(calls_of(calls_in(sweep.log), trouble)) + 1))


def withstand(
    sweep: Sweep, trouble: Trouble, cases: Iterable[tuple[int, bool]], record: Any, what: str
) -> None:
    """`cases`: the number of the call that fails, and whether all later ones do, too."""
    verdicts = [suffer(sweep, trouble, at, persists and not trouble.passes) for at, persists in cases]
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    count(record, what, cases=len(verdicts), bad=len(wrong))
    assert not wrong, f"{len(wrong)} of {len(verdicts)}\n" + "\n".join(map(str, wrong[:5]))


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
@pytest.mark.parametrize("name", PIPELINES)
def test_a_call_that_fails_stops_the_run_cleanly_or_not_at_all(
    name: str, trouble: Trouble, sweeps: Any, record_property: Any
) -> None:
    points = points_of(sweeps[name], trouble)
    chosen = random.Random(f"{name} {trouble}").sample(points, min(2, len(points)))
    cases = zip(chosen, (False, True), strict=False)

    withstand(sweeps[name], trouble, cases, record_property, "failing calls, sampled")


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
@pytest.mark.parametrize("name", PIPELINES)
def test_failures_of_every_call(
    name: str, trouble: Trouble, part: int, sweeps: Any, record_property: Any
) -> None:
    points = points_of(sweeps[name], trouble)[part::PARTS]
    cases = [(at, persists) for at in points for persists in (False, True)]

    withstand(sweeps[name], trouble, cases, record_property, "failing calls")


LIMITS = """
import resource, sys
kind, limit = sys.argv[1], int(sys.argv[2])
resource.setrlimit(getattr(resource, kind), (limit, limit))
import runpy
sys.argv = ["frame", *sys.argv[3:]]
runpy.run_module("frame", run_name="__main__")
"""


@pytest.mark.parametrize("limit", [70_000, 200_000, 700_000, 900_000])
def test_a_limit_on_the_size_of_files_stops_the_run_and_it_can_be_resumed(limit: int, sweeps: Any) -> None:
    """As `ulimit -f`; Python ignores SIGXFSZ, so that a write answers EFBIG."""
    verdict = limited(sweeps["files"], "RLIMIT_FSIZE", limit)

    assert not verdict.wrong, str(verdict)


@pytest.mark.parametrize("limit", [16, 20, 24, 32])
def test_a_limit_on_descriptors_stops_the_run_and_it_can_be_resumed(limit: int, sweeps: Any) -> None:
    """As `ulimit -n`."""
    verdict = limited(sweeps["mixed"], "RLIMIT_NOFILE", limit)

    assert not verdict.wrong, str(verdict)


def limited(sweep: Sweep, kind: str, limit: int) -> Verdict:
    """A run under a limit of the system, and its resume without one."""
    sweep.world.begin()
    done = subprocess.run(
        [sys.executable, "-c", LIMITS, kind, str(limit), *sweep.command()],
        cwd=sweep.world.folder,
        env={**sweep.frame.environment, "FRAME_AUDIT": sweep.world.url},
        capture_output=True,
        text=True,
        check=False,
    )
    verdict = Verdict(Case(f"{sweep.world.pipeline.name}, {kind} {limit}", []))
    if done.returncode not in (0, 6) or "Traceback" in done.stderr:
        verdict.wrong.append(f"exit code {done.returncode}: {done.stderr[-2000:]}")
    if done.returncode == 6 and not re.search(r"audit\.db|out|too large|Too many open files", done.stderr):
        verdict.wrong.append(f"the message does not say where: {done.stderr}")
    return sweep.go_on(verdict)


def test_nobody_who_reads_standard_output_ends_a_run_that_writes_there(sweeps: Any) -> None:
    """A sink that writes to a pipe whose reader has gone."""
    sweep = sweeps["files"]
    sweep.world.begin()
    pipeline = sweep.world.folder / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("path: out/small.csv", 'path: "-"'))

    end = sweep.run(Fault("fail", 1, errno.EPIPE, persists=True, kinds="write", stdout=True))

    assert end.code == 6, end.stderr
    assert "small_ones" in end.stderr
    again = sweep.run()
    assert again.code == 0, again.stderr
