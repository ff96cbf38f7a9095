"""Rows into a JSON Lines file."""

from collections.abc import Mapping, Sequence
from typing import Any

from frame.plugin import Rejected
from frame.rows import Row

from frame_files.file_sink import Encoded, FileSink, TextSinkConfig
from frame_files.json_text import json_line


class JsonlSink(FileSink):
    """Rows into a JSON Lines file: one object a line, in UTF-8.

    Integers are exact at any size. Decimals, dates, times, durations, UUIDs and bytes are strings (datetimes in
    RFC 3339 with Z, durations in ISO 8601, bytes in base64). NaN and infinities are rejected. The file grows as
    PATH.part and appears as PATH when the run has ended well.
    """

    name = "jsonl"

    class Config(TextSinkConfig):
        """Which JSON Lines file is written."""

    def encode(self, rows: Sequence[Row], memory: Mapping[str, Any]) -> Encoded:
        try:
            lines = [json_line(row) for row in rows]
            return Encoded(("\n".join(lines) + "\n").encode("utf-8"), len(lines))
        except (ValueError, TypeError, RecursionError):
            return _one_by_one(rows)


def _one_by_one(rows: Sequence[Row]) -> Encoded:
    lines: list[bytes] = []
    rejected: list[Rejected] = []
    for index, row in enumerate(rows):
        try:
            lines.append(json_line(row).encode("utf-8") + b"\n")
        except (ValueError, TypeError, RecursionError) as error:
            rejected.append(Rejected(index, f"the row has no JSON form: {error}"))
    return Encoded(b"".join(lines), len(lines), rejected)
