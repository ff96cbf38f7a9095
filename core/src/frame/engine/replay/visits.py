"""Visits of transforms and gates, done over."""

from collections.abc import Mapping, Sequence

from frame.engine.replay.ground import Ground
from frame.engine.replay.outcomes import Outcome, Recorded, made_now
from frame.events import (
    Event,
    Expanded,
    Failed,
    PayloadKind,
    Routed,
    RouteMode,
    Tokens,
    Visited,
)
from frame.graph.model import TransformNode
from frame.plugin.protocols import RECOMPUTABLE, Determinism
from frame.rows import Row
from frame.scheduler.work import Evaluate, Evaluated, Process, Processed


class Visits:
    """Does over what transforms and gates did, one piece of work at a time."""

    def __init__(self, ground: Ground) -> None:
        self._on = ground

    def replay(self, node: int, visit: int, events: Sequence[Event]) -> None:
        """Do over the work that came to `events`, which are not yet part of the state."""
        if not self._in_one(node, visit, events):
            self._each(node, visit, events)

    # --- The way of nearly all rows -------------------------------------------------------------

    def _in_one(self, node: int, visit: int, events: Sequence[Event]) -> bool:
        """Whether all went through in one, then and now alike."""
        event, on = events[0], self._on
        if len(events) > 1 or not isinstance(event, Visited) or event.attempt:
            return False
        plugin = on.plugin(node)
        if plugin is None or plugin.ref.determinism not in RECOMPUTABLE:
            return False
        if on.astray and not on.astray.isdisjoint(event.tokens):
            return False
        rows = dict(zip(event.tokens, on.inflight.rows_of(event.tokens), strict=True))
        forms = on.forms(event.tokens)
        answer = self._run(node, visit, event.tokens)
        assert isinstance(answer, Processed)
        clean = not (answer.failed or answer.dropped or answer.expanded or answer.attempts)
        if clean and answer.digests == event.digests and not on.answers.missing:
            on.findings.at(node).compared += len(event.tokens)
            return True
        self._settle(node, visit, Recorded(events, forms, {}), answer, rows, forms)
        return True

    # --- One by one -----------------------------------------------------------------------------

    def _each(self, node: int, visit: int, events: Sequence[Event]) -> None:
        on = self._on
        waiting = on.state.waiting[node][visit].ordered(on.state.root_of)
        forms = on.forms(waiting)
        place = PayloadKind.REASONS, node, visit
        recorded = Recorded(events, forms, on.kept.all(place))
        again = [
            token
            for token in waiting
            if token in recorded.outcomes and self._can_run(node, visit, token, recorded)
        ]
        rows = dict(zip(again, on.inflight.rows_of(again), strict=True))
        if again:
            self._begin_at(node, visit, again, recorded)
            answer = self._run(node, visit, again)
            self._settle(node, visit, recorded, answer, rows, forms)
        taken = recorded.outcomes.keys() - set(again)
        tally = on.findings.at(node)
        unreached = taken & on.astray
        tally.taken += len(taken) - len(unreached)
        tally.unreached += len(unreached)
        self._take(node, visit, [token for token in recorded.outcomes if token in taken], recorded)

    def _can_run(self, node: int, visit: int, token: int, recorded: Recorded) -> bool:
        on = self._on
        if token not in on.inflight.rows:
            return False
        if node == on.live:
            return True
        if token in recorded.lost:
            return False
        plugin = on.plugin(node)
        if plugin is None or plugin.ref.determinism in RECOMPUTABLE:
            return True
        if plugin.ref.determinism is not Determinism.EXTERNAL_CALL:
            return False
        # A plugin that calls past its context has left no answers, and would reach somebody.
        callers = on.answers.callers(node, visit)
        return token in callers or None in callers

    def _begin_at(self, node: int, visit: int, tokens: Sequence[int], recorded: Recorded) -> None:
        plugin = self._on.plugin(node)
        if plugin is not None:
            for token in tokens:
                if token in recorded.first:
                    plugin.made[visit, token] = recorded.first[token]

    def _run(self, node: int, visit: int, tokens: Tokens) -> Processed | Evaluated:
        kind = Process if isinstance(self._on.graph.nodes[node], TransformNode) else Evaluate
        self._on.payloads.clear()
        answer = self._on.executor(node).run(kind(node, visit, tokens))
        assert isinstance(answer, Processed | Evaluated)
        return answer

    def _reasons(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for block in self._on.payloads:
            if block.kind is PayloadKind.REASONS:
                found.update(zip(block.keys, block.items, strict=True))  # type: ignore[arg-type]
        return found

    # --- What came of it ------------------------------------------------------------------------

    def _settle(
        self,
        node: int,
        visit: int,
        recorded: Recorded,
        answer: Processed | Evaluated,
        rows: Mapping[int, Row],
        forms: Mapping[int, bytes],
    ) -> None:
        """Hold what was made against the record, and leave behind the rows that are on record."""
        on = self._on
        made = made_now(answer, forms, self._reasons())
        missing = on.missing_answers(node)
        new_forms = on.forms(rows)
        self._adopt(node, visit, answer, recorded)
        on.findings.at(node).compared += len(rows)
        other: list[int] = []
        for token in rows:
            then, now = recorded.outcomes[token], made.get(token)
            lacking = missing.get(token) or missing.get(None)
            if lacking is not None:
                now = Outcome("failure", lacking)
            if then == now:
                continue
            other.append(token)
            self._differs(node, token, then, now, new_forms.get(token))
        if other:
            on.put(other, [rows[token] for token in other], [forms[token] for token in other])
            self._take(node, visit, other, recorded)

    def _differs(self, node: int, token: int, then: Outcome, now: Outcome | None, form: bytes | None) -> None:
        kept = self._on.kept

        def both() -> tuple[bytes | None, bytes | None]:
            if not isinstance(then.what, bytes) or then.kind != "row" or now is None or now.kind != "row":
                return None, None
            return kept.with_digest(then.what), form

        self._on.differs(node, then, now or "nothing", token=token, rows=both)

    def _adopt(self, node: int, visit: int, answer: Processed | Evaluated, recorded: Recorded) -> None:
        """Hand the rows of expansions on: to the children that are on record, if they have the same digests."""
        if not isinstance(answer, Processed):
            return
        for parent, count, joined in answer.expanded:
            event = recorded.final[parent]
            if not isinstance(event, Expanded) or event.digests != joined:
                # Nobody's numbers: the executor lets go of the rows, and they are forgotten with the chunk.
                event = Expanded(node, visit, parent, range(-count, 0), joined, 0, 0)
            self._on.executor(node).adopt([event])

    def _take(self, node: int, visit: int, tokens: Sequence[int], recorded: Recorded) -> None:
        """Give `tokens`, or their children, what the record kept of them."""
        on = self._on
        place = PayloadKind.OUTPUTS, node, visit
        for event, some in _by_event(tokens, recorded):
            match event:
                case Visited(digests=bytes() as joined):
                    if on.is_made_again(node):
                        on.lose(some)
                    else:
                        on.take_kept(place, event.tokens, joined, some)
                case Expanded(children=children, digests=joined):
                    if on.is_made_again(node):
                        on.lose(children)
                    else:
                        on.take_kept(place, children, joined, children)


def _by_event(tokens: Sequence[int], recorded: Recorded) -> list[tuple[Event, list[int]]]:
    found: dict[int, tuple[Event, list[int]]] = {}
    for token in tokens:
        event = recorded.final[token]
        found.setdefault(id(event), (event, []))[1].append(token)
    return list(found.values())


def fork(ground: Ground, event: Routed) -> None:
    """Give the children of a fork their parents' rows."""
    if event.mode is not RouteMode.FORK or not event.tokens:
        return
    width = len(event.children) // len(event.tokens)
    for index, parent in enumerate(event.tokens):
        children = event.children[index * width : (index + 1) * width]
        row = ground.inflight.rows.get(parent)
        if row is None:
            ground.lose(children)
        else:
            ground.put(children, [row] * width, [ground.inflight.forms[parent]] * width)


def remember_error(ground: Ground, event: Failed) -> None:
    """A failed token carries its error to an error sink."""
    ground.inflight.errors[event.token] = event.node, event.error
