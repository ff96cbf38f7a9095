"""What telemetry costs when it is off, and when it makes spans."""

import sys
from statistics import median

from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import PROGRAMS, Command, Compared, Ran, interleave
from tests.benchmarks.reference import QUICK_ROWS, ROWS, Reference, with_plugin

OFF_BAR = 1.01
ON_BAR = 1.05


def measure(quick: bool = False) -> list[Figure]:
    """CPU time of the reference pipeline with telemetry off, and with spans, against none at all."""
    reference, rounds = Reference(QUICK_ROWS if quick else ROWS), 1 if quick else 11
    none = program(reference, "without", {})
    off = interleave(program(reference, "as-shipped", {}), none, rounds)
    spans = {"OTEL_TRACES_EXPORTER": "console"}
    on = interleave(program(reference, "as-shipped", spans), none, rounds)
    return [
        accounted("telemetry off", off, OFF_BAR),
        compared("telemetry off, against none at all", off),
        accounted("spans on (console exporter)", on, ON_BAR),
        compared("spans on (console exporter), against none at all", on),
    ]


def program(reference: Reference, which: str, environ: dict[str, str]) -> Command:
    """The reference pipeline, run in code; `which`: see programs/told.py."""
    argv = [sys.executable, PROGRAMS / "told.py", which, reference.folder / "pipeline.yaml"]
    return Command(argv, with_plugin(environ), reference.clear)


def accounted(name: str, runs: Compared, bar: float) -> Figure:
    """How much of a run's CPU time goes into telemetry, by the clocks of the threads that work for it.

    This decides: single runs differ by more than the bars, and the account does not.
    """
    shares = sorted(spent / (whole - spent) for whole, spent in map(_said, runs.one))
    share = shares[len(shares) // 2]
    note = f"of the CPU time of the rest, SDK import included; from {shares[0]:.2%} to {shares[-1]:.2%}"
    return Figure(name, share * 100, "%", 1 + share, f"<= {bar}x", 1 + share <= bar, note)


def compared(name: str, runs: Compared) -> Figure:
    """The whole run beside one without telemetry, for the record."""
    one, other = ([whole for whole, _ in map(_said, ran)] for ran in (runs.one, runs.other))
    ratio = median(one) / median(other)
    spread = f"single runs from {min(other):.2f} to {max(other):.2f} s without, {min(one):.2f} to {max(one):.2f} with"
    return Figure(name, (ratio - 1) * 100, "%", ratio, "", None, f"CPU of the run; {spread}")


def _said(ran: Ran) -> tuple[float, float]:
    whole, spent = map(float, ran.said.split())
    return whole, spent
