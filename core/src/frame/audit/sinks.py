"""What was written where: the writes of each sink, its rows by number, its artifacts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from frame.audit import schema
from frame.audit.decoding import tokens_of
from frame.audit.text import from_json
from frame.errors import UsageError


@dataclass(frozen=True, slots=True)
class Write:
    """One write to a sink. `confirmed`: it is done and durable; then the sink stood at `sink_position`."""

    node: int
    intent: int
    rows: int
    rejected: int
    confirmed: bool
    content_sha256: bytes
    key: str
    sink_position: Any


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    node: int
    uri: str
    size_bytes: int | None
    sha256: bytes | None
    rows: int | None


def writes_of(connection: Connection, run: int, node: int) -> Iterator[Write]:
    """The writes to a sink, in the order in which they were intended."""
    intents, done = schema.intents, schema.confirmations
    on = (done.c.run == intents.c.run) & (done.c.node == intents.c.node) & (done.c.intent == intents.c.intent)
    wanted = select(intents, done.c.rejected, done.c.sink_position).join(done, on, isouter=True)
    of_sink = intents.c.run == run, intents.c.node == node
    for row in connection.execute(wanted.where(*of_sink).order_by(intents.c.chunk, intents.c.position)):
        position = None if row.sink_position is None else from_json(row.sink_position)
        confirmed = row.rejected is not None
        what = row.rows, row.rejected or 0, confirmed, row.content_sha256, row.write_key, position
        yield Write(row.node, row.intent, *what)


def tokens_written(connection: Connection, run: int, node: int, intent: int) -> Iterator[int]:
    """The tokens of one write that the sink took, in order."""
    refused, segments = schema.rejections, schema.segments
    of_write = refused.c.run == run, refused.c.node == node, refused.c.intent == intent
    rejected = set(connection.scalars(select(refused.c.token).where(*of_write)))
    of_intent = segments.c.run == run, segments.c.node == node, segments.c.intent == intent
    found = select(segments).where(*of_intent, segments.c.intent.is_not(None)).order_by(segments.c.part)
    for segment in connection.execute(found):
        yield from (token for token in tokens_of(segment) if token not in rejected)


def token_at(connection: Connection, run: int, node: int, index: int) -> int:
    """The token whose row stands at place `index` (from 0) of what a sink has taken.

    Raises UsageError if the sink has not taken so many rows.
    """
    before = 0
    for write in writes_of(connection, run, node):
        taken = write.rows - write.rejected if write.confirmed else 0
        if 0 <= index - before < taken:
            tokens = list(tokens_written(connection, run, node, write.intent))
            return tokens[index - before]
        before += taken
    raise UsageError(f"there is no row {index} in this sink: it took {before} (the first is 0)")


def artifacts_of(connection: Connection, run: int) -> list[ArtifactRecord]:
    """What the sinks of a run have published, in order."""
    artifacts = schema.artifacts
    rows = select(artifacts).where(artifacts.c.run == run).order_by(artifacts.c.chunk, artifacts.c.position)
    return [ArtifactRecord(*row[3:]) for row in connection.execute(rows)]
