"""Whether memory grows with the number of rows."""

from statistics import median

from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import repeat
from tests.benchmarks.reference import QUICK_ROWS, ROWS, Reference

BAR = 1.15


def measure(quick: bool = False) -> list[Figure]:
    """Peak memory of the reference pipeline at ten times the rows."""
    few = Reference(QUICK_ROWS if quick else ROWS)
    many = Reference(few.rows * 10)
    rounds = 1 if quick else 2
    small = median(ran.peak_bytes for ran in repeat(few.framed(), rounds))
    large = median(ran.peak_bytes for ran in repeat(many.framed(), rounds))
    return [
        Figure(
            f"peak memory at {many.rows:,} rows against {few.rows:,}",
            large / 1e6,
            "MB",
            large / small,
            f"<= {BAR}x",
            large / small <= BAR,
            f"{small / 1e6:.1f} MB at {few.rows:,} rows",
        )
    ]
