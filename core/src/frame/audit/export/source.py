"""One run of the record, read from its beginning to its end with flat memory: what all readers build on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, column, select, table

from frame.audit import schema
from frame.audit.decoding import tokens_of
from frame.audit.runs import NodeRecord, RunDetails, describe_run, nodes_of
from frame.events import RunStatus

Stored = Row[Any]
_RUNS = table("runs", column("run"), column("status"))
FETCHED = 200
"""Stored rows that are fetched at a time; one of them may speak of 2,500 tokens."""


class RunRecord:
    """The record of one run. `connection` stays the caller's, and should see one state of the store throughout.

    `status` is the one that was recorded last: a run that has crashed is `running` here. `origin_run_id`: the run
    whose tokens this one carries on, `origin_kind` why; None for most.
    """

    def __init__(self, connection: Connection, run: int) -> None:
        self.connection, self.run = connection, run
        headers = schema.run_headers
        said = headers.c.run_id, headers.c.origin_run_id, headers.c.origin_kind, _RUNS.c.status
        found = select(*said).join(_RUNS, _RUNS.c.run == headers.c.run)
        row = connection.execute(found.where(headers.c.run == run)).one()
        self.run_id: str = row.run_id
        self.origin_run_id: str | None = row.origin_run_id
        self.origin_kind: str | None = row.origin_kind
        self.status: str = row.status
        self.nodes: Sequence[NodeRecord] = nodes_of(connection, run)
        self._names = {node.node: node.name for node in self.nodes}

    @cached_property
    def is_purged(self) -> bool:
        """Whether payload bytes of the run were removed, on record."""
        p = schema.purges.c
        return self.connection.scalar(select(p.run).where(p.run == self.run).limit(1)) is not None

    @cached_property
    def is_chained(self) -> bool:
        """Whether the chain of the run is whole; runs that began under an old frame have none, or not all of it."""
        b = schema.blocks.c
        first = select(b.n).where(b.run == self.run, b.n == 0)
        return self.connection.scalar(first) is not None

    def details(self) -> RunDetails:
        """Everything about the run as a whole, as it was recorded: whether somebody works on it is no fact of it."""
        details = describe_run(self.connection, self.run, 0)
        return replace(details, summary=replace(details.summary, status=RunStatus(self.status)))

    def name(self, node: int | None) -> str | None:
        """The name of a node by its number."""
        return None if node is None else self._names[node]

    def stream(self, statement: Select[Any]) -> Iterator[Stored]:
        """What `statement` finds, never all of it in memory."""
        yield from self.connection.execute(statement.execution_options(yield_per=FETCHED))

    def segments(self, *where: ColumnElement[bool], order: Sequence[Any] = ()) -> Iterator[Stored]:
        """Stored segments with what was hashed for them as `digests`, in the order of events unless `order` says."""
        return self.stream(self.segment_query(*where, order=order))

    def segment_query(self, *where: ColumnElement[bool], order: Sequence[Any] = ()) -> Select[Any]:
        """The statement behind `segments`, for those who join more."""
        s, d = schema.segments, schema.segment_digests
        same = [getattr(d.c, key) == getattr(s.c, key) for key in ("run", "chunk", "position", "part")]
        joined = s.join(d, same[0] & same[1] & same[2] & same[3], isouter=True)
        by_event = s.c.chunk, s.c.position, s.c.part
        wanted = select(*s.c, d.c.digests).select_from(joined)
        return wanted.where(s.c.run == self.run, *where).order_by(*(order or by_event))


def events(parts: Iterator[Stored]) -> Iterator[list[Stored]]:
    """The parts of one event after the other; `parts` in the order of events."""
    for _, group in groupby(parts, key=lambda part: (part.chunk, part.position)):
        yield list(group)


def by_token(parts: Sequence[Stored]) -> Iterator[tuple[int, int, Stored]]:
    """Token, place in its part, and part, for every token that the parts of one event speak of, by token."""
    found = (
        (token, place, part) for part in parts if part.size for place, token in enumerate(tokens_of(part))
    )
    if all(part.token_width == 0 for part in parts) and _follow_each_other(parts):
        return found
    return iter(sorted(found, key=lambda one: one[0]))


def _follow_each_other(parts: Sequence[Stored]) -> bool:
    last = -1
    for part in parts:
        if part.size and part.first_token <= last:
            return False
        last = part.high_token if part.size else last
    return True


def nth_digest(digests: bytes | None, place: int) -> str | None:
    """The digest at `place` as an export writes it, None where nothing was hashed."""
    return None if digests is None else digests[place * 32 : place * 32 + 32].hex()
