"""Transforms: one row in, one result out."""

from collections.abc import Iterable, Mapping, Sequence
from operator import is_
from typing import Any

from frame.canonical import canonical_rows, digests
from frame.engine.executors.base import Executor, as_row, fail, late_failure, uncanonical, wrong_result
from frame.engine.failures import Cancelled, Failure, Raised, error_of
from frame.engine.inflight import InFlight
from frame.engine.nodes import PluginNode, Results, Surroundings
from frame.engine.typecheck import TypeCheck
from frame.errors import NotCanonical, WrongType
from frame.events import ErrorInfo, Event, Expanded, PayloadKind, Payloads, Tokens
from frame.graph.model import TransformNode
from frame.plugin.protocols import RECOMPUTABLE
from frame.plugin.results import Drop, Expand
from frame.rows import Row, freeze_all
from frame.scheduler.work import Process, Processed
from frame.shapes import shapes_of

MAY_RETURN = "a row (a mapping), Expand, Drop or Fail"
_ROWS: frozenset[object] = frozenset((dict, Row))


class TransformExecutor(Executor):
    """Calls one transform."""

    def __init__(
        self,
        node: TransformNode,
        plugin: PluginNode,
        check_types: TypeCheck,
        around: Surroundings,
        inflight: InFlight,
        payloads: list[Payloads],
    ) -> None:
        super().__init__(around, inflight, payloads)
        self._node, self._plugin, self._check_types = node, plugin, check_types
        self._keep_outputs = plugin.ref.determinism not in RECOMPUTABLE
        self._children: dict[int, tuple[list[Row], list[bytes]]] = {}

    def run(self, work: Process) -> Processed:
        rows = self.inflight.rows_of(work.tokens)
        started_us = self.around.clock.time_us()
        results = self._plugin.visit_all(work.tokens, rows, work.visit)
        answer = Processed(
            started_us=started_us,
            duration_us=self.around.clock.time_us() - started_us,
            attempts=results.attempts,
            attempts_of=results.attempts_of,
        )
        plain = [index for index, value in enumerate(results.values) if type(value) in _ROWS]
        if not self._in_bulk(work, rows, results, plain, answer):
            plain = []
        if len(plain) < len(rows):
            self._one_by_one(work, rows, results, set(plain), answer)
        self._keep(work, answer)
        return answer

    def _in_bulk(
        self, work: Process, rows: Sequence[Row], results: Results, plain: Sequence[int], answer: Processed
    ) -> bool:
        """Take the results at `plain` as they are, if every one is a good row; the way of nearly all rows."""
        everything = len(plain) == len(rows)
        tokens = work.tokens if everything else [work.tokens[index] for index in plain]
        before = rows if everything else [rows[index] for index in plain]
        try:
            made = freeze_all(results.values if everything else [results.values[index] for index in plain])
            if self._check_types(made) is not None:
                return False
            if everything and all(map(is_, made, before)):
                answer.done = tokens
                return True
            forms = canonical_rows(made)
        except (NotCanonical, RecursionError):
            return False
        self.inflight.put(tokens, made, forms)
        answer.done, answer.digests = tokens, digests(forms)
        return True

    def _one_by_one(
        self, work: Process, rows: Sequence[Row], results: Results, done: set[int], answer: Processed
    ) -> None:
        """Look at each result but those at `done`."""
        more: list[int] = []
        forms: list[bytes] = []
        for index, (token, row, value) in enumerate(zip(work.tokens, rows, results.values, strict=True)):
            if index in done:
                continue
            if isinstance(value, Cancelled):
                answer.cancelled = True
                continue
            try:
                outcome = self._read(token, value, answer)
            except NotCanonical as error:
                outcome = uncanonical(error)
            except WrongType as error:
                outcome = ErrorInfo("WrongType", f"node {self._node.name!r}: {error}")
            except Exception as error:  # noqa: BLE001 - to read what a plugin made may run its code
                outcome = error_of(Raised(error), self.around.facts.redactor)
            if isinstance(outcome, ErrorInfo):
                self._fail(work, token, row, value, outcome, answer)
            elif outcome is not None:
                self.inflight.put((token,), (outcome[0],), (outcome[1],))
                more.append(token)
                forms.append(outcome[1])
        answer.done = [*answer.done, *more]
        answer.digests = (answer.digests or b"") + digests(forms)

    def _read(self, token: int, value: Any, answer: Processed) -> tuple[Row, bytes] | ErrorInfo | None:
        """The row that `value` is, an error, or None for a token whose way ends here."""
        match value:
            case Failure():
                return value.info
            case Expand():
                return self._expand(token, value, answer)
            case Drop():
                answer.dropped.append((token, self.around.facts.redactor.text(str(value.reason))))
                return None
            case Mapping():
                return self._checked(as_row(value))
        return wrong_result("process()", value, MAY_RETURN)

    def _expand(self, token: int, value: Expand, answer: Processed) -> ErrorInfo | None:
        if not getattr(self._plugin.plugin, "expands", False):
            return ErrorInfo(
                "WrongResult", "process() returned Expand, but its class does not say `expands = True`"
            )
        given: Any = value.rows
        made = list(given) if isinstance(given, Iterable) else [given]
        for row in made:
            if not isinstance(row, Mapping):
                return wrong_result("process()", row, "rows (mappings) in Expand")
        children = [self._checked(as_row(row)) for row in made]
        if not children:
            answer.dropped.append((token, "expanded to no rows"))
            return None
        rows, forms = [row for row, _ in children], [form for _, form in children]
        self._children[token] = rows, forms
        answer.expanded.append((token, len(rows), digests(forms)))
        return None

    def _checked(self, made: tuple[Row, bytes]) -> tuple[Row, bytes]:
        error = self._check_types([made[0]])
        if error is not None:
            raise error
        return made

    def _fail(
        self, work: Process, token: int, row: Row, value: Any, error: ErrorInfo, answer: Processed
    ) -> None:
        if not isinstance(value, Failure):
            answer.attempts.append(late_failure(work, token, error, answer))
        answer.failed.append(fail(self._node.on_error, token, error, row))

    def _keep(self, work: Process, answer: Processed) -> None:
        """Keep the calls that were made, and outputs that nobody could make again."""
        log = self._plugin.take_log()
        answer.calls = log.calls
        if log.bodies:
            bodies = Payloads(PayloadKind.CALLS, work.node, list(log.bodies), list(log.bodies.values()))
            self.payloads.append(bodies)
        if self._keep_outputs and answer.done:
            rows, forms = self.inflight.rows_of(answer.done), self.inflight.forms_of(answer.done)
            self._keep_rows(work.visit, answer.done, rows, forms)

    def _keep_rows(self, visit: int, tokens: Tokens, rows: Sequence[Row], forms: Sequence[bytes]) -> None:
        self.payloads.append(
            Payloads(
                PayloadKind.OUTPUTS, self._node.number, tokens, forms, visit=visit, shapes=shapes_of(rows)
            )
        )

    def adopt(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Expanded):
                rows, forms = self._children.pop(event.parent)
                self.inflight.put(event.children, rows, forms)
                if self._keep_outputs:
                    self._keep_rows(event.visit, event.children, rows, forms)
