"""Batches, done over: the members are accepted again, and flushed when they were."""

from collections.abc import Sequence

from frame.engine.executors.aggregation import AggregationExecutor
from frame.engine.replay.ground import Ground
from frame.engine.replay.outcomes import Outcome, Recorded, attempts_of, failure, made_now
from frame.engine.spool import Spool
from frame.events import (
    BatchAttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Event,
    Failed,
    PayloadKind,
    Tokens,
    TriggerKind,
    Visits,
    VisitStatus,
)
from frame.graph.model import AggregationNode, BatchMode
from frame.plugin.protocols import RECOMPUTABLE
from frame.scheduler.work import Accept, Flush, Flushed, FlushFailed


class Batches:
    """Does over what one aggregation did.

    `_members`: the rows of the open batch, for members that may come to another node themselves. `_astray`: the
    instance does not hold what the batch held then, so that nothing can be said about its flush.
    """

    def __init__(self, ground: Ground, node: AggregationNode, executor: AggregationExecutor) -> None:
        self._on, self._node, self._executor = ground, node, executor
        self._members = Spool()
        self._astray = False
        self._runs = ground.live == node.number or node.plugin.determinism in RECOMPUTABLE

    def close(self) -> None:
        self._members.close()

    def replay(self, events: Sequence[Event]) -> None:
        """Do over the work that came to `events`, which are not yet part of the state."""
        refused = [event for event in events if isinstance(event, Failed)]
        if refused:
            self._refuse(events, refused)
        for event in events:
            match event:
                case Buffered():
                    self._accept(event)
                case BatchFlushed() | BatchFailed():
                    self._end(event, [each for each in events if isinstance(each, BatchAttemptFailed)])

    # --- Into the batch -------------------------------------------------------------------------

    def _accept(self, event: Buffered) -> None:
        on, tally = self._on, self._on.findings.at(self._node.number)
        known = on.known(event.tokens)
        if self._node.members_may_go_on:
            self._members.add(known, on.inflight.forms_of(known))
        if not self._runs:
            tally.taken += len(event.tokens)
            return
        if len(known) < len(event.tokens):
            self._astray = True
        if self._astray:
            tally.unreached += len(event.tokens)
            return
        tally.compared += len(event.tokens)
        for token, now in self._offered(event.tokens, event.visits, event.batch).items():
            if now.kind != "member":
                on.differs(event.node, "a member of the batch", now, token=token, batch=event.batch)
                self._astray = True

    def _refuse(self, events: Sequence[Event], refused: Sequence[Failed]) -> None:
        """Rows that were no members: they are offered again, and have to be refused."""
        on = self._on
        recorded = Recorded([e for e in events if not isinstance(e, Buffered)], {}, {})
        for event in refused:
            token = event.token
            on.inflight.errors[token] = event.node, event.error
            if not self._runs or self._astray or token in recorded.lost or not on.known([token]):
                on.findings.at(event.node).taken += 1
                continue
            on.findings.at(event.node).compared += 1
            now = self._offered([token], event.visit, 0)[token]
            if now != recorded.outcomes[token]:
                on.differs(event.node, recorded.outcomes[token], now, token=token)
                self._astray = now.kind == "member"

    def _offered(self, tokens: Tokens, visits: Visits, batch: int) -> dict[int, Outcome]:
        self._on.payloads.clear()
        answer = self._executor.run(Accept(self._node.number, batch, visits, tokens))
        assert not isinstance(answer, Flushed | FlushFailed)
        return made_now(answer, {}, {})

    # --- Out of the batch -----------------------------------------------------------------------

    def _end(self, event: BatchFlushed | BatchFailed, failed: Sequence[BatchAttemptFailed]) -> None:
        on = self._on
        made_again = False
        if self._runs:
            made_again = self._flush_again(event, failed)
        else:
            on.findings.at(event.node).taken += 1
        if isinstance(event, BatchFailed):
            self._hand_back(event)
        elif not made_again:
            place = PayloadKind.OUTPUTS, event.node, 0
            tokens = event.outputs or self._went_on(event)
            if tokens:
                on.take_kept(place, tokens, event.digests, tokens)
        self._members.close()
        self._members, self._astray = Spool(), False

    def _went_on(self, event: BatchFlushed) -> Tokens:
        """All members of a batch whose mode is passthrough, in order, whether their rows are known or not."""
        if self._node.mode is not BatchMode.PASSTHROUGH:
            return ()
        return [token for _, part in self._on.state.batches[event.node].parts for token in part]

    def _flush_again(self, event: BatchFlushed | BatchFailed, failed: Sequence[BatchAttemptFailed]) -> bool:
        """Whether the rows that the flush gave then have been made again."""
        on, tally = self._on, self._on.findings.at(event.node)
        decided_alone = isinstance(event, BatchFailed) and not failed
        clean = all(each.status is VisitStatus.FAILED for each in failed)
        if self._astray or decided_alone or not clean:
            tally.unreached += self._astray
            tally.taken += not self._astray
            self._begin_anew(event)
            return False
        tally.compared += 1
        if failed:
            self._executor.flushes[event.batch] = failed[0].attempt
        on.payloads.clear()
        members = sum(len(part) for _, part in on.state.batches[event.node].parts)
        answer = self._executor.run(Flush(event.node, event.batch, event.trigger, members))
        assert isinstance(answer, Flushed | FlushFailed)
        then, now = _recorded(event, failed), _made(answer)
        if then == now:
            self._executor.adopt([event])
            return isinstance(event, BatchFlushed)
        on.differs(event.node, then, now, batch=event.batch)
        self._begin_anew(event)
        return False

    def _begin_anew(self, event: BatchFlushed | BatchFailed) -> None:
        """The instance forgets what it has been given."""
        error = getattr(event, "error", None)
        errors = dict(self._on.inflight.errors)
        trigger: TriggerKind = event.trigger
        forget = BatchFailed(event.node, event.batch, trigger, event.members, error, None)  # type: ignore[arg-type]
        self._executor.hear(forget)
        self._on.inflight.errors.clear()
        self._on.inflight.errors.update(errors)

    def _hand_back(self, event: BatchFailed) -> None:
        """The members of a failed batch go their own way again, with its error."""
        if not self._node.members_may_go_on:
            return
        for token, row, form in self._members:
            self._on.put((token,), (row,), (form,))
            self._on.inflight.errors[token] = event.node, event.error


def _recorded(event: BatchFlushed | BatchFailed, failed: Sequence[BatchAttemptFailed]) -> Outcome:
    before = attempts_of(failed)
    if isinstance(event, BatchFailed):
        return Outcome("failure", failure(event.error), failed[-1].attempt, before)
    return Outcome("rows", event.digests, event.attempt, before)


def _made(answer: Flushed | FlushFailed) -> Outcome:
    before = attempts_of(answer.flush_attempts)
    if isinstance(answer, FlushFailed):
        return Outcome("failure", failure(answer.error), answer.flush_attempts[-1].attempt, before)
    return Outcome("rows", answer.digests, answer.attempt, before)
