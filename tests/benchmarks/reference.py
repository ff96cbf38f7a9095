"""The reference pipeline: CSV with 10 typed fields, one transform plugin, a threshold gate, two CSV sinks.

The record is a SQLite file with every visit of every row and the payloads.
"""

import csv
import os
import random
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.benchmarks.processes import PROGRAMS, WORK, Command

ROWS = 100_000
QUICK_ROWS = 2_000
FIELDS = {
    "id": "int",
    "month": "int",
    "carrier": "str",
    "tail": "str",
    "origin": "str",
    "dep_delay": "float",
    "arr_delay": "float",
    "distance": "int",
    "diverted": "bool",
    "note": "str?",
}
PIPELINE = """\
frame: 1
name: reference
source:
  plugin: csv
  options: {path: rows.csv}
  schema:
    mode: fixed
    fields: {id: int, month: int, carrier: str, tail: str, origin: str, dep_delay: float, arr_delay: float,
             distance: int, diverted: bool, note: "str?"}
nodes:
  - name: gain
    plugin: gain
  - name: late
    plugin: threshold
    options: {field: arr_delay, bounds: [60]}
    routes: {below: on_time, above: late_flights}
sinks:
  on_time: {plugin: csv, options: {path: out/on_time.csv}}
  late_flights: {plugin: csv, options: {path: out/late.csv}}
audit: {url: "sqlite:///audit.db"}
"""


@dataclass(frozen=True)
class Reference:
    """The pipeline over so many rows, in a folder of its own."""

    rows: int

    @cached_property
    def folder(self) -> Path:
        """Where rows.csv and pipeline.yaml are; made when first asked for."""
        folder = WORK / f"reference-{self.rows}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
        write_rows(folder / "rows.csv", self.rows)
        return folder

    @property
    def data(self) -> Path:
        """The rows."""
        return self.folder / "rows.csv"

    def clear(self) -> None:
        """Take away what a run has left."""
        for path in self.folder.glob("audit.db*"):
            path.unlink()
        shutil.rmtree(self.folder / ".frame", ignore_errors=True)
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        (self.folder / "out").mkdir()

    def framed(self, environ: dict[str, str] | None = None) -> Command:
        """The pipeline run by frame."""
        argv = [*frame("run"), "--quiet", self.folder / "pipeline.yaml"]
        return Command(argv, with_plugin(environ or {}), self.clear)

    def bare(self) -> Command:
        """The same by hand, without any record."""
        argv = [sys.executable, PROGRAMS / "bare.py", self.data, self.folder / "out"]
        return Command(argv, prepare=self.clear)

    def naive(self) -> Command:
        """The same by hand, with one transaction a record."""
        audit = self.folder / "audit.db"
        return Command(
            [sys.executable, PROGRAMS / "naive.py", self.data, self.folder / "out", audit], prepare=self.clear
        )


def frame(*arguments: str) -> list[str | Path]:
    """The `frame` of the environment that the benchmarks run in, as somebody would type it."""
    return [Path(sys.executable).with_name("frame"), *arguments]


def with_plugin(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ`, in which the reference plugin is installed."""
    already = os.environ.get("PYTHONPATH")
    folder = str(plugin_folder())
    return {"PYTHONPATH": f"{folder}{os.pathsep}{already}" if already else folder, **environ}


def plugin_folder() -> Path:
    """A folder that makes the reference plugin an installed package when it is on PYTHONPATH."""
    folder = WORK / "site"
    metadata = folder / "frame_reference-1.0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("reference_plugin.py"), folder / "frame_reference.py")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: frame-reference\nVersion: 1.0\n")
    (metadata / "RECORD").write_text("frame_reference.py,,\n")
    (metadata / "entry_points.txt").write_text("[frame.plugins]\nreference = frame_reference\n")
    return folder


def write_rows(path: Path, rows: int, seed: int = 2013) -> None:
    """`rows` made-up flights, the same ones every time; about one in eight is late by an hour or more."""
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for number in range(rows):
            delay = round(chance.gauss(10, 40), 1)
            writer.writerow(
                [
                    number,
                    1 + number % 12,
                    chance.choice(("UA", "AA", "B6", "DL", "EV")),
                    f"N{chance.randrange(10_000, 99_999)}",
                    chance.choice(("EWR", "JFK", "LGA")),
                    delay,
                    round(delay + chance.gauss(0, 15), 1),
                    chance.randrange(80, 5_000),
                    "true" if chance.random() < 0.01 else "false",
                    "" if chance.random() < 0.5 else "as planned",
                ]
            )
