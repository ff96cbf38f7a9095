"""What all executors are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from frame.canonical import canonical_row
from frame.engine.inflight import InFlight
from frame.engine.nodes import Surroundings
from frame.errors import ExpressionError, NotCanonical
from frame.events import AttemptFailed, ErrorInfo, Event, Payloads, VisitStatus
from frame.graph.model import ErrorClause
from frame.rows import Row, freeze
from frame.scheduler.work import Answer, Evaluate, Process, Tally, TokenFailed


class Executor:
    """Does one node's work. `payloads`: bytes to keep with the events of the chunk in hand."""

    def __init__(self, around: Surroundings, inflight: InFlight, payloads: list[Payloads]) -> None:
        self.around, self.inflight, self.payloads = around, inflight, payloads

    def run(self, work: Any) -> Answer:
        """Do `work`."""
        raise NotImplementedError

    def hear(self, event: Event) -> None:
        """`event` was decided at this node without any work."""
        self.adopt([event])

    def adopt(self, events: Sequence[Event]) -> None:
        """The answer has come to `events`: tokens that were made by them get their rows."""

    def close(self) -> None:
        """Let go of what is held beside the plugin."""


def clause_for(clauses: Sequence[ErrorClause], error: ErrorInfo, row: Mapping[str, Any]) -> int | None:
    """The first clause that catches `error`; a condition that cannot be evaluated catches nothing."""
    if not clauses:
        return None
    facts = {"type": error.type, "message": error.message, "attempts": error.attempts}
    for index, clause in enumerate(clauses):
        try:
            if clause.when is None or clause.when.evaluate_with(error=facts, row=row) is True:
                return index
        except ExpressionError:
            continue
    return None


def as_row(value: Mapping[str, Any]) -> tuple[Row, bytes]:
    """`value` as a row with its canonical form. Raises NotCanonical."""
    row = freeze(value)
    return row, canonical_row(row)


def wrong_result(called: str, value: object, expected: str) -> ErrorInfo:
    """The error of a plugin that returned something else than it may."""
    return ErrorInfo("WrongResult", f"{called} returned {type(value).__name__}; it may return {expected}")


def uncanonical(error: NotCanonical) -> ErrorInfo:
    """The error of a plugin that returned a value which cannot be recorded."""
    return ErrorInfo("NotCanonical", str(error))


def late_failure(work: Process | Evaluate, token: int, error: ErrorInfo, answer: Tally) -> AttemptFailed:
    """The attempt of a call that returned, but nothing that can be used."""
    attempt = answer.attempts_of.get(token, 0)
    when = answer.started_us, answer.duration_us
    return AttemptFailed(work.node, work.visit, token, attempt, VisitStatus.FAILED, error, *when)


def fail(clauses: Sequence[ErrorClause], token: int, error: ErrorInfo, row: Mapping[str, Any]) -> TokenFailed:
    """A failed token with the clause that catches it."""
    return TokenFailed(token, error, clause_for(clauses, error, row))
