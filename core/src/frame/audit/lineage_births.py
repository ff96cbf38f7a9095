"""Where tokens came from, for many tokens at little cost: births are read by the chunk and looked up in memory."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.decoding import origins_of, tokens_of
from frame.audit.origins import ORIGINS
from frame.audit.packing import unpack
from frame.audit.stories import Birth
from frame.errors import UsageError

KEPT_CHUNKS = 64
"""Chunks whose births stay in memory. The members of a batch stand in order, so the walk is local."""


@dataclass(slots=True)
class _Brood:
    """The tokens `start`, ..., `stop - 1`, which came into being together.

    `tokens`: who they came from, `groups`: the fork groups that were merged; both unpacked when first needed.
    """

    start: int
    stop: int
    segment: Row[Any]
    kind: str
    fan: int
    parent: int | None = None
    first: int = 0
    tokens: Sequence[int] | None = None
    groups: Sequence[int] | None = None


class Root(NamedTuple):
    """What a token goes back to: a source row, the batch that it came out of, or the token of another run that is
    carried on; it, or an ancestor.
    """

    row: int | None
    batch: int | None
    carried: int | None = None


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
        self._broods: OrderedDict[int, tuple[list[int], list[_Brood]]] = OrderedDict()

    @property
    def count(self) -> int:
        """How many tokens there are; they are numbered from 0."""
        return self._of_chunk(self._chunks[-1])[1][-1].stop if self._chunks else 0

    def of(self, token: int) -> Birth:
        """How `token` came into being. Raises UsageError if there is no such token."""
        brood = self._brood(token)
        return Birth(brood.kind, brood.segment, token - brood.start)

    def parents(self, birth: Birth) -> tuple[int, ...]:
        """The tokens before; none for a source row, and none for a batch, whose members may be many."""
        brood = self._brood_of(birth)
        if brood.parent is not None:
            return (brood.parent,)
        if birth.kind not in {"fork", "merge"}:
            return ()
        tokens, fan = self._tokens(brood), brood.fan
        if birth.kind == "fork":
            return (tokens[birth.place // fan],)
        return tuple(tokens[birth.place * fan : (birth.place + 1) * fan])

    @staticmethod
    def origin(birth: Birth) -> int:
        """The token of another run that a carried one carries on."""
        return origins_of(birth.segment)[birth.place]

    def group(self, birth: Birth) -> int:
        """The fork group that was merged, which has the number of the token that was forked."""
        return self._groups(self._brood_of(birth))[birth.place]

    def index(self, birth: Birth) -> int:
        """The place of the token among all that came of the same expansion, fork or batch."""
        if birth.kind == "fork":
            return int(birth.place % birth.segment.fan)
        if birth.kind not in {"expansion", "batch"}:
            return 0
        brood = self._brood_of(birth)
        return brood.start + birth.place - brood.first

    def root(self, token: int) -> Root:
        """Where `token` goes back to, through forks, merges and expansions.

        That is one place: the branches that a coalesce merges all come from the one token that was forked.
        """
        while True:
            brood = self._brood(token)
            segment, place = brood.segment, token - brood.start
            match brood.kind:
                case "source":
                    return Root(segment.first_row + place, None)
                case "batch":
                    return Root(None, segment.batch)
                case "carried":
                    return Root(None, None, origins_of(segment)[place])
                case "fork":
                    token = self._tokens(brood)[place // brood.fan]
                case "merge":
                    token = self._groups(brood)[place]
                case _:
                    assert brood.parent is not None
                    token = brood.parent

    @staticmethod
    def _tokens(brood: _Brood) -> Sequence[int]:
        if brood.tokens is None:
            brood.tokens = tokens_of(brood.segment)
        return brood.tokens

    @staticmethod
    def _groups(brood: _Brood) -> Sequence[int]:
        if brood.groups is None:
            segment = brood.segment
            brood.groups = unpack(segment.children, segment.first_group, segment.group_width, segment.groups)
        return brood.groups

    # --- Reading --------------------------------------------------------------------------------

    def _brood_of(self, birth: Birth) -> _Brood:
        segment = birth.segment
        first = segment.first_token if segment.first_row is not None else segment.first_child
        return self._brood(first + birth.place)

    def _brood(self, token: int) -> _Brood:
        at = bisect_right(self._firsts, token) - 1
        if at >= 0 and token >= 0:
            starts, broods = self._of_chunk(self._chunks[at])
            index = bisect_right(starts, token) - 1
            if index >= 0 and token < broods[index].stop:
                return broods[index]
        raise UsageError(f"there is no token {token} in this run")

    def _of_chunk(self, chunk: int) -> tuple[list[int], list[_Brood]]:
        """The broods of a chunk in order, and where each starts."""
        if chunk in self._broods:
            self._broods.move_to_end(chunk)
            return self._broods[chunk]
        broods = self._read(chunk)
        self._broods[chunk] = [brood.start for brood in broods], broods
        if len(self._broods) > KEPT_CHUNKS:
            self._broods.popitem(last=False)
        return self._broods[chunk]

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
                kind, fan = ORIGINS[segment.kind], segment.fan or 1
                broods.append(_Brood(start, start + count, segment, kind, fan, parent, first))
        return sorted(broods, key=lambda brood: brood.start)
