"""A Singer tap for the rows of the reference pipeline, written with singer-sdk.

python singer_tap.py --config CONFIG.json       with {"path": "rows.csv"}
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from singer_sdk import Stream, Tap
from singer_sdk import typing as th

TRUTH = {"true": True, "false": False}
CONVERT = {
    "id": int,
    "month": int,
    "dep_delay": float,
    "arr_delay": float,
    "distance": int,
    "diverted": TRUTH.__getitem__,
}


class Rows(Stream):
    """The rows of one CSV file."""

    name = "rows"
    primary_keys: ClassVar[list[str]] = []
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("month", th.IntegerType),
        th.Property("carrier", th.StringType),
        th.Property("tail", th.StringType),
        th.Property("origin", th.StringType),
        th.Property("dep_delay", th.NumberType),
        th.Property("arr_delay", th.NumberType),
        th.Property("distance", th.IntegerType),
        th.Property("diverted", th.BooleanType),
        th.Property("note", th.StringType),
        th.Property("gain", th.NumberType),
    ).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Typed rows, with the gain."""
        with Path(self.config["path"]).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                typed: dict[str, Any] = dict(row)
                for name, convert in CONVERT.items():
                    typed[name] = convert(row[name])
                typed["note"] = row["note"] or None
                typed["gain"] = typed["dep_delay"] - typed["arr_delay"]
                yield typed


class ReferenceTap(Tap):
    """The tap."""

    name = "tap-reference"
    config_jsonschema = th.PropertiesList(th.Property("path", th.StringType, required=True)).to_dict()

    def discover_streams(self) -> list[Stream]:
        """The one stream."""
        return [Rows(self)]


if __name__ == "__main__":
    ReferenceTap.cli()
