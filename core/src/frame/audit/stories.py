"""Everything that the record says about one token, found without reading the rest of the run.

Tokens are numbered in the order in which they come into being, chunk by chunk. So what concerns a token is in
the chunk that it came into being in, or in one of the few segments that mention tokens older than their chunk.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from frame.audit import schema
from frame.audit.encoding import DIGEST
from frame.audit.origins import ORIGINS
from frame.errors import UsageError

Stored = Row[Any]

AT_ONCE = {"stream_results": False}
"""Options for a question whose answer is a few rows: a cursor on the server would take four messages for it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stored segment that speaks of a token, and the token's place in it."""

    segment: Stored
    place: int

    @property
    def key(self) -> tuple[int, int, int]:
        return self.segment.chunk, self.segment.position, self.segment.part


@dataclass(frozen=True, slots=True)
class Birth:
    """How a token came into being: `kind` is source, fork, expansion, merge, batch, or carried (from another run).

    `place` is its place among the children of `segment` (or among the segment's tokens, for a source row).
    """

    kind: str
    segment: Stored
    place: int

    @property
    def row(self) -> int | None:
        """The number of its source row, None if it has none of its own."""
        return self.segment.first_row + self.place if self.kind == "source" else None


@dataclass(frozen=True, slots=True)
class Story:
    """A token's birth and the steps that it took, in order."""

    token: int
    birth: Birth
    steps: tuple[Step, ...]


def place_of(segment: Stored, token: int) -> int | None:
    """The place of `token` among the tokens of `segment`, None if it is not there."""
    offset = token - (segment.first_token or 0)
    if segment.size == 0 or offset < 0:
        return None
    if segment.token_width == 0:
        return offset if offset < segment.size else None
    width, wanted, at = segment.token_width, f"{offset:0{segment.token_width}d}", -1
    while (at := segment.tokens.find(wanted, at + 1)) >= 0:
        if at % width == 0:
            return int(at // width)
    return None


def home_of(connection: Connection, run: int, token: int) -> int:
    """The chunk in which `token` came into being. Raises UsageError if there is no such token."""
    found = connection.scalar(_home(run, token), execution_options=AT_ONCE)
    if found is None:
        raise _unknown(token)
    return int(found)


def _home(run: int, token: int) -> Select[int]:
    chunks = schema.chunks
    begun = select(chunks.c.chunk).where(chunks.c.run == run, chunks.c.first_token <= token)
    return begun.order_by(chunks.c.first_token.desc()).limit(1)


def _unknown(token: int) -> UsageError:
    return UsageError(f"there is no token {token} in this run")


def read_story(connection: Connection, run: int, token: int) -> Story:
    """What the record says about `token`. Raises UsageError if there is no such token."""
    segments = schema.segments
    of_run = segments.c.run == run
    within = (segments.c.first_token <= token) & (segments.c.high_token >= token)
    born = segments.c.first_child.is_not(None) & (segments.c.first_child <= token)
    born &= segments.c.first_child + segments.c.children > token
    home = _home(run, token).scalar_subquery()
    at_home = select(segments).where(of_run, segments.c.chunk == home, within | born)
    elsewhere = select(segments).where(of_run, segments.c.old_tokens == 1, within)
    young, old = (
        connection.execute(asked, execution_options=AT_ONCE).all() for asked in (at_home, elsewhere)
    )
    found = {(row.chunk, row.position, row.part): row for row in (*young, *old) if _spans(row, token)}
    steps = tuple(_steps([found[key] for key in sorted(found)], token))
    return Story(token, _birth(young, token), steps)


def _spans(segment: Stored, token: int) -> bool:
    return segment.first_token is not None and segment.first_token <= token <= segment.high_token


def _steps(segments: list[Stored], token: int) -> Iterator[Step]:
    for segment in segments:
        place = place_of(segment, token)
        if place is not None:
            yield Step(segment, place)


def _birth(home: Iterable[Stored], token: int) -> Birth:
    for segment in home:
        if segment.first_row is not None and _spans(segment, token):
            return Birth(ORIGINS[segment.kind], segment, token - segment.first_token)
        if segment.first_child is not None and 0 <= token - segment.first_child < segment.children:
            return Birth(ORIGINS[segment.kind], segment, token - segment.first_child)
    raise _unknown(token)


def digest_in(connection: Connection, segment: Stored, place: int) -> bytes | None:
    """The digest at `place` in what `segment` hashed, None if it hashed nothing."""
    digests = schema.segment_digests
    key = (
        getattr(digests.c, name) == getattr(segment, name) for name in ("run", "chunk", "position", "part")
    )
    digest = select(func.substr(digests.c.digests, place * DIGEST + 1, DIGEST)).where(*key)
    return connection.scalar(digest, execution_options=AT_ONCE)


def token_of_row(connection: Connection, run: int, row: int) -> int:
    """The token that source row number `row` became. Raises UsageError if there is no such row."""
    segments = schema.segments
    newest = (
        select(segments)
        .where(segments.c.run == run, segments.c.first_row.is_not(None), segments.c.first_row <= row)
        .order_by(segments.c.first_row.desc())
        .limit(1)
    )
    segment = connection.execute(newest, execution_options=AT_ONCE).first()
    if segment is None or row >= segment.first_row + segment.size:
        raise UsageError(f"there is no source row {row} in this run (the first is 0)")
    return int(segment.first_token + row - segment.first_row)
