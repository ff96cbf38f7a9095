"""What an aggregation held and made of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.decoding import error_of, tokens_of
from frame.errors import UsageError
from frame.events import ErrorInfo, TriggerKind

Stored = Row[Any]


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch. `status` is draft, completed or failed; the fields after `members` are None while it is a draft.

    `passthrough`: its members went on themselves, and there are no outputs.
    """

    batch: int
    node: int
    opened_us: int
    status: str
    members: int
    trigger: TriggerKind | None = None
    outputs: range = range(0)
    passthrough: bool = False
    clause: int | None = None
    error: ErrorInfo | None = None
    chunk: int | None = None
    position: int | None = None
    started_us: int | None = None
    duration_us: int | None = None


def _segments(connection: Connection, run: int, batch: int, *kinds: str) -> list[Stored]:
    segments = schema.segments
    order = segments.c.chunk, segments.c.position, segments.c.part
    of_batch = segments.c.run == run, segments.c.batch == batch, segments.c.batch.is_not(None)
    return list(
        connection.execute(select(segments).where(*of_batch, segments.c.kind.in_(kinds)).order_by(*order))
    )


def read_batch(connection: Connection, run: int, batch: int) -> BatchRecord:
    """What is on record about a batch. Raises UsageError if there is no such batch."""
    joined = _segments(connection, run, batch, "buffered")
    if not joined:
        raise UsageError(f"there is no batch {batch} in this run")
    first, members = joined[0], sum(segment.size for segment in joined)
    ended = _segments(connection, run, batch, "batch_flushed", "batch_failed")
    if not ended:
        return BatchRecord(batch, first.node, first.opened_us, "draft", members)
    end = ended[0]
    begun = batch, first.node, first.opened_us
    if end.kind == "batch_failed":
        error, trigger = _error(connection, end), TriggerKind(end.label)
        when = {"chunk": end.chunk, "position": end.position}
        return BatchRecord(*begun, "failed", members, trigger, clause=end.clause, error=error, **when)
    made = sum(segment.children for segment in ended)
    outputs = range(end.first_child, end.first_child + made) if made else range(0)
    return BatchRecord(
        *begun,
        "completed",
        members,
        TriggerKind(end.label),
        outputs,
        passthrough=end.mode == "passthrough",
        chunk=end.chunk,
        position=end.position,
        started_us=end.started_us,
        duration_us=end.duration_us,
    )


def _error(connection: Connection, segment: Stored) -> ErrorInfo:
    errors = schema.errors
    key = (getattr(errors.c, name) == getattr(segment, name) for name in ("run", "chunk", "position"))
    return error_of(connection.execute(select(errors).where(*key)).one())


def members_of(connection: Connection, run: int, batch: int) -> Iterator[int]:
    """The tokens of a batch, in the order in which they were accepted."""
    for segment in _segments(connection, run, batch, "buffered"):
        yield from tokens_of(segment)


def passthrough_digest(connection: Connection, run: int, batch: int, token: int) -> bytes | None:
    """The digest of what a member of a passthrough batch carries on with."""
    from_start = list(members_of(connection, run, batch)).index(token)
    digests = schema.segment_digests
    for segment in _segments(connection, run, batch, "batch_flushed"):
        key = (
            getattr(digests.c, name) == getattr(segment, name)
            for name in ("run", "chunk", "position", "part")
        )
        joined: bytes = connection.scalar(select(digests.c.digests).where(*key)) or b""
        if from_start * 32 < len(joined):
            return joined[from_start * 32 : from_start * 32 + 32]
        from_start -= len(joined) // 32
    return None
