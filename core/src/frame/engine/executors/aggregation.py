"""Aggregations: rows go in one after the other, and come out together."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from frame.canonical import canonical_rows, digests
from frame.engine.calls import TimedOut
from frame.engine.delays import delay_s
from frame.engine.executors.base import Executor, fail, uncanonical, wrong_result
from frame.engine.failures import Failure, Raised, error_of
from frame.engine.inflight import InFlight
from frame.engine.nodes import PluginNode, Surroundings
from frame.engine.spool import Spool
from frame.engine.typecheck import TypeCheck
from frame.errors import NotCanonical, Refused
from frame.events import (
    AttemptFailed,
    BatchAttemptFailed,
    BatchFailed,
    BatchFlushed,
    ErrorInfo,
    Event,
    PayloadKind,
    Payloads,
    VisitStatus,
)
from frame.graph.model import AggregationNode, BatchMode, CallPolicy
from frame.rows import Row, freeze_all
from frame.scheduler.work import Accept, Accepted, Flush, Flushed, FlushFailed
from frame.shapes import shapes_of


def accepting(policy: CallPolicy) -> CallPolicy:
    """How an aggregation is called for a row: one at a time and once, since its instance is its batch."""
    return CallPolicy(timeout_s=policy.timeout_s)


class AggregationExecutor(Executor):
    """Fills and flushes the batches of one aggregation."""

    def __init__(
        self,
        node: AggregationNode,
        plugin: PluginNode,
        check_types: TypeCheck,
        around: Surroundings,
        inflight: InFlight,
        payloads: list[Payloads],
    ) -> None:
        super().__init__(around, inflight, payloads)
        self._node, self._plugin, self._check_types = node, plugin, check_types
        self._members = Spool() if node.members_may_go_on else None
        self._outputs: tuple[list[Row], list[bytes]] = [], []
        self.flushes: dict[int, int] = {}
        """Batch -> attempts to flush it that were made before this process took the run over."""
        self._unkept: list[int] = []

    # --- Into the batch -------------------------------------------------------------------------

    def run(self, work: Accept | Flush) -> Accepted | Flushed | FlushFailed:
        return self._accept(work) if isinstance(work, Accept) else self._flush(work)

    def _accept(self, work: Accept) -> Accepted:
        rows = self.inflight.rows_of(work.tokens)
        started_us = self.around.clock.time_us()
        results = self._plugin.visit_all(work.tokens, rows, 0)
        answer = Accepted(
            started_us=started_us, duration_us=self.around.clock.time_us() - started_us, tokens=work.tokens
        )
        if not all(value is None for value in results.values):
            visit_of = _visit_numbers(work)
            answer.attempts = [
                dataclasses.replace(attempt, visit=visit_of[attempt.token]) for attempt in results.attempts
            ]
            answer.tokens = self._without_failed(work, rows, results.values, visit_of, answer)
        if self._members is not None:
            self._members.add(answer.tokens, self.inflight.forms_of(answer.tokens))
        self._unkept += answer.tokens
        return answer

    def keep_members(self) -> None:
        """Keep the rows of members that the open batch has taken in since the last commit."""
        if self._unkept:
            tokens, self._unkept = self._unkept, []
            rows, forms = self.inflight.rows_of(tokens), self.inflight.forms_of(tokens)
            shapes = shapes_of(rows)
            self.payloads.append(
                Payloads(PayloadKind.MEMBERS, self._node.number, tokens, forms, shapes=shapes)
            )

    def _without_failed(
        self,
        work: Accept,
        rows: Sequence[Row],
        values: Sequence[Any],
        visit_of: Mapping[int, int],
        answer: Accepted,
    ) -> list[int]:
        accepted = []
        for token, row, value in zip(work.tokens, rows, values, strict=True):
            if isinstance(value, Failure):
                answer.failed.append(fail(self._node.on_error, token, value.info, row))
            elif inspect.iscoroutine(value):
                value.close()
                error = wrong_result("accept()", value, "nothing (it cannot be `async`)")
                place = work.node, visit_of[token], token, 0
                when = answer.started_us, answer.duration_us
                answer.attempts.append(AttemptFailed(*place, VisitStatus.FAILED, error, *when))
                answer.failed.append(fail(self._node.on_error, token, error, row))
            else:
                accepted.append(token)
        return accepted

    def accept_again(self, tokens: Sequence[int]) -> None:
        """Give a fresh instance members of the batch that was open when the run stopped. Raises Refused."""
        rows = self.inflight.rows_of(tokens)
        results = self._plugin.visit_all(tokens, rows, 0)
        for token, value in zip(tokens, results.values, strict=True):
            if value is not None:
                why = value.info.message if isinstance(value, Failure) else f"returned {type(value).__name__}"
                raise Refused(
                    f"aggregation {self._node.name!r} accepted token {token} before and does not do so again: {why}"
                )
        if self._members is not None:
            self._members.add(tokens, self.inflight.forms_of(tokens))

    # --- Out of the batch -----------------------------------------------------------------------

    def _flush(self, work: Flush) -> Flushed | FlushFailed:
        first_us = started_us = self.around.clock.time_us()
        failed: list[BatchAttemptFailed] = []
        before = self.flushes.pop(work.batch, 0)
        retry = self._node.policy.retry
        while True:
            started_us = self.around.clock.time_us()
            outcome = self._flush_once(work)
            duration_us = self.around.clock.time_us() - started_us
            if not isinstance(outcome, ErrorInfo):
                self._outputs = outcome
                return Flushed(
                    started_us=started_us,
                    duration_us=duration_us,
                    outputs=0 if self._node.mode is BatchMode.PASSTHROUGH else len(outcome[0]),
                    digests=digests(outcome[1]),
                    attempt=before + len(failed),
                    flush_attempts=failed,
                )
            status = VisitStatus.TIMED_OUT if outcome.type == TimedOut.__name__ else VisitStatus.FAILED
            failed.append(
                BatchAttemptFailed(
                    work.node, work.batch, before + len(failed), status, outcome, started_us, duration_us
                )
            )
            if not outcome.retryable or before + len(failed) >= retry.attempts:
                return self._flush_failed(failed, first_us)
            if self.around.clock.wait(self.around.stop, delay_s(retry, before + len(failed))):
                return self._flush_failed(failed, first_us, cancelled=True)

    def _flush_failed(
        self, failed: list[BatchAttemptFailed], first_us: int, *, cancelled: bool = False
    ) -> FlushFailed:
        made = failed[-1].attempt + 1
        error = dataclasses.replace(failed[-1].error, attempts=made)
        if made > 1 and error.retryable:
            message = f"{made} attempts, the last one failed with {error.type}: {error.message}"
            error = dataclasses.replace(error, type="RetriesExhausted", message=message)
        if not cancelled:
            # What the old instance has been given must not come out with the next batch.
            self._plugin.start_anew(hangs=failed[-1].status is VisitStatus.TIMED_OUT)
        return FlushFailed(
            started_us=first_us,
            duration_us=self.around.clock.time_us() - first_us,
            error=error,
            clause=fail(self._node.on_error, 0, error, {}).clause,
            flush_attempts=failed,
            cancelled=cancelled,
        )

    def _flush_once(self, work: Flush) -> tuple[list[Row], list[bytes]] | ErrorInfo:
        """The rows of one attempt to flush, or why there are none."""
        redactor = self.around.facts.redactor
        made = self._plugin.outcome(lambda plugin: list(plugin.flush()))
        if isinstance(made, Raised):
            return error_of(made, redactor)
        wrong = self._wrong_output(work, made)
        if wrong is not None:
            return wrong
        try:
            rows = freeze_all(made)
            wrong_type = self._check_types(rows)
            if wrong_type is not None:
                return error_of(Raised(wrong_type), redactor)
            return rows, canonical_rows(rows)
        except NotCanonical as error:
            return uncanonical(error)
        except Exception as error:  # noqa: BLE001 - to read what a plugin made may run its code
            return error_of(Raised(error), redactor)

    def _wrong_output(self, work: Flush, made: Sequence[Any]) -> ErrorInfo | None:
        for value in made:
            if not isinstance(value, Mapping):
                return wrong_result("flush()", [value], "a list of rows (mappings)")
        expected = work.members if self._node.mode is BatchMode.PASSTHROUGH else self._node.expect
        if expected is not None and len(made) != expected:
            return ErrorInfo(
                "WrongResult", f"flush() returned {len(made)} rows where {expected} were expected"
            )
        return None

    def hear(self, event: Event) -> None:
        if isinstance(event, BatchFailed):
            # What the instance has been given must not come out with the next batch.
            self._plugin.start_anew(hangs=False)
        super().hear(event)

    def adopt(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, BatchFlushed | BatchFailed):
                self._unkept = []
            if isinstance(event, BatchFlushed):
                self._adopt_outputs(event)
            elif isinstance(event, BatchFailed) and self._members is not None:
                for token, row, form in self._members:
                    self.inflight.put((token,), (row,), (form,))
                    self.inflight.errors[token] = event.node, event.error
                self._new_members()

    def _adopt_outputs(self, event: BatchFlushed) -> None:
        rows, forms = self._outputs
        self._outputs = [], []
        tokens: Sequence[int] = event.outputs
        if self._node.mode is BatchMode.PASSTHROUGH:
            assert self._members is not None
            tokens = self._members.tokens
        self.inflight.put(tokens, rows, forms)
        if rows:
            # Kept whatever the plugin's determinism: to make them again would take every member.
            shapes = shapes_of(rows)
            self.payloads.append(Payloads(PayloadKind.OUTPUTS, event.node, tokens, forms, shapes=shapes))
        self._new_members()

    def close(self) -> None:
        if self._members is not None:
            self._members.close()

    def _new_members(self) -> None:
        if self._members is not None:
            self._members.close()
            self._members = Spool()


def _visit_numbers(work: Accept) -> dict[int, int]:
    if isinstance(work.visits, int):
        return dict.fromkeys(work.tokens, work.visits)
    return dict(zip(work.tokens, work.visits, strict=True))
