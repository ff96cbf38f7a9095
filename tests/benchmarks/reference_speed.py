"""The reference pipeline against a bare script, and against a record of one transaction each."""

import hashlib

from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import Command, interleave, run, wall_s
from tests.benchmarks.reference import QUICK_ROWS, ROWS, Reference

BARE_BAR = 6.0
BARE_AIM = 3.5
NAIVE_BAR = 60.0
NAIVE_AIM = 100.0
NAIVE_ROWS = 1_000


class Differs(Exception):
    """Two programs that should do the same do not."""


def measure(quick: bool = False) -> list[Figure]:
    """Both figures; whole processes, start-up included."""
    reference = Reference(QUICK_ROWS if quick else ROWS)
    same_output(reference)
    compared = interleave(reference.framed(), reference.bare(), rounds=1 if quick else 7)
    each_us = wall_s(compared.one) / reference.rows * 1e6
    return [
        Figure(
            f"reference pipeline, {reference.rows:,} rows, against a bare script",
            each_us,
            "µs a row",
            compared.wall_ratio,
            f"<= {BARE_BAR}x, aim {BARE_AIM}x",
            compared.wall_ratio <= BARE_BAR,
            compared.note(),
        ),
        against_naive(each_us, rounds=1 if quick else 3, rows=100 if quick else NAIVE_ROWS),
    ]


def against_naive(each_us: float, rounds: int, rows: int) -> Figure:
    """frame takes `each_us` a row, start-up included; the naive recorder is not charged for its start-up."""
    seconds = [float(run(Reference(rows).naive()).said) for _ in range(rounds)]
    naive_us = sorted(seconds)[len(seconds) // 2] / rows * 1e6
    return Figure(
        "the same against one SQLAlchemy transaction a record",
        naive_us,
        "µs a row",
        naive_us / each_us,
        f">= {NAIVE_BAR:g}x, aim {NAIVE_AIM:g}x",
        naive_us / each_us >= NAIVE_BAR,
        f"seven transactions a row, measured on {rows:,} rows and scaled; frame takes {each_us:.1f} µs a row",
    )


def same_output(reference: Reference) -> None:
    """Make sure that frame and the bare script write the same bytes. Raises Differs."""
    written = [written_by(command, reference) for command in (reference.framed(), reference.bare())]
    if written[0] != written[1]:
        raise Differs(f"frame and the bare script write different files: {written}")


def written_by(command: Command, reference: Reference) -> dict[str, str]:
    """SHA-256 of each output, by its name."""
    run(command)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((reference.folder / "out").iterdir())
    }
