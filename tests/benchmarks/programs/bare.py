"""The reference pipeline as a script of one's own: the same conversions, the same files, no record.

python bare.py ROWS.csv OUT
"""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRUTH = {"true": True, "false": False}
TYPES: dict[str, Callable[[str], Any]] = {
    "id": int,
    "month": int,
    "dep_delay": float,
    "arr_delay": float,
    "distance": int,
    "diverted": TRUTH.__getitem__,
}
NAMES = {True: "true", False: "false"}


def main(source: Path, out: Path) -> None:
    """Read, convert, add the gain, and write each row to one of two files."""
    with (
        source.open(encoding="utf-8", newline="") as rows,
        (out / "on_time.csv").open("w", encoding="utf-8", newline="") as on_time,
        (out / "late.csv").open("w", encoding="utf-8", newline="") as late,
    ):
        reader = csv.DictReader(rows)
        fields = [*(reader.fieldnames or ()), "gain"]
        writers = [csv.DictWriter(file, fields, lineterminator="\n") for file in (on_time, late)]
        for writer in writers:
            writer.writeheader()
        for row in reader:
            typed: dict[str, Any] = dict(row)
            for name, convert in TYPES.items():
                typed[name] = convert(row[name])
            typed["note"] = row["note"] or None
            typed["gain"] = typed["dep_delay"] - typed["arr_delay"]
            writer = writers[typed["arr_delay"] >= 60]
            typed["diverted"] = NAMES[typed["diverted"]]
            writer.writerow(typed)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
