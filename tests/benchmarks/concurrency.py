"""How much faster slow calls are when many are under way."""

import sys
from statistics import median

from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import PROGRAMS, WORK, Command, Ran, run

BAR = 25.0
AT_ONCE = 32
CALL_MS = 50


def measure(quick: bool = False) -> list[Figure]:
    """One figure each for a plain and an `async def` transform."""
    return [compare(style, quick) for style in ("sync", "async")]


def compare(style: str, quick: bool) -> Figure:
    """The rate with many calls at a time against that with one, from the first plugin to the last."""
    rounds, alone_rows, rows = (1, 10, 64) if quick else (3, 100, 3_200)
    alone, many = [], []
    for _ in range(rounds):
        alone.append(rate(style, 1, alone_rows))
        many.append(rate(style, AT_ONCE, rows))
    ratio = median(many) / median(alone)
    return Figure(
        f"{CALL_MS} ms I/O transform, concurrency {AT_ONCE}, {style}",
        median(many),
        "rows/s",
        ratio,
        f">= {BAR:g}x",
        ratio >= BAR,
        f"one at a time {median(alone):.1f} rows/s ({alone_rows} rows against {rows:,})",
    )


def rate(style: str, concurrency: int, rows: int) -> float:
    """Rows a second."""
    folder = WORK / "io"
    folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, PROGRAMS / "waiting.py", folder, style, str(concurrency), str(rows)]
    ran: Ran = run(Command(argv))
    return rows / float(ran.said)
