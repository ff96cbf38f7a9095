"""Whole commands, measured from outside: wall time, CPU time of all their processes, peak memory.

Each command is started by a small launcher, since on Linux the peak memory of a process is never less than that of
the process which started it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PROGRAMS = Path(__file__).resolve().parent / "programs"
ROOT = PROGRAMS.parents[2]
WORK = ROOT / ".bench"
"""Where everything that the benchmarks write goes: on the disk that the checkout is on."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `prepare`, if given, is called before each run and is not measured."""

    argv: Sequence[object]
    environ: Mapping[str, str] | None = None
    prepare: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run of a command went. `said`: what it wrote to stdout."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    said: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Two commands that were run in turns."""

    one: Sequence[Ran]
    other: Sequence[Ran]

    @property
    def wall_ratio(self) -> float:
        """Wall time of `one` over that of `other`, medians."""
        return wall_s(self.one) / wall_s(self.other)

    @property
    def cpu_ratio(self) -> float:
        """CPU time of `one` over that of `other`, medians."""
        return cpu_s(self.one) / cpu_s(self.other)

    def note(self) -> str:
        """Both times, in words."""
        return (
            f"{wall_s(self.one):.2f} s against {wall_s(self.other):.2f} s, "
            f"CPU {cpu_s(self.one):.2f} s against {cpu_s(self.other):.2f} s ({self.cpu_ratio:.2f}x), "
            f"medians of {len(self.one)}"
        )


class CommandFailed(Exception):
    """A measured command did not succeed."""


def run(command: Command) -> Ran:
    """Run `command` once. Raises CommandFailed, with what it wrote to stderr."""
    if command.prepare is not None:
        command.prepare()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "measured.json"
        done = subprocess.run(
            [sys.executable, "-I", "-S", PROGRAMS / "launcher.py", result, *map(str, command.argv)],
            env=environ(command),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            shown = " ".join(map(str, command.argv))
            raise CommandFailed(f"{shown}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
        measured = json.loads(result.read_text())
    return Ran(measured["wall_s"], measured["cpu_s"], measured["peak_bytes"], done.stdout)


def environ(command: Command) -> dict[str, str]:
    """Ours, except that compiled modules are kept, as they are wherever frame is installed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | dict(command.environ or {})


def repeat(command: Command, rounds: int) -> list[Ran]:
    """Run `command` some times."""
    return [run(command) for _ in range(rounds)]


def interleave(one: Command, other: Command, rounds: int) -> Compared:
    """Run both in turns, in changing order, so that whatever else the machine does hits both."""
    ran: tuple[list[Ran], list[Ran]] = [], []
    for number in range(rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            ran[which].append(run((one, other)[which]))
    return Compared(*ran)


def wall_s(runs: Sequence[Ran]) -> float:
    """The median wall time."""
    return median(each.wall_s for each in runs)


def cpu_s(runs: Sequence[Ran]) -> float:
    """The median CPU time."""
    return median(each.cpu_s for each in runs)


def peak_bytes(runs: Sequence[Ran]) -> float:
    """The median peak memory."""
    return median(each.peak_bytes for each in runs)
