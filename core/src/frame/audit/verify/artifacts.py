"""What sinks have published, against the files as they are now (H5)."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.verify.report import Finding, RunReport

BLOCK = 1 << 20


def check_artifacts(connection: Connection, report: RunReport) -> Iterator[Finding]:
    """Whether every file that the run published has the recorded size and hash; notes go to the report."""
    made, names = schema.artifacts, schema.run_headers
    mine = connection.execute(
        select(made).where(made.c.run == report.run).order_by(made.c.chunk, made.c.position)
    )
    for row in mine.all():
        later = connection.scalar(
            select(names.c.run_id)
            .join(made, made.c.run == names.c.run)
            .where(made.c.run > report.run, made.c.uri == row.uri)
            .order_by(made.c.run)
            .limit(1)
        )
        if later is not None:
            report.notes.append(f"{row.uri} was written again by run {later}, so it is not compared")
            continue
        yield from _compare(report, row)


def _compare(report: RunReport, row: Row[Any]) -> Iterator[Finding]:
    place = urlsplit(row.uri)
    if place.scheme != "file":
        report.notes.append(f"{row.uri} is not a file of this machine, so it is not compared")
        return
    path = Path(unquote(place.path))
    said = _difference(path, row)
    if said is not None:
        yield Finding(
            "H5",
            f"{path} {said}",
            "the file is not the one that the run published; the record itself is not touched",
            table="artifacts",
            run_id=report.run_id,
            chunk=row.chunk,
        )


def _difference(path: Path, row: Row[Any]) -> str | None:
    try:
        size, found = _measure(path)
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if row.size_bytes is not None and size != row.size_bytes:
        return f"has {size} bytes, and {row.size_bytes} were published"
    if row.sha256 is not None and found != row.sha256:
        return "has another SHA-256 than the one that was published"
    return None


def _measure(path: Path) -> tuple[int, bytes]:
    size, hashed = 0, hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            size += len(block)
            hashed.update(block)
    return size, hashed.digest()
