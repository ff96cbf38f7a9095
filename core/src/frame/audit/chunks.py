"""The chunks of a run, read back from the database: their events, and the bytes that were kept with them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from frame.audit import schema
from frame.audit.decoding import (
    SINGLE,
    Facts,
    Stored,
    confirmed,
    error_of,
    payloads_of,
    segment_events,
)
from frame.audit.payloads import with_data
from frame.audit.text import from_json
from frame.canonical import digest
from frame.errors import DamagedRecord
from frame.events import Chunk, Event, Payloads

AT_ONCE = 8
"""Chunks of which the events are read together, to ask less often: 8 of 1,000 rows take about 5 MB."""

Placed = tuple[int, int, Event]
"""The chunk of an event, its position there, and the event."""


def read_chunks(
    connection: Connection,
    run: int,
    first: int = 0,
    last: int | None = None,
    *,
    payloads: bool = True,
    digests: bool = True,
) -> Iterator[Chunk]:
    """Chunk `first` to chunk `last` of a run, or to its newest one, as they were committed, one at a time.

    Without `payloads` they come without the bytes, and faster; without `digests` their events tell the digests of
    flushed batches alone. Raises AuditError where bytes were purged, DamagedRecord where they are not what was kept.
    """
    chunks = schema.chunks
    wanted = select(chunks).where(chunks.c.run == run, chunks.c.chunk >= first).order_by(chunks.c.chunk)
    if last is not None:
        wanted = wanted.where(chunks.c.chunk <= last)
    rows = connection.execute(wanted).all()
    for some in _some_at_once(rows):
        events: dict[int, list[Event]] = {row.chunk: [] for row in some}
        numbers = range(some[0].chunk, some[-1].chunk + 1)
        for chunk, _, event in _placed_events(connection, run, numbers, digests=digests):
            events[chunk].append(event)
        for row in some:
            kept = read_payloads(connection, run, row.chunk) if payloads else ()
            position = None if row.source_position is None else from_json(row.source_position)
            yield Chunk(row.chunk, row.opened_us, events.pop(row.chunk), kept, position)


def read_some_events(connection: Connection, run: int, only: ColumnElement[bool]) -> Iterator[Event]:
    """The confirmations of a run and the events of the segments that `only` allows, in order, without digests.

    Flushed batches have theirs: they tell whether the members went on.
    """
    chunks = schema.chunks
    wanted = select(chunks.c.chunk).where(chunks.c.run == run).order_by(chunks.c.chunk)
    for some in _some_at_once(connection.scalars(wanted).all()):
        for _, _, event in _placed_events(connection, run, range(some[0], some[-1] + 1), only, digests=False):
            yield event


def read_payloads(
    connection: Connection, run: int, chunk: int, only: ColumnElement[bool] | None = None
) -> tuple[Payloads, ...]:
    """All payloads of a chunk, or those that `only` allows, in order.

    Raises AuditError if some were purged, DamagedRecord if some are not the bytes whose hash is on record.
    """
    blocks = schema.payload_blocks
    wanted = with_data(blocks).where(blocks.c.run == run, blocks.c.chunk == chunk)
    if only is not None:
        wanted = wanted.where(only)
    rows = connection.execute(wanted.order_by(blocks.c.number, blocks.c.part))
    numbered: dict[int, list[Stored]] = defaultdict(list)
    for row in rows:
        if row.data is not None and digest(row.data) != row.data_sha256:
            raise _damaged(connection, run, row)
        numbered[row.number].append(row)
    return tuple(payloads_of(parts) for parts in numbered.values())


def _damaged(connection: Connection, run: int, block: Stored) -> DamagedRecord:
    headers = schema.run_headers
    run_id = connection.scalar(select(headers.c.run_id).where(headers.c.run == run))
    whose = "" if block.first_token is None else f" of tokens {block.first_token} to {block.high_token}"
    where = f"run {run_id}, chunk {block.chunk}:"
    return DamagedRecord(where, f"what is kept{whose} ({block.kind}) has another hash than was recorded")


def _some_at_once(of_chunks: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (of_chunks[start : start + AT_ONCE] for start in range(0, len(of_chunks), AT_ONCE))


def _placed_events(
    connection: Connection,
    run: int,
    chunks: range,
    only: ColumnElement[bool] | None = None,
    *,
    digests: bool = True,
) -> list[Placed]:
    """The events of `chunks`, in order; with `only` just the segments that it allows and the confirmations."""
    segments = schema.segments
    wanted = select(segments).where(*_within(segments, run, chunks))
    if only is not None:
        wanted = wanted.where(only)
    rows = connection.execute(wanted.order_by(segments.c.chunk, segments.c.position, segments.c.part)).all()
    hashed = None if digests else sorted({row.position for row in rows if row.kind == "batch_flushed"})
    facts = _facts(connection, run, chunks, hashed)
    placed = list(_confirmations(connection, run, chunks))
    if only is None:
        placed += _single_events(connection, run, chunks)
    for chunk, of_chunk in groupby(rows, key=attrgetter("chunk")):
        placed += [(chunk, *event) for event in segment_events(of_chunk, facts[chunk])]
    return sorted(placed, key=itemgetter(0, 1))


def _facts(
    connection: Connection, run: int, chunks: range, hashed: Sequence[int] | None
) -> Mapping[int, Facts]:
    """Of each chunk. `hashed`: the positions whose digests are wanted, None for all."""
    facts, digests = defaultdict[int, Facts](Facts), schema.segment_digests
    if hashed is None or hashed:
        wanted = select(digests).where(*_within(digests, run, chunks))
        for row in connection.execute(
            wanted if hashed is None else wanted.where(digests.c.position.in_(hashed))
        ):
            facts[row.chunk].digests[row.position, row.part] = row.digests
    for row in _of_chunks(connection, schema.errors, run, chunks):
        facts[row.chunk].errors[row.position] = error_of(row)
    for row in _of_chunks(connection, schema.intents, run, chunks):
        facts[row.chunk].intents[row.position] = row
    return facts


def _confirmations(connection: Connection, run: int, chunks: range) -> Iterator[Placed]:
    for row in _of_chunks(connection, schema.confirmations, run, chunks):
        found: Iterable[Stored] = ()
        if row.rejected:
            refused = schema.rejections
            of_write = refused.c.run == run, refused.c.node == row.node, refused.c.intent == row.intent
            found = connection.execute(select(refused).where(*of_write).order_by(refused.c.number))
        yield row.chunk, row.position, confirmed(row, found)


def _single_events(connection: Connection, run: int, chunks: range) -> Iterator[Placed]:
    for table, event_of in SINGLE.items():
        for row in _of_chunks(connection, table, run, chunks):
            yield row.chunk, row.position, event_of(row)


def _of_chunks(connection: Connection, table: Any, run: int, chunks: range) -> Iterable[Stored]:
    return connection.execute(select(table).where(*_within(table, run, chunks))).all()


def _within(table: Any, run: int, chunks: range) -> tuple[ColumnElement[bool], ...]:
    if len(chunks) == 1:
        return table.c.run == run, table.c.chunk == chunks.start
    return table.c.run == run, table.c.chunk >= chunks.start, table.c.chunk < chunks.stop
