"""Where tokens came from, for many tokens at little cost: births are read by the chunk and looked up in memory."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.decoding import tokens_of
from frame.audit.packing import unpack
from frame.audit.stories import Birth
from frame.errors import UsageError

KINDS = {
    "rows_read": "source",
    "row_invalid": "source",
    "routed": "fork",
    "expanded": "expansion",
    "merged": "merge",
    "batch_flushed": "batch",
}
KEPT_CHUNKS = 64
"""Chunks whose births stay in memory. The members of a batch stand in order, so the walk is local."""


@dataclass(slots=True)
class _Brood:
    """The tokens `start`, ..., `stop - 1`, which came into being together. `tokens`: who they came from."""

    start: int
    stop: int
    segment: Row[Any]
    parent: int | None = None
    first: int = 0
    tokens: Sequence[int] | None = None
    groups: Sequence[int] | None = None


@dataclass(slots=True)
class Roots:
    """What tokens go back to: source rows, and batches on the way to more of them."""

    rows: set[int] = field(default_factory=set)
    batches: set[int] = field(default_factory=set)


class Births:
    """How the tokens of one run came into being."""

    def __init__(self, connection: Connection, run: int) -> None:
        self._connection, self._run = connection, run
        chunks = schema.chunks.c
        found = select(chunks.chunk, chunks.first_token).where(
            chunks.run == run, chunks.first_token.is_not(None)
        )
        rows = connection.execute(found.order_by(chunks.chunk)).all()
        self._chunks = [row.chunk for row in rows]
        self._firsts = [row.first_token for row in rows]
        self._broods: OrderedDict[int, list[_Brood]] = OrderedDict()

    def of(self, token: int) -> Birth:
        """How `token` came into being. Raises UsageError if there is no such token."""
        brood = self._brood(token)
        return Birth(KINDS[brood.segment.kind], brood.segment, token - brood.start)

    def parents(self, birth: Birth) -> tuple[int, ...]:
        """The tokens before; none for a source row, and none for a batch, whose members may be many."""
        brood = self._brood_of(birth)
        if brood.parent is not None:
            return (brood.parent,)
        if birth.kind not in {"fork", "merge"}:
            return ()
        if brood.tokens is None:
            brood.tokens = tokens_of(brood.segment)
        fan = brood.segment.fan
        if birth.kind == "fork":
            return (brood.tokens[birth.place // fan],)
        return tuple(brood.tokens[birth.place * fan : (birth.place + 1) * fan])

    def group(self, birth: Birth) -> int:
        """The fork group that was merged, which has the number of the token that was forked."""
        brood, segment = self._brood_of(birth), birth.segment
        if brood.groups is None:
            brood.groups = unpack(segment.children, segment.first_group, segment.group_width, segment.groups)
        return brood.groups[birth.place]

    def index(self, birth: Birth) -> int:
        """The place of the token among all that came of the same expansion, fork or batch."""
        if birth.kind == "fork":
            return int(birth.place % birth.segment.fan)
        if birth.kind not in {"expansion", "batch"}:
            return 0
        brood = self._brood_of(birth)
        return brood.start + birth.place - brood.first

    def roots(self, token: int) -> Roots:
        """The source rows that `token` goes back to, and the batches that it came out of."""
        roots, ahead, seen = Roots(), [token], {token}
        while ahead:
            birth = self.of(ahead.pop())
            if birth.row is not None:
                roots.rows.add(birth.row)
            elif birth.kind == "batch":
                roots.batches.add(birth.segment.batch)
            new = [parent for parent in self.parents(birth) if parent not in seen]
            seen.update(new)
            ahead += new
        return roots

    # --- Reading --------------------------------------------------------------------------------

    def _brood_of(self, birth: Birth) -> _Brood:
        segment = birth.segment
        first = segment.first_token if segment.first_row is not None else segment.first_child
        return self._brood(first + birth.place)

    def _brood(self, token: int) -> _Brood:
        at = bisect_right(self._firsts, token) - 1
        if at >= 0 and token >= 0:
            broods = self._of_chunk(self._chunks[at])
            index = bisect_right(broods, token, key=lambda brood: brood.start) - 1
            if index >= 0 and token < broods[index].stop:
                return broods[index]
        raise UsageError(f"there is no token {token} in this run")

    def _of_chunk(self, chunk: int) -> list[_Brood]:
        if chunk in self._broods:
            self._broods.move_to_end(chunk)
            return self._broods[chunk]
        broods = self._broods[chunk] = self._read(chunk)
        if len(self._broods) > KEPT_CHUNKS:
            self._broods.popitem(last=False)
        return broods

    def _read(self, chunk: int) -> list[_Brood]:
        s = schema.segments
        born = s.c.first_row.is_not(None) | s.c.first_child.is_not(None)
        wanted = select(s).where(s.c.run == self._run, s.c.chunk == chunk, born)
        broods: list[_Brood] = []
        firsts: dict[int, tuple[int | None, int]] = {}
        for segment in self._connection.execute(wanted.order_by(s.c.position, s.c.part)):
            if segment.first_row is not None:
                start, count = segment.first_token, segment.size
            else:
                start, count = segment.first_child, segment.children
            parent = segment.first_token if segment.kind == "expanded" else None
            parent, first = firsts.setdefault(segment.position, (parent, start))
            if count:
                broods.append(_Brood(start, start + count, segment, parent, first))
        return sorted(broods, key=lambda brood: brood.start)
