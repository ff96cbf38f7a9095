"""How much faster a row's canonical form and SHA-256 are than with the `rfc8785` package.

python tests/benchmarks/canonical_speed.py
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter_ns
from typing import Any

import rfc8785
from frame.canonical import canonical_row, canonical_rows, digest, digests
from frame.rows import freeze

ROWS = 1000
ROUNDS = 15
BAR = 4.0


def measure() -> list[dict[str, Any]]:
    """For each case: name, ours_us, baseline_us (a row), ratio (median of interleaved runs), bar."""
    plain, dated = table(dated=False), table(dated=True)
    return [
        compare("canonical form + SHA-256, 10 fields, one by one", one_by_one, plain, plain),
        compare("canonical form + SHA-256, 10 fields, a chunk at once", at_once, plain, plain),
        compare("the same with a datetime (baseline: as text)", one_by_one, dated, as_text(dated)),
        compare(
            "the same with a datetime, a chunk at once (baseline: as text)", at_once, dated, as_text(dated)
        ),
    ]


def table(*, dated: bool) -> list[dict[str, Any]]:
    first = datetime(2013, 1, 1, tzinfo=UTC)
    return [
        freeze(
            {
                "year": 2013,
                "month": 1 + number % 12,
                "carrier": ("UA", "AA", "B6", "DL")[number % 4],
                "flight": number,
                "tail": f"N{number}",
                "dep_delay": number / 8,
                "arr_delay": number % 97 - 0.5,
                "late": number % 3 == 0,
                "note": None,
                "dest": first + timedelta(minutes=number) if dated else "IAH",
            }
        )
        for number in range(ROWS)
    ]


def as_text(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "dest": row["dest"].isoformat()} for row in rows]


def one_by_one(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        digest(canonical_row(row))


def at_once(rows: list[dict[str, Any]]) -> None:
    digests(canonical_rows(rows))


def baseline(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        hashlib.sha256(rfc8785.dumps(row)).digest()


def compare(
    name: str,
    ours: Callable[[list[dict[str, Any]]], None],
    rows: list[dict[str, Any]],
    theirs: list[dict[str, Any]],
) -> dict[str, Any]:
    our_times, their_times = [], []
    for _ in range(ROUNDS):
        our_times.append(micros_a_row(ours, rows))
        their_times.append(micros_a_row(baseline, theirs))
    ratio = median(slow / fast for slow, fast in zip(their_times, our_times, strict=True))
    result = {"name": name, "ours_us": median(our_times), "baseline_us": median(their_times), "ratio": ratio}
    return {**result, "bar": BAR}


def micros_a_row(work: Callable[[list[dict[str, Any]]], None], rows: list[dict[str, Any]]) -> float:
    """Microseconds a row."""
    started = perf_counter_ns()
    work(rows)
    return (perf_counter_ns() - started) / 1000 / len(rows)


if __name__ == "__main__":
    for case in measure():
        figures = f"{case['ours_us']:6.2f} µs  {case['baseline_us']:6.2f} µs  {case['ratio']:5.1f}x (bar {case['bar']})"
        print(f"{case['name']:64}{figures}")
