"""A Singer target that writes CSV files, written with singer-sdk.

python singer_target.py --config CONFIG.json    with {"folder": "out"}
"""

import csv
from pathlib import Path
from typing import Any

from singer_sdk import BatchSink, Target
from singer_sdk import typing as th


class CsvSink(BatchSink):
    """Appends each batch of a stream to a file."""

    max_size = 10_000

    def process_batch(self, context: dict[str, Any]) -> None:
        """Write what has been gathered."""
        path = Path(self.config["folder"]) / f"{self.stream_name}.csv"
        new = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(
                file, self.schema["properties"], extrasaction="ignore", lineterminator="\n"
            )
            if new:
                writer.writeheader()
            writer.writerows(context["records"])


class CsvTarget(Target):
    """The target."""

    name = "target-reference-csv"
    config_jsonschema = th.PropertiesList(th.Property("folder", th.StringType, required=True)).to_dict()
    default_sink_class = CsvSink


if __name__ == "__main__":
    CsvTarget.cli()
