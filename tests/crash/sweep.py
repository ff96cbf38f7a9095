"""Killing a run at one call after the other, resuming it, and comparing it with one that nobody disturbed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.effective import differences, effective
from tests.crash.records import run_id_in, status_in
from tests.crash.shim import COUNT, NONE, Call, Fault, calls_in
from tests.crash.world import Ended, Frame, World

MOST_RESUMES = 8
DONE = (0, 1)
"""Exit codes of a run that has come to its end; 1: with dead letters."""

ENDED_WELL = ("completed", "completed_with_failures", "empty")


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an uninterrupted run leaves: exit code, contents of sinks, effective audit, and its calls in order."""

    code: int
    contents: dict[str, Any]
    audit: dict[str, list[Any]]
    calls: Sequence[Call]


@dataclass(frozen=True, slots=True)
class Case:
    """The faults of the run and of each resume after it; those after the last one are undisturbed."""

    pipeline: str
    faults: Sequence[Fault]

    def __str__(self) -> str:
        said = [
            f"{fault.mode} at {fault.at}"
            + (f" errno {fault.errno}" if fault.errno else "")
            + (" for good" if fault.persists else "")
            + (f" of {fault.kinds}" if fault.kinds else "")
            + (f" clock {fault.clock}" if fault.clock else "")
            for fault in self.faults
        ]
        return f"{self.pipeline}: {', then '.join(said)}"


@dataclass(slots=True)
class Verdict:
    """What came of a case; `wrong` is empty if nothing was lost, doubled or told falsely."""

    case: Case
    wrong: list[str] = field(default_factory=list)
    ends: list[Ended] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(end.was_killed for end in self.ends)

    def __str__(self) -> str:
        ends = "\n".join(f"    exit {end.code}: {end.stderr.strip()[-1200:]}" for end in self.ends)
        return f"{self.case}\n  " + "\n  ".join(self.wrong) + f"\n{ends}"


class Sweep:
    """Cases of one pipeline."""

    def __init__(self, frame: Frame, world: World) -> None:
        self.frame, self.world = frame, world
        self.baseline = self._undisturbed()

    @property
    def log(self) -> Path:
        return self.frame.home / "calls.log"

    def _undisturbed(self) -> Baseline:
        self.world.begin()
        end = self.ask("run", "pipeline.yaml", fault=COUNT, log=self.log)
        assert end.code in DONE, end.stderr
        run_id = run_id_in(self.world.url)
        assert run_id is not None
        return Baseline(end.code, self.world.contents(run_id), effective(self.world.url), calls_in(self.log))

    def run(self, fault: Fault = NONE, log: Path | None = None, failpoint: str = "") -> Ended:
        """Start the run, or go on with it if it is on record."""
        return self.ask(*self.command(), fault=fault, log=log, env={"FRAME_FAILPOINT": failpoint})

    def run_for(self, seconds: float) -> Ended:
        """As `run`, and kill it after so long."""
        return self.ask(*self.command(), limit_s=seconds)

    def ask(self, *args: str, env: Mapping[str, str] | None = None, **options: Any) -> Ended:
        """Run `frame ARGS` on the record of this world."""
        environment = {"FRAME_AUDIT": self.world.url, "FRAME_FAILPOINT": "", **(env or {})}
        end = self.frame(self.world.folder, *args, env=environment, **options)
        self.world.record.settle()
        return end

    def command(self) -> tuple[str, str]:
        """What `frame` has to be asked for now."""
        run_id = run_id_in(self.world.url)
        return ("run", "pipeline.yaml") if run_id is None else ("resume", run_id)

    def survive(self, case: Case) -> Verdict:
        """Disturb the run as `case` says, resume it until it is done, and compare."""
        self.world.begin()
        verdict = Verdict(case)
        for fault in case.faults:
            if self.is_over():
                break
            verdict.ends.append(self.run(fault))
        return self.go_on(verdict)

    def go_on(self, verdict: Verdict) -> Verdict:
        """Resume what is in the world until it is done, and compare."""
        while not self.is_over():
            if len(verdict.ends) == MOST_RESUMES:
                verdict.wrong.append(f"not done after {MOST_RESUMES} attempts")
                return verdict
            end = self.run()
            verdict.ends.append(end)
            if end.hung or end.code not in DONE:
                verdict.wrong.append(
                    f"nothing disturbed it, and it ended with {'a hang' if end.hung else end.code}"
                )
                return verdict
        verdict.wrong += self.compare()
        return verdict

    def is_over(self) -> bool:
        """Whether the newest run on record has ended well."""
        return status_in(self.world.url) in ENDED_WELL

    def compare(self) -> list[str]:
        """What is not as the undisturbed run has left it."""
        run_id = run_id_in(self.world.url)
        assert run_id is not None
        contents = self.world.contents(run_id)
        wrong = [
            f"{name}: {contents[name]!r:.300} where there should be {expected!r:.300}"
            for name, expected in self.baseline.contents.items()
            if contents[name] != expected
        ]
        wrong += differences(effective(self.world.url), self.baseline.audit)
        verified = self.ask("verify", run_id)
        if verified.code != 0:
            wrong.append(f"frame verify: exit {verified.code}: {verified.stdout}{verified.stderr}")
        return wrong
