"""All 336,776 flights of 2013 through the flights example: the size of the record, a question to it, memory."""

import os
import shutil
import sqlite3
import zipfile
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.benchmarks.figure import Figure, skipped
from tests.benchmarks.processes import ROOT, WORK, Command, peak_bytes, repeat, wall_s
from tests.benchmarks.reference import frame

EXAMPLE = ROOT / "examples" / "flights"
FLIGHTS = Path(os.environ.get("FRAME_FLIGHTS", ROOT.parent / "shared" / "data" / "flights.csv.zip"))
ROWS = 336_776
RECORD_BAR = 450
QUERY_BAR_S = 3.0
MEMORY_BAR = 300
QUESTION = "SELECT status, count(*) FROM node_states GROUP BY status"


def measure(quick: bool = False) -> list[Figure]:
    """Three figures with a bar each, and the time that it took."""
    if not FLIGHTS.is_file():
        return [skipped("all flights", "no flights.csv.zip; FRAME_FLIGHTS says where it is")]
    folder = prepared()
    audit = folder / ".frame" / "audit.db"
    runs = repeat(
        Command([*frame("run"), "--quiet", folder / "pipeline.yaml"], prepare=lambda: clear(folder)), 1
    )
    size = sum(path.stat().st_size for path in audit.parent.glob("audit.db*"))
    asked_s, visits = ask(audit, rounds=1 if quick else 5)
    peak = peak_bytes(runs) / 1e6
    return [
        Figure(
            "all flights: the record, payloads included",
            size / ROWS,
            "bytes a row",
            None,
            f"<= {RECORD_BAR}",
            size / ROWS <= RECORD_BAR,
            f"{size / 1e6:.1f} MB for {ROWS:,} rows",
        ),
        Figure(
            "all flights: all visits counted by status",
            asked_s,
            "s",
            None,
            f"<= {QUERY_BAR_S:g}",
            asked_s <= QUERY_BAR_S,
            f"{visits:,} visits",
        ),
        Figure("all flights: peak memory", peak, "MB", None, f"< {MEMORY_BAR}", peak < MEMORY_BAR),
        Figure(
            "all flights: wall time",
            wall_s(runs),
            "s",
            None,
            "",
            None,
            f"{ROWS / wall_s(runs):,.0f} rows/s, {visits / wall_s(runs):,.0f} visits/s",
        ),
    ]


def prepared() -> Path:
    """A copy of the example with all the flights in it."""
    folder = WORK / "flights"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".frame", "out", "flights.csv"))
    with zipfile.ZipFile(FLIGHTS) as archive:
        archive.extract("flights.csv", folder / "data")
    return folder


def clear(folder: Path) -> None:
    """Take away what a run has left."""
    shutil.rmtree(folder / ".frame", ignore_errors=True)
    shutil.rmtree(folder / "out", ignore_errors=True)


def ask(audit: Path, rounds: int) -> tuple[float, int]:
    """The median time to count all visits by status, and how many there are."""
    took, visits = [], 0
    for _ in range(rounds):
        started = perf_counter()
        with sqlite3.connect(f"file:{audit}?mode=ro", uri=True) as connection:
            visits = sum(count for _, count in connection.execute(QUESTION))
        took.append(perf_counter() - started)
        connection.close()
    return median(took), visits
