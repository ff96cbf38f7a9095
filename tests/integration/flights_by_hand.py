"""What the flights example has to come to, worked out in plain Python: nothing of frame is used here."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

LATE_MIN = 60
"""A flight that arrives later than this is listed as late."""


@dataclass
class Totals:
    """Rows by sink, and arrival delays and gains by carrier, in the order of the file."""

    rows: int = 0
    cancelled: int = 0
    rejected: int = 0
    late: int = 0
    unknown_destinations: set[str] = field(default_factory=set)
    arr_delays: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    gains: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


def totals(flights: Path, airports: Path) -> Totals:
    """What becomes of the rows of `flights`, given which `airports` are known."""
    known = {airport["faa"] for airport in records(airports)}
    found = Totals()
    for flight in records(flights):
        found.rows += 1
        if flight["arr_delay"] in ("", "NA"):
            found.cancelled += 1
            continue
        if flight["dest"] not in known:
            found.rejected += 1
            found.unknown_destinations.add(flight["dest"])
            continue
        delay = int(flight["arr_delay"])
        found.late += delay > LATE_MIN
        found.arr_delays[flight["carrier"]].append(delay)
        found.gains[flight["carrier"]].append(int(flight["dep_delay"]) - delay)
    return found


def summary(found: Totals, airlines: Path) -> list[dict[str, str]]:
    """The lines of the summary as CSV text, one a carrier, in the order of their codes."""
    names = {airline["carrier"]: airline["name"] for airline in records(airlines)}
    return [
        {
            "carrier": carrier,
            "airline_name": names[carrier],
            "rows": str(len(delays)),
            **statistics("arr_delay", delays),
            **statistics("gain", found.gains[carrier]),
        }
        for carrier, delays in sorted(found.arr_delays.items())
    ]


def statistics(name: str, values: list[int]) -> dict[str, str]:
    """Count, mean, least and greatest of `values`; the mean is exact before it is rounded to a float."""
    mean = float(Fraction(sum(values), len(values)))
    told = {"count": len(values), "mean": mean, "min": min(values), "max": max(values)}
    return {f"{name}_{statistic}": str(value) for statistic, value in told.items()}


def records(path: Path) -> Iterator[dict[str, str]]:
    """The records of a CSV file, as text."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
