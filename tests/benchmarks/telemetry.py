"""What telemetry costs when it is off, and when it makes spans."""

import sys

from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import PROGRAMS, Command, Compared, interleave
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
        figure("telemetry off, against none at all", off, OFF_BAR),
        figure("spans on (console exporter), against none at all", on, ON_BAR),
    ]


def program(reference: Reference, which: str, environ: dict[str, str]) -> Command:
    """The reference pipeline, run in code; `which`: see programs/told.py."""
    argv = [sys.executable, PROGRAMS / "told.py", which, reference.folder / "pipeline.yaml"]
    return Command(argv, with_plugin(environ), reference.clear)


def figure(name: str, compared: Compared, bar: float) -> Figure:
    """The run alone, as the program says; a percent is less than what a process's start varies by."""
    took = [sorted(float(ran.said) for ran in runs) for runs in (compared.one, compared.other)]
    one, other = (times[len(times) // 2] for times in took)
    return Figure(
        name,
        (one / other - 1) * 100,
        "%",
        one / other,
        f"<= {bar}x",
        one / other <= bar,
        f"CPU of the run {one:.2f} s against {other:.2f} s; with start-up {compared.note()}",
    )
