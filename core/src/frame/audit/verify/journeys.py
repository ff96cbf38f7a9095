"""The events of a run, folded: every token comes into being once, moves on step by step, and ends once.

What each rule stands for (CONTRACTS.md): T1-T3, T7, F5 are the ledger's (`conservation.py`). Here: token and row
numbers without gaps; T4 (paths that lead to a sink), T5 (a confirmed write was announced), T6 and F2 (children are as
many as their parents have), T8 (visits and attempts without gaps, none left open), O3 (announced in an earlier
commit than confirmed), F4 (a batch has the members that it accepted).
"""

from array import array
from collections.abc import Callable
from typing import Any

from frame.audit.conservation import Ledger
from frame.events import (
    AttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Carried,
    Dropped,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeLate,
    Path,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    SourceEnded,
    Tokens,
    Visited,
    Visits,
    VisitsBegun,
    Waiting,
)

SINK_PATHS = frozenset(
    {
        Path.DEFAULT_FLOW,
        Path.GATE_ROUTED,
        Path.ERROR_ROUTED,
        Path.INVALID_AT_SOURCE,
        Path.SINK_REJECTED,
    }
)
"""The paths by which a token can end in a sink."""


class Broken(Exception):
    """An event breaks a rule: which rule, what is wrong, and the token that shows it if one does."""

    def __init__(self, rule: str, what: str, token: int | None = None) -> None:
        super().__init__(rule, what, token)
        self.rule, self.what, self.token = rule, what, token


class Journeys:
    """The fold. Three bytes a token that came into being are kept, and what is under way."""

    def __init__(self, discards: frozenset[tuple[int, int]], sinks: frozenset[int]) -> None:
        self.ledger = Ledger(discards)
        self._sinks = sinks
        self._visits = array("H")
        self._attempts: dict[int, int] = {}
        self._begun: dict[int, int] = {}
        self._members: dict[int, int] = {}
        self._announced: dict[tuple[int, int], int] = {}
        self._chunk = 0

    def apply(self, chunk: int, event: Event) -> None:
        """Take in the next event of `chunk`. Raises Broken, or the ledger's Unbalanced."""
        self._chunk = chunk
        check = _CHECKS.get(type(event))
        if check is not None:
            check(self, event)
        self.ledger.apply(event)

    def finish(self) -> None:
        """The run has ended and left nothing over. Raises Broken."""
        token = self.ledger.first_open()
        if token is not None:
            raise Broken("T1", f"token {token} came into being and has no end", token)
        if self._begun:
            token = min(self._begun)
            raise Broken("T8", f"visit {self._begun[token]} of token {token} was begun and has no end", token)

    # --- Numbers without gaps -------------------------------------------------------------------

    def _born(self, tokens: range) -> None:
        if not tokens:
            return
        due = self.ledger.tokens
        if tokens.start != due:
            raise Broken("T6", f"token {tokens.start} comes where token {due} is due", tokens.start)
        self._visits.extend(array("H", bytes(2 * len(tokens))))

    def rows_read(self, event: RowsRead) -> None:
        self._row(event.first_row, event.tokens.start)
        self._born(event.tokens)

    def row_invalid(self, event: RowInvalid) -> None:
        self._row(event.row, event.token)
        self._born(range(event.token, event.token + 1))

    def carried(self, event: Carried) -> None:
        """Tokens of another run that this one carries on."""
        if len(event.origins) != len(event.tokens):
            said = f"{len(event.tokens)} tokens carry on {len(event.origins)} of another run"
            raise Broken("T6", said, event.tokens.start)
        self._born(event.tokens)

    def _row(self, row: int, token: int) -> None:
        due = self.ledger.rows
        if row != due:
            raise Broken("G1", f"source row {row} comes where row {due} is due", token)

    def source_ended(self, event: SourceEnded) -> None:
        if event.rows != self.ledger.rows:
            said = f"the source is said to have had {event.rows} rows, and {self.ledger.rows} were read"
            raise Broken("G1", said)

    # --- Visits ---------------------------------------------------------------------------------

    def _visit(self, tokens: Tokens, visits: Visits) -> None:
        """`tokens` are done with a visit each."""
        done, known = self._visits, len(self._visits)
        if (
            isinstance(visits, int)
            and isinstance(tokens, range)
            and tokens.start >= 0
            and tokens.stop <= known
        ):
            here = slice(tokens.start, tokens.stop)
            if done[here] == array("H", [visits]) * len(tokens):
                done[here] = array("H", [visits + 1]) * len(tokens)
                self._end_begun(tokens)
                return
        numbers = [visits] * len(tokens) if isinstance(visits, int) else visits
        for token, visit in zip(tokens, numbers, strict=True):
            if not 0 <= token < known:
                raise Broken("T6", f"token {token} moves and has never come into being", token)
            if done[token] != visit:
                raise Broken("T8", f"visit {visit} of token {token} comes where {done[token]} is due", token)
            done[token] = visit + 1
        self._end_begun(tokens)

    def _end_begun(self, tokens: Tokens) -> None:
        if self._begun:
            for token in tokens:
                self._begun.pop(token, None)

    def _attempt(self, tokens: Tokens, attempt: int) -> None:
        """The last attempt of a visit; the ones before it have failed."""
        if not attempt and not self._attempts:
            return
        for token in tokens:
            failed = self._attempts.pop(token, 0)
            if failed != attempt:
                said = f"attempt {attempt} of token {token} follows {failed} failed ones"
                raise Broken("T8", said, token)

    def attempt_failed(self, event: AttemptFailed) -> None:
        failed = self._attempts.get(event.token, 0)
        if event.attempt != failed:
            said = f"attempt {event.attempt} of token {event.token} follows {failed} failed ones"
            raise Broken("T8", said, event.token)
        self._attempts[event.token] = failed + 1

    def begun(self, event: VisitsBegun) -> None:
        for token in event.tokens:
            self._begun[token] = event.visit

    def visited(self, event: Visited | Dropped | Routed) -> None:
        self._attempt(event.tokens, event.attempt)
        self._visit(event.tokens, event.visit)

    def failed(self, event: Failed) -> None:
        self._attempts.pop(event.token, None)
        self._visit((event.token,), event.visit)

    def expanded(self, event: Expanded) -> None:
        self._attempt((event.parent,), event.attempt)
        self._visit((event.parent,), event.visit)
        self._born(event.children)

    def routed(self, event: Routed) -> None:
        self.visited(event)
        born, parents = len(event.children), len(event.tokens)
        forks = event.mode is RouteMode.FORK and not event.limit
        if bool(born) != forks or (born and born % parents):
            said = f"{parents} tokens with mode {event.mode.value!r} have {born} children"
            raise Broken("T6", said, event.tokens[0] if parents else None)
        self._born(event.children)

    def waited(self, event: Waiting) -> None:
        self._visit(event.tokens, event.visits)

    def late(self, event: MergeLate) -> None:
        self._visit((event.token,), event.visit)

    def merged(self, event: Merged) -> None:
        parents, groups = sum(event.widths), len(event.groups)
        if (parents, groups) != (len(event.parents), len(event.children)):
            said = f"{groups} groups of {parents} parents were merged into {len(event.children)} tokens"
            raise Broken("T6", said, event.children.start)
        self._born(event.children)

    # --- Batches and writes ---------------------------------------------------------------------

    def buffered(self, event: Buffered) -> None:
        self._visit(event.tokens, event.visits)
        self._members[event.batch] = self._members.get(event.batch, 0) + len(event.tokens)

    def batch_ended(self, event: BatchFlushed | BatchFailed) -> None:
        members = self._members.pop(event.batch, 0)
        if members != event.members:
            said = f"batch {event.batch} ended with {event.members} members and had accepted {members}"
            raise Broken("F4", said)
        if isinstance(event, BatchFlushed):
            self._born(event.outputs)

    def intended(self, event: SinkIntended) -> None:
        if event.node not in self._sinks:
            raise Broken("T5", f"a write was announced to node {event.node}, which is no sink")
        wrong = [path for path, _ in event.paths if path not in SINK_PATHS]
        if wrong or sum(count for _, count in event.paths) != len(event.tokens):
            said = f"write {event.intent} has paths that do not lead {len(event.tokens)} tokens to a sink"
            raise Broken("T4", said)
        self._visit(event.tokens, event.visits)
        self._announced[event.node, event.intent] = self._chunk

    def confirmed(self, event: SinkConfirmed) -> None:
        announced = self._announced.pop((event.node, event.intent), None)
        if announced is None:
            said = f"write {event.intent} of node {event.node} is confirmed and was not announced"
            raise Broken("T5", said)
        if announced >= self._chunk:
            said = f"write {event.intent} of node {event.node} is confirmed in the commit that announces it"
            raise Broken("O3", said)


_CHECKS: dict[type, Callable[[Journeys, Any], None]] = {
    RowsRead: Journeys.rows_read,
    RowInvalid: Journeys.row_invalid,
    Carried: Journeys.carried,
    SourceEnded: Journeys.source_ended,
    VisitsBegun: Journeys.begun,
    AttemptFailed: Journeys.attempt_failed,
    Visited: Journeys.visited,
    Failed: Journeys.failed,
    Dropped: Journeys.visited,
    Expanded: Journeys.expanded,
    Routed: Journeys.routed,
    Waiting: Journeys.waited,
    MergeLate: Journeys.late,
    Merged: Journeys.merged,
    Buffered: Journeys.buffered,
    BatchFlushed: Journeys.batch_ended,
    BatchFailed: Journeys.batch_ended,
    SinkIntended: Journeys.intended,
    SinkConfirmed: Journeys.confirmed,
}
