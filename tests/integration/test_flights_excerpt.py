"""The committed excerpt of the flights data is what examples/flights/data/README.md says it is."""

from pathlib import Path

import pytest

EXCERPT = Path(__file__).resolve().parents[2] / "examples" / "flights" / "data" / "flights.csv"


def is_kept(index: int, line: str) -> bool:
    fields = line.split(",")
    month, day, carrier = fields[1], fields[2], fields[9]
    return (
        (month == "1" and day in ("1", "2"))
        or carrier == "OO"
        or index % 210 == 0
        or ("NA" in fields and index % 40 == 0)
    )


@pytest.mark.full_data
def test_the_excerpt_is_exactly_the_rows_that_its_rule_keeps(full_flights_csv: Path) -> None:
    header, *rows = full_flights_csv.read_text(encoding="ascii").splitlines()

    kept = [line for index, line in enumerate(rows) if is_kept(index, line)]

    assert EXCERPT.read_text(encoding="ascii").splitlines() == [header, *kept]
