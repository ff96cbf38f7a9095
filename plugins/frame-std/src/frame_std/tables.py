"""Small tables that are read whole: CSV, JSON Lines and Parquet."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

Format = Literal["csv", "jsonl", "parquet"]

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


class TableUnreadable(ValueError):
    """A table cannot be read; the message says which file, where in it, and why."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, each with its place for messages, and which bytes they were read from."""

    rows: list[tuple[str, dict[str, Any]]]
    size_bytes: int
    sha256: str


def format_of(path: str) -> Format | None:
    """The format that the extension of `path` stands for, if any."""
    return _FORMATS.get(Path(path).suffix.lower())


def read_table(path: str, kind: Format) -> Table:
    """The table in the file at `path`. What is parsed is what was hashed: the file is read once.

    Values of a CSV table are text. Raises TableUnreadable.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise TableUnreadable(f"{path} is not a file")
        content = Path(path).read_bytes()
    except OSError as error:
        raise TableUnreadable(f"{path} cannot be read: {error.strerror or error}") from error
    parse = {"csv": _csv_rows, "jsonl": _jsonl_rows, "parquet": _parquet_rows}[kind]
    return Table(list(parse(path, content)), len(content), hashlib.sha256(content).hexdigest())


def _decoded(path: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableUnreadable(f"{path}: byte {error.start} is not UTF-8") from error


def _csv_rows(path: str, content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = csv.reader(io.StringIO(_decoded(path, content), newline=""), strict=True)
    try:
        header = next(lines, [])
        for name in header:
            if not name or header.count(name) > 1:
                raise TableUnreadable(f"{path}:1: column {name!r} is {'listed twice' if name else 'empty'}")
        for cells in lines:
            if not cells:
                continue
            place = f"{path}:{lines.line_num}"
            if len(cells) != len(header):
                raise TableUnreadable(f"{place}: {len(cells)} values for {len(header)} columns")
            yield place, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise TableUnreadable(f"{path}:{lines.line_num}: {error}") from error


def _jsonl_rows(path: str, content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_decoded(path, content).split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line, object_pairs_hook=_distinct, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise TableUnreadable(f"{place}: {error}") from error
        if not isinstance(row, dict):
            raise TableUnreadable(f"{place}: not a JSON object")
        yield place, row


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parquet_rows(path: str, content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise TableUnreadable(f"{path}: Parquet needs pyarrow (pip install 'frame-std[parquet]')") from error
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise TableUnreadable(f"{path}: {error}") from error
    for number, row in enumerate(table.to_pylist()):
        yield f"{path}, row {number}", row
