"""The flights example over all 336,776 flights comes to what plain Python works out, and keeps a small record."""

import json
import os
import shutil
import sqlite3
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration import flights_by_hand
from tests.integration.flights_by_hand import Totals

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights"
ROWS = 336_776
MOST_BYTES_A_ROW = 450
"""The bar for the audit file, payloads included."""

pytestmark = [pytest.mark.full_data, pytest.mark.slow]


@dataclass(frozen=True)
class Year:
    """The run over the whole year: its folder, what `frame run --json` said, and what it should have come to."""

    folder: Path
    said: dict[str, Any]
    by_hand: Totals

    def out(self, name: str) -> list[dict[str, str]]:
        return list(flights_by_hand.records(self.folder / "out" / name))

    @property
    def audit(self) -> Path:
        return self.folder / ".frame" / "audit.db"


@pytest.fixture(scope="module")
def year(full_flights_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Year:
    folder = tmp_path_factory.mktemp("year") / "flights"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("out", ".frame", "flights.csv"))
    (folder / "data" / "flights.csv").symlink_to(full_flights_csv)
    done = subprocess.run(
        ["frame", "run", "--quiet", "--json", "pipeline.yaml"],
        cwd=folder,
        env={**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = flights_by_hand.totals(full_flights_csv, folder / "data" / "airports.csv")
    return Year(folder, json.loads(done.stdout), found)


@pytest.fixture
def record(year: Year) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(year.audit)) as connection:
        yield connection


def test_every_sink_has_the_rows_that_plain_python_counts(year: Year):
    by_hand = year.by_hand

    assert by_hand.rows == year.said["counters"]["rows"] == ROWS
    assert year.said["sinks"] == {
        "late_flights": by_hand.late,
        "summary": len(by_hand.arr_delays),
        "cancelled": by_hand.cancelled,
        "rejected": by_hand.rejected,
    }
    assert year.said["counters"]["open"] == 0


def test_the_statistics_of_every_carrier_are_those_of_plain_python(year: Year):
    expected = flights_by_hand.summary(year.by_hand, year.folder / "data" / "airlines.csv")

    assert year.out("summary.csv") == expected
    assert (
        sum(int(carrier["rows"]) for carrier in expected)
        == ROWS - year.by_hand.cancelled - year.by_hand.rejected
    )


def test_the_rejected_rows_are_the_flights_to_airports_that_nobody_listed(year: Year):
    text = (year.folder / "out" / "rejected.jsonl").read_text(encoding="utf-8")
    rejected = [json.loads(line) for line in text.splitlines()]

    assert len(rejected) == year.by_hand.rejected
    assert (
        {row["dest"] for row in rejected} == year.by_hand.unknown_destinations == {"BQN", "PSE", "SJU", "STT"}
    )
    assert {row["_error"]["message"] for row in rejected} == {
        f"'dest' '{airport}' is not in airports.csv" for airport in year.by_hand.unknown_destinations
    }


def test_the_late_flights_carry_what_both_branches_found(year: Year):
    late = year.out("late.csv")

    assert Counter(flight["punctuality"] for flight in late).keys() == {"late", "very late"}
    assert all((flight["punctuality"] == "very late") == (int(flight["arr_delay"]) > 180) for flight in late)
    assert all(flight["airline_name"] and flight["dest_name"] for flight in late)


def test_the_record_has_every_row_and_every_token_once(record: sqlite3.Connection):
    rows = record.execute("SELECT count(*) FROM rows").fetchone()[0]
    tokens = record.execute("SELECT count(*), count(DISTINCT token) FROM tokens").fetchone()
    ended = record.execute("SELECT count(*), count(DISTINCT token) FROM token_outcomes").fetchone()

    assert rows == ROWS
    assert tokens == ended == (tokens[0], tokens[0])


def test_the_record_stays_small(year: Year):
    assert year.audit.stat().st_size / ROWS <= MOST_BYTES_A_ROW
