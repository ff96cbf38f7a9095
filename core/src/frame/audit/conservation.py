"""Conservation: every token of a run that ended well has come into being once and ended once (CONTRACTS G1).

The record is folded with one byte a token. Outcomes are packed by chunk, so no constraint of the database
could see a second end; this fold can.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from frame.audit import schema
from frame.audit.chunks import read_some_events
from frame.counters import counters_from
from frame.errors import AuditError
from frame.events import (
    Abandoned,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Carried,
    Dropped,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Path,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    Tokens,
)

_MOVES = (RouteMode.CONTINUE, RouteMode.ROUTE, RouteMode.LOOP, RouteMode.ERROR)
_BEARING = (
    *("rows_read", "row_invalid", "carried", "failed", "dropped", "expanded", "routed", "buffered"),
    "batch_flushed",
    *("batch_failed", "merged", "merge_failed", "merge_late", "sink_intended", "abandoned"),
)
_COUNTS = schema.segments.c.kind.in_(_BEARING) & (
    schema.segments.c.mode.is_(None)
    | schema.segments.c.mode.not_in([mode.value for mode in _MOVES])
    | (schema.segments.c.reached_limit == 1)
)
"""The segments that begin or end tokens; a gate that merely moves them along does neither."""

BORN, ENDED = 1, 2


def compact(tokens: Tokens) -> Tokens:
    """`tokens` in 8 bytes each at most: a batch may hold a whole run."""
    return tokens if isinstance(tokens, range) else array("q", tokens)


class Ledger:
    """Which tokens have come into being, which have ended, and by which path."""

    def __init__(self, discards: frozenset[tuple[int, int]]) -> None:
        self.states = bytearray()
        self.paths: Counter[Path] = Counter()
        self.rows = self.tokens = 0
        self._discards = discards
        self._batches: dict[int, list[Tokens]] = {}
        self._writes: dict[tuple[int, int], SinkIntended] = {}

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        apply = _EFFECTS.get(type(event))
        if apply is not None:
            apply(self, event)

    def counters(self) -> dict[str, int]:
        """The counters of the run so far (BEHAVIOUR §1)."""
        return counters_from(self.paths, self.rows, self.tokens)

    def first_open(self) -> int | None:
        """The smallest token that has not ended."""
        token = self.states.find(BORN)
        return None if token < 0 else token

    def begin(self, tokens: range) -> None:
        if not tokens:
            return
        if tokens.stop > len(self.states):
            self.states.extend(bytes(tokens.stop - len(self.states)))
        if any(self.states[tokens.start : tokens.stop]):
            raise Unbalanced(self._first(tokens, lambda state: state != 0), "came into being twice")
        self.states[tokens.start : tokens.stop] = b"\x01" * len(tokens)
        self.tokens += len(tokens)

    def end(self, tokens: Tokens, path: Path) -> None:
        self.paths[path] += len(tokens)
        if isinstance(tokens, range) and self.states.count(BORN, tokens.start, tokens.stop) == len(tokens):
            self.states[tokens.start : tokens.stop] = b"\x02" * len(tokens)
            return
        states, known = self.states, len(self.states)
        for token in tokens:
            if token >= known or states[token] != BORN:
                twice = token < known and states[token] == ENDED
                raise Unbalanced(token, "ended twice" if twice else "ended and had never come into being")
            states[token] = ENDED

    def _first(self, tokens: range, wrong: Callable[[int], bool]) -> int:
        return next(token for token in tokens if wrong(self.states[token]))

    def failed(self, node: int, clause: int | None, limit: bool, tokens: Tokens) -> None:
        if limit:
            self.end(tokens, Path.VISIT_LIMIT)
        elif clause is None:
            self.end(tokens, Path.UNHANDLED)
        elif (node, clause) in self._discards:
            self.end(tokens, Path.ERROR_DISCARDED)

    def routed(self, event: Routed) -> None:
        self.begin(event.children)
        if event.limit:
            self.end(event.tokens, Path.VISIT_LIMIT)
        elif event.mode is RouteMode.DISCARD:
            self.end(event.tokens, Path.GATE_DISCARDED)
        elif event.mode is RouteMode.FORK:
            self.end(event.tokens, Path.FORKED)

    def rows_read(self, event: RowsRead) -> None:
        self.rows += len(event.tokens)
        self.begin(event.tokens)

    def invalid(self, event: RowInvalid) -> None:
        self.rows += 1
        token = range(event.token, event.token + 1)
        self.begin(token)
        if event.sink is None:
            self.end(token, Path.INVALID_AT_SOURCE)

    def expanded(self, event: Expanded) -> None:
        self.begin(event.children)
        self.end((event.parent,), Path.EXPANDED)

    def merged(self, event: Merged) -> None:
        self.begin(event.children)
        self.end(event.parents, Path.MERGED)

    def buffered(self, event: Buffered) -> None:
        self._batches.setdefault(event.batch, []).append(compact(event.tokens))

    def flushed(self, event: BatchFlushed) -> None:
        members = self._batches.pop(event.batch, [])
        self.begin(event.outputs)
        if event.outputs or not event.digests:
            for tokens in members:
                self.end(tokens, Path.BATCHED)

    def batch_failed(self, event: BatchFailed) -> None:
        for tokens in self._batches.pop(event.batch, []):
            self.failed(event.node, event.clause, False, tokens)

    def intended(self, event: SinkIntended) -> None:
        self._writes[event.node, event.intent] = event

    def confirmed(self, event: SinkConfirmed) -> None:
        write = self._writes.pop((event.node, event.intent))
        rejected = {token: fallback for token, _, fallback in event.rejected}
        at = 0
        for path, count in write.paths:
            tokens = write.tokens[at : at + count]
            at += count
            self.end([token for token in tokens if token not in rejected] if rejected else tokens, path)
        self.end([token for token, fallback in rejected.items() if fallback is None], Path.SINK_REJECTED)


class Unbalanced(Exception):
    """A token breaks conservation: the token, and how."""

    def __init__(self, token: int, how: str) -> None:
        super().__init__(token, how)
        self.token, self.how = token, how


_EFFECTS: dict[type, Callable[[Ledger, Any], None]] = {
    RowsRead: Ledger.rows_read,
    RowInvalid: Ledger.invalid,
    Carried: lambda ledger, event: ledger.begin(event.tokens),
    Failed: lambda ledger, event: ledger.failed(event.node, event.clause, event.limit, (event.token,)),
    Dropped: lambda ledger, event: ledger.end(event.tokens, Path.DROPPED),
    Expanded: Ledger.expanded,
    Routed: Ledger.routed,
    Buffered: Ledger.buffered,
    BatchFlushed: Ledger.flushed,
    BatchFailed: Ledger.batch_failed,
    Merged: Ledger.merged,
    MergeFailed: lambda ledger, event: ledger.end(event.tokens, Path.MERGE_INCOMPLETE),
    MergeLate: lambda ledger, event: ledger.end((event.token,), Path.LATE_AT_MERGE),
    SinkIntended: Ledger.intended,
    SinkConfirmed: Ledger.confirmed,
    Abandoned: lambda ledger, event: ledger.end(event.tokens, Path.ABANDONED),
}


def discards(connection: Connection, run: int) -> frozenset[tuple[int, int]]:
    """Node and number of every on_error clause that discards."""
    clauses = schema.error_clauses
    found = select(clauses.c.node, clauses.c.clause).where(clauses.c.run == run, clauses.c.target.is_(None))
    return frozenset((row.node, row.clause) for row in connection.execute(found))


def fold(connection: Connection, run: int) -> Ledger:
    """The ledger of everything on record for a run. Raises AuditError, naming a token that is out of order."""
    ledger = Ledger(discards(connection, run))
    for event in read_some_events(connection, run, _COUNTS):
        try:
            ledger.apply(event)
        except Unbalanced as error:
            raise AuditError(f"run {run}", f"token {error.token} {error.how}") from None
    return ledger


def check(connection: Connection, run: int, counters: Mapping[str, int]) -> None:
    """Raises AuditError unless every token of the run has ended once and `counters` are those of the record."""
    ledger = fold(connection, run)
    token = ledger.first_open()
    if token is not None:
        raise AuditError(f"run {run}", f"token {token} has no end, so the run is not complete")
    for name, derived in ledger.counters().items():
        if counters.get(name, derived) != derived:
            said = f"counter {name!r} is {counters[name]} in the engine and {derived} on record"
            raise AuditError(f"run {run}", said)
