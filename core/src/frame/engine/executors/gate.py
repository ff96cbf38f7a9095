"""Gates: one row in, one label out."""

from collections.abc import Sequence
from typing import Any

from frame.canonical import canonical
from frame.engine.executors.base import Executor, fail, late_failure, uncanonical, wrong_result
from frame.engine.failures import Cancelled, Failure, Raised, error_of
from frame.engine.inflight import InFlight
from frame.engine.nodes import PluginNode, Results, Surroundings
from frame.errors import ExpressionError, NotCanonical
from frame.events import AttemptFailed, ErrorInfo, PayloadKind, Payloads, Tokens, VisitStatus
from frame.expressions import Expression
from frame.graph.model import GateNode
from frame.plugin.results import Route
from frame.rows import Row
from frame.scheduler.work import Evaluate, Evaluated

MAY_RETURN = "a label (a text or a bool), Route or Fail"
_TRUTH = {True: "true", False: "false"}


class GateExecutor(Executor):
    """Asks one gate, be it a plugin or an expression."""

    def __init__(
        self,
        node: GateNode,
        plugin: PluginNode | None,
        around: Surroundings,
        inflight: InFlight,
        payloads: list[Payloads],
    ) -> None:
        super().__init__(around, inflight, payloads)
        self._node, self._plugin = node, plugin

    def run(self, work: Evaluate) -> Evaluated:
        rows = self.inflight.rows_of(work.tokens)
        started_us = self.around.clock.time_us()
        results = self._results(work, rows)
        answer = Evaluated(
            started_us=started_us,
            duration_us=self.around.clock.time_us() - started_us,
            attempts=results.attempts,
            attempts_of=results.attempts_of,
        )
        values = results.values
        if set(map(type, values)) == {str} and self._node.routes.keys() >= set(values):
            answer.tokens, answer.labels = work.tokens, values
        else:
            self._one_by_one(work, rows, values, answer)
        self._keep_calls(work, answer)
        return answer

    def _results(self, work: Evaluate, rows: Sequence[Row]) -> Results:
        if self._plugin is not None:
            return self._plugin.visit_all(work.tokens, rows, work.visit)
        assert self._node.expression is not None
        return self._evaluate(work, self._node.expression, rows)

    def _evaluate(self, work: Evaluate, expression: Expression, rows: Sequence[Row]) -> Results:
        if not expression.fields and rows:  # it names no row: one answer holds for all
            results = self._each(work, expression, work.tokens[:1], rows[:1])
            if not results.attempts:
                results.values *= len(rows)
                return results
        return self._each(work, expression, work.tokens, rows)

    def _each(self, work: Evaluate, expression: Expression, tokens: Tokens, rows: Sequence[Row]) -> Results:
        results = Results([])
        for token, row in zip(tokens, rows, strict=True):
            try:
                results.values.append(expression.evaluate(row))
            except ExpressionError as error:
                info = error_of(Raised(error), self.around.facts.redactor)
                now_us = self.around.clock.time_us()
                results.attempts.append(
                    AttemptFailed(work.node, work.visit, token, 0, VisitStatus.FAILED, info, now_us, 0)
                )
                results.values.append(Failure(info))
        return results

    def _one_by_one(
        self, work: Evaluate, rows: Sequence[Row], values: Sequence[Any], answer: Evaluated
    ) -> None:
        tokens: list[int] = []
        labels: list[str] = []
        reasons: dict[int, bytes] = {}
        for token, row, value in zip(work.tokens, rows, values, strict=True):
            if isinstance(value, Cancelled):
                answer.cancelled = True
                continue
            label = self._known(label_of(value))
            if isinstance(value, Route) and value.reason:
                try:
                    reasons[token] = canonical(self.around.facts.redactor.data(value.reason))
                except NotCanonical as error:
                    label = uncanonical(error)
                except Exception as error:  # noqa: BLE001 - to read what a plugin made may run its code
                    label = error_of(Raised(error), self.around.facts.redactor)
            if isinstance(label, ErrorInfo):
                self._fail(work, token, row, value, label, answer)
            else:
                tokens.append(token)
                labels.append(label)
        answer.tokens = work.tokens if len(tokens) == len(work.tokens) else tokens
        answer.labels = labels
        if reasons:
            self.payloads.append(
                Payloads(PayloadKind.REASONS, work.node, list(reasons), list(reasons.values()), work.visit)
            )

    def _known(self, label: str | ErrorInfo) -> str | ErrorInfo:
        """`label`, or the error of a gate that gave one which leads nowhere."""
        if isinstance(label, ErrorInfo) or label in self._node.routes:
            return label
        known = ", ".join(self._node.routes)
        why = f"gate {self._node.name!r} gave {label!r}, for which it has no route (it has {known})"
        return ErrorInfo("NoRoute", self.around.facts.redactor.text(why))

    def _fail(
        self, work: Evaluate, token: int, row: Row, value: Any, error: ErrorInfo, answer: Evaluated
    ) -> None:
        if not isinstance(value, Failure):
            answer.attempts.append(late_failure(work, token, error, answer))
        answer.failed.append(fail(self._node.on_error, token, error, row))

    def _keep_calls(self, work: Evaluate, answer: Evaluated) -> None:
        if self._plugin is None:
            return
        log = self._plugin.take_log()
        answer.calls = log.calls
        if log.bodies:
            self.payloads.append(
                Payloads(PayloadKind.CALLS, work.node, list(log.bodies), list(log.bodies.values()))
            )


def label_of(value: Any) -> str | ErrorInfo:
    """The label that a gate's answer stands for."""
    match value:
        case str():
            return str.__str__(value)
        case bool():
            return _TRUTH[value]
        case Route(label=str() as label):
            return str.__str__(label)
        case Failure():
            return value.info
    return wrong_result("the gate", value, MAY_RETURN)
