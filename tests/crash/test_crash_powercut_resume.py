"""The power fails while a run is being resumed. What the killed run had not synced was never safe, and a resume that
builds on it has to make it so before it relies on it."""

import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.crash.figures import count
from tests.crash.powercut import Trace, put, read_trace
from tests.crash.shim import TRACE
from tests.crash.sweep import DONE, Case, Sweep, Verdict
from tests.crash.test_crash_powercut import LOCAL, MOODS, commits_in, traced

STOPS_SHORT, CUTS_SHORT = 3, 8
STOPS_LONG, CUTS_LONG = 60, 15
"""How often the first run is stopped, and how often the power fails in the resume after each of these."""


def killed_at(trace: Trace, at: int) -> dict[str, bytes]:
    """What is there after a kill at call `at`: all that was asked for, for the machine went on."""
    return trace.disk_after(at).after_cut(random.Random(0), "kept", True)


def resumed(sweep: Sweep, before: Trace, at: int, image: dict[str, bytes]) -> Trace | None:
    """What `before` had asked of the disk up to call `at`, and then a resume of what `image` holds, in folders that
    `before` has made; None if there is nothing to resume."""
    sweep.world.begin()
    for path, inode in before.disk_after(at).names.items():
        if inode.is_folder:
            Path(path).mkdir(parents=True, exist_ok=True)
    put(sweep.world.folder, image)
    if sweep.is_over():
        return None
    end = sweep.run(TRACE, sweep.log)
    assert end.code in DONE, end.stderr
    after = read_trace(sweep.world.folder, {}, sweep.log)
    done = before.ends[at - 1] if at else 0
    return Trace(
        before.root,
        before.present,
        [*before.calls[:at], *after.calls],
        before.data[:done] + after.data,
        [*before.ends[:at], *(done + end for end in after.ends)],
    )


def stopped(sweep: Sweep, trace: Trace, rng: random.Random) -> tuple[str, int, Trace] | None:
    """A run that was stopped somewhere, by a kill or by a first power cut, and is resumed; where, and after how
    many calls the resume begins."""
    at = rng.choice(commits_in(trace)) if rng.random() < 0.3 else rng.randrange(1, len(trace.calls) + 1)
    if rng.random() < 0.6:
        both = resumed(sweep, trace, at, killed_at(trace, at))
        return None if both is None else (f"killed after {at}", at, both)
    image = trace.disk_after(at).after_cut(rng, rng.choice(MOODS), rng.random() < 0.5)
    # What a disk holds when the power is back is durable, all of it.
    both = resumed(sweep, Trace(trace.root, image, [], b"", []), 0, image)
    return None if both is None else (f"first power cut after {at}", 0, both)


def cut_resume(sweep: Sweep, how: str, begins: int, both: Trace, rng: random.Random) -> Verdict:
    """Cut the power somewhere in the resume, and resume again."""
    at, mood, ordered = rng.randrange(begins, len(both.calls) + 1), rng.choice(MOODS), rng.random() < 0.5
    sweep.world.begin()
    put(sweep.world.folder, both.disk_after(at).after_cut(rng, mood, ordered))
    said = f"{sweep.world.pipeline.name}, {how}, then a power cut after {at - begins} of the resume, {mood}"
    return sweep.go_on(Verdict(Case(f"{said}, {ordered=}", [])))


def survive_cuts_of_resumes(sweep: Sweep, seed: str, stops: int, cuts: int, record: Any, what: str) -> None:
    rng = random.Random(seed)
    trace = traced(sweep)
    open_runs = filter(None, (stopped(sweep, trace, rng) for _ in range(10 * stops)))
    verdicts = [
        cut_resume(sweep, how, begins, both, rng)
        for how, begins, both in islice(open_runs, stops)
        for _ in range(cuts)
    ]
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    count(record, what, images=len(verdicts), bad=len(wrong))
    assert len(verdicts) == stops * cuts
    assert not wrong, f"{len(wrong)} of {len(verdicts)}\n" + "\n".join(map(str, wrong[:5]))


@pytest.mark.parametrize("name", LOCAL)
def test_a_resume_is_as_safe_from_power_cuts_as_a_run(name: str, sweeps: Any, record_property: Any) -> None:
    survive_cuts_of_resumes(
        sweeps[name], name, STOPS_SHORT, CUTS_SHORT, record_property, "power cuts in resumes, sampled"
    )


@pytest.mark.soak
@pytest.mark.parametrize("name", LOCAL)
def test_power_cuts_in_resumes_at_length(name: str, sweeps: Any, record_property: Any) -> None:
    survive_cuts_of_resumes(
        sweeps[name], f"long {name}", STOPS_LONG, CUTS_LONG, record_property, "power cuts in resumes"
    )


@pytest.mark.parametrize("name", ["files"])
def test_folders_that_a_killed_run_has_made_are_as_durable_as_what_its_resume_puts_there(
    name: str, sweeps: Any, record_property: Any
) -> None:
    sweep, rng = sweeps[name], random.Random(name)
    trace = traced(sweep)
    made = [call.number for call in trace.calls if call.kind == "mkdir"]
    verdicts = []
    for at in made:
        both = resumed(sweep, trace, at, killed_at(trace, at))
        if both is None:
            continue  # a folder of receipts is made when all is over
        for cut in commits_in(both)[-4:]:
            sweep.world.begin()
            put(sweep.world.folder, both.disk_after(cut).after_cut(rng, "lost", False))
            verdicts.append(
                sweep.go_on(Verdict(Case(f"{name}, killed after {at}, then all lost at {cut}", [])))
            )
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    count(record_property, "power cuts in resumes, sampled", images=len(verdicts), bad=len(wrong))
    assert verdicts
    assert not wrong, f"{len(wrong)} of {len(verdicts)}\n" + "\n".join(map(str, wrong[:5]))


def test_a_record_is_durable_with_the_folders_that_are_made_for_it(sweeps: Any) -> None:
    sweep = sweeps["files"]
    sweep.world.begin()
    root, store = sweep.world.folder, sweep.world.folder / "new" / "deep" / "audit.db"
    audit = ("--audit", f"sqlite:///{store}")

    end = sweep.ask("run", "pipeline.yaml", *audit, fault=TRACE, log=sweep.log)
    trace = read_trace(root, {}, sweep.log)
    commits = [call.number for call in trace.calls if call.path == f"{store}-wal" and "sync" in call.kind]

    assert end.code in DONE, end.stderr
    assert commits
    for at in commits:
        assert str(store) in trace.disk_after(at).after_cut(random.Random(0), "lost", False), at
    image = trace.disk_after(len(trace.calls)).after_cut(random.Random(0), "lost", False)
    assert [name for name in image if name.endswith(".receipt")]
