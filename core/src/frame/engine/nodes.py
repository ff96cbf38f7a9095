"""A plugin at its node, from `start` to `close`, and its calls in whichever way the node's policy asks for."""

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from frame.clock import Clock
from frame.engine.breaker import breaker_for
from frame.engine.calls import Call, TimedOut, Watch, call_in_turn
from frame.engine.context import CallLog, NodeContext, RunFacts
from frame.engine.failures import UNSUCCESSFUL, Cancelled, Failure, Raised, error_of, failed_in, outcome_of
from frame.engine.limits import limiter_for
from frame.engine.redaction import secrets_in
from frame.errors import FrameBug, FrameError, PluginFailed, UsageError
from frame.events import AttemptFailed, Called, Noted, VisitStatus
from frame.graph.model import CallPolicy, PluginRef
from frame.plugin.protocols import Kind, Plugin
from frame.rows import Row

if TYPE_CHECKING:
    from frame.engine.attempts import Attempts, EventLoop, Visit


@dataclass(slots=True)
class Results:
    """What the visits of a piece of work came to: `values[i]` for the i-th token, a `Failure` where it failed."""

    values: list[Any]
    attempts: list[AttemptFailed] = field(default_factory=list)
    attempts_of: dict[int, int] = field(default_factory=dict)
    calls: list[Called] = field(default_factory=list)

    def take_in(self, part: "Results", indexes: Sequence[int]) -> None:
        """Put in what some of the visits came to; `indexes`: which."""
        self.attempts += part.attempts
        self.attempts_of.update(part.attempts_of)
        self.calls += part.calls
        for index, value in zip(indexes, part.values, strict=True):
            self.values[index] = value


class Surroundings:
    """What the nodes of one run share: time, threads, the wish to stop, and where to note what happens."""

    def __init__(
        self,
        facts: RunFacts,
        stop: threading.Event,
        on_wait: Callable[[], None],
        note: Callable[[Noted], None],
    ) -> None:
        self.facts, self.stop, self._note = facts, stop, note
        self.watch = Watch(facts.clock, on_wait)
        self.on_wait = on_wait
        self._loop: EventLoop | None = None
        self._beside: list[Surroundings] = []

    @property
    def clock(self) -> Clock:
        return self.facts.clock

    def note(self, kind: str, node: int | None = None, /, **detail: Any) -> None:
        """Say something about the run as a whole."""
        self._note(Noted(kind, self.clock.time_us(), node, detail))

    @property
    def loop(self) -> "EventLoop":
        """The event loop, begun when the first node needs one."""
        if self._loop is None:
            from frame.engine.attempts import (
                EventLoop,  # asyncio and tenacity: 60 ms that most runs do not need
            )

            self._loop = EventLoop()
        return self._loop

    def beside(self) -> "Surroundings":
        """The same for a node that is called while others are: it is watched by itself."""
        beside = Surroundings(self.facts, self.stop, lambda: None, self._note)
        self._beside.append(beside)
        return beside

    def close(self) -> None:
        for beside in self._beside:
            beside.close()
        self.watch.close()
        if self._loop is not None:
            self._loop.close()


def _no_call(plugin: Any) -> Call:
    raise FrameBug(f"{plugin.name} is not called row by row")


def _may_overlap(plugin: Plugin) -> bool:
    """Whether calls of one instance may overlap, for all that it says of itself."""
    said = plugin.capabilities
    return said is None or (said.thread_safe and not said.stateful)


class PluginNode:
    """One plugin instance at one node. `call_of`: what is called for a row, given the instance."""

    def __init__(
        self,
        number: int,
        name: str,
        ref: PluginRef,
        policy: CallPolicy,
        around: Surroundings,
        call_of: Callable[[Any], Call] | None = None,
    ) -> None:
        self.number, self.name, self.ref = number, name, ref
        self._around, self._call_of = around, call_of or _no_call
        self.plugin = self._build()
        self.policy = policy if _may_overlap(self.plugin) else replace(policy, concurrency=1)
        self.context = self._new_context()
        self._started = False
        self._attempts: Attempts | None = None
        self._replaced: list[Any] = []
        self.made: dict[tuple[int, int], int] = {}
        """Visit and token -> attempts that were made before this process took the run over."""

    # --- Lifecycle ------------------------------------------------------------------------------

    def start(self) -> None:
        """Raises PluginFailed."""
        self.step("start", lambda: self.plugin.start(self.context))
        self._started = True

    def finish(self) -> Any:
        """Raises PluginFailed."""
        return self.step("finish", lambda: self.plugin.finish(self.context))

    def close(self) -> None:
        """Always possible; a plugin that fails even here is noted, and the others are closed all the same."""
        if self._attempts is not None:
            self._attempts.close()
        for plugin in (*self._replaced, self.plugin):
            self._close_one(plugin)

    def _close_one(self, plugin: Any) -> None:
        outcome = self.outcome(lambda _: plugin.close())
        if isinstance(outcome, Raised):
            message = self._around.facts.redactor.told(outcome.error)
            self._around.note("close_failed", self.number, error=message)

    def step(self, name: str, action: Callable[[], Any]) -> Any:
        """Run one step of the plugin's life. Raises PluginFailed when it raises or takes too long."""
        return self._good(name, self.outcome(lambda _: action()))

    def _build(self) -> Any:
        """A fresh instance. Raises PluginFailed."""
        plugin = self._good("__init__", outcome_of(self.ref.build))
        # Those of a plugin that was made in code have passed nobody on their way.
        self._around.facts.redactor.learn(secrets_in(getattr(plugin, "config", None)))
        return plugin

    def _good(self, step: str, outcome: Any) -> Any:
        if not isinstance(outcome, Raised):
            return outcome
        redactor, error = self._around.facts.redactor, outcome.error
        cause = redactor.cause(error)
        if isinstance(error, FrameError) and cause is error:
            raise error
        raise failed_in(step, self.name, self.ref, redactor.told(error), error) from cause

    def outcome(self, call: Callable[[Any], Any]) -> Any:
        """What `call` gives for the plugin; `Raised` if it raises, or takes too long."""
        result: list[Any] = []
        plugin = self.plugin
        timeout_s = self.policy.timeout_s
        if self._around.watch.run(lambda: result.append(outcome_of(call, plugin)), timeout_s, lambda: 0):
            return result[0]
        self.left_behind()
        return Raised(TimedOut(timeout_s or 0))

    def start_anew(self, *, hangs: bool) -> None:
        """Go on with a new instance, which knows nothing of what the old one has been given. Raises PluginFailed.

        `hangs`: the old one is still in a call, and is closed at the end of the run.
        """
        if hangs:
            self._replace_instance()
            return
        self._close_one(self.plugin)
        self.plugin = self._build()
        self.start()

    def evidence(self) -> Mapping[str, Any] | None:
        """What the plugin can say of the data that it read, if it is of that kind."""
        tell = getattr(self.plugin, "evidence", None)
        return None if tell is None else self.step("evidence", tell)

    @property
    def has_calls(self) -> bool:
        """Whether external calls have been made since the last time."""
        return bool(self.context.log.calls)

    def take_log(self) -> CallLog:
        """The external calls since the last time."""
        log, self.context.log = self.context.log, CallLog()
        return log

    def _new_context(self) -> NodeContext:
        capabilities = self.plugin.capabilities
        return NodeContext(self._around.facts, self.number, self.name, self._secret, capabilities)

    def _secret(self, name: str) -> str:
        value = getattr(self.plugin.config, name, None)
        if not isinstance(value, SecretStr):
            raise UsageError(f"node {self.name!r} has no secret {name!r}, or none that is set")
        return value.get_secret_value()

    # --- Visits ---------------------------------------------------------------------------------

    def visit_all(self, tokens: Sequence[int], rows: Sequence[Row], visit: int) -> Results:
        """Call the plugin for each row, as the node's policy says."""
        self.context.visit = visit
        if self.made:
            return self._go_on(tokens, rows, visit)
        return self._visit_anew(tokens, rows)

    def _go_on(self, tokens: Sequence[int], rows: Sequence[Row], visit: int) -> Results:
        """Visits of which some have had attempts already."""
        groups: dict[int, list[int]] = {}
        for index, token in enumerate(tokens):
            groups.setdefault(self.made.pop((visit, token), 0), []).append(index)
        results = Results([None] * len(tokens))
        for made, indexes in sorted(groups.items()):
            some = [tokens[index] for index in indexes], [rows[index] for index in indexes]
            part = self._settle(*some, first=made) if made else self._visit_anew(*some)
            results.take_in(part, indexes)
        return results

    def _visit_anew(self, tokens: Sequence[int], rows: Sequence[Row]) -> Results:
        if self._one_at_a_time():
            return self._settle(tokens, rows)
        started_us = self._around.clock.time_us()
        results = Results(self._first_attempts(tokens, rows))
        again: list[int] = []
        for index, value in enumerate(results.values):
            if value.__class__ in UNSUCCESSFUL:
                again += self._failed_first(results, index, tokens[index], value, started_us)
        if again:
            self._try_again(results, again, tokens, rows)
        return results

    def _one_at_a_time(self) -> bool:
        """Whether every call has to be made on its own: others decide when, or it may wait beside others."""
        policy = self.policy
        limited = policy.breaker is not None or policy.rate_limit is not None
        return limited or policy.concurrency > 1 or inspect.iscoroutinefunction(self._call())

    def current(self) -> tuple[Call, NodeContext]:
        """What is called for a row now, and the context that calls are forked from."""
        return self._call(), self.context

    def _call(self) -> Call:
        """What is called for one row: of a vectorised plugin, `process_many` with a single one."""
        many = self._many()
        if many is None:
            return self._call_of(self.plugin)

        def one(row: Row, context: NodeContext) -> Any:
            made = list(many([row], context))
            if len(made) != 1:
                raise ValueError(f"process_many() returned {len(made)} results for 1 row")
            return made[0]

        return one

    def _many(self) -> Callable[[Sequence[Row], NodeContext], Sequence[Any]] | None:
        return getattr(self.plugin, "process_many", None) if self.ref.kind == Kind.TRANSFORM else None

    def _first_attempts(self, tokens: Sequence[int], rows: Sequence[Row]) -> list[Any]:
        self.context.attempt = 0
        if self._many() is not None:
            at_once = self._all_at_once(rows)
            if at_once is not None:
                return at_once
        values: list[Any] = []
        while (done := len(values)) < len(rows):
            values += self._call_until_one_hangs(tokens[done:], rows[done:])
            if len(values) < len(rows):
                values.append(Raised(TimedOut(self.policy.timeout_s or 0)))
                self.hung()
        return values

    def _call_until_one_hangs(self, tokens: Sequence[int], rows: Sequence[Row]) -> list[Any]:
        """The values of all rows, or of those before the one whose call gives no answer."""
        values: list[Any] = []
        ahead = list(rows)
        call, context = self.current()

        def job() -> None:
            call_in_turn(call, tokens, ahead, context, values)

        if self._around.watch.run(job, self.policy.timeout_s, lambda: len(values)):
            return values
        ahead.clear()
        return values[: len(rows) - 1]

    def _all_at_once(self, rows: Sequence[Row]) -> list[Any] | None:
        """The results of a vectorised call, or None when it did not give one result a row."""
        context = self.context
        made = self.outcome(lambda plugin: list(plugin.process_many(rows, context)))
        if isinstance(made, Raised) and isinstance(made.error, TimedOut):
            self._replace_instance()
            return [made] * len(rows)
        # Whatever it raised: the rows at fault are found one by one.
        return made if isinstance(made, list) and len(made) == len(rows) else None

    def hung(self) -> None:
        """A call of this plugin gives no answer; unless calls may overlap, its instance is left to it.

        Raises PluginFailed for an aggregation, whose instance is its batch.
        """
        self.left_behind()
        if self.ref.kind == Kind.AGGREGATION:
            raise PluginFailed(self.name, self.ref.name, "accept", str(TimedOut(self.policy.timeout_s or 0)))
        if self.policy.concurrency == 1:
            self._replace_instance()

    def _replace_instance(self) -> None:
        """The hung call keeps its instance, its context and its thread; the work goes on with new ones."""
        self._replaced.append(self.plugin)
        self.plugin = self._build()
        old, self.context = self.context, self._new_context()
        self.context.visit = old.visit
        # What was called so far counts, what the hung call may still come to does not.
        self.context.log, old.log = old.log, CallLog()
        self.start()

    def left_behind(self) -> None:
        """A thread hangs in a call of this plugin."""
        self._around.note(
            "thread_left_behind", self.number, plugin=self.ref.name, timeout_s=self.policy.timeout_s
        )

    def _failed_first(
        self, results: Results, index: int, token: int, value: Any, started_us: int
    ) -> Sequence[int]:
        """Record a failed first attempt; the index again if another attempt is to be made."""
        error = error_of(value, self._around.facts.redactor)
        timed_out = isinstance(value, Raised) and isinstance(value.error, TimedOut)
        status = VisitStatus.TIMED_OUT if timed_out else VisitStatus.FAILED
        duration_us = self._around.clock.time_us() - started_us
        results.attempts.append(
            AttemptFailed(self.number, self.context.visit, token, 0, status, error, started_us, duration_us)
        )
        results.values[index] = Failure(error)
        return [index] if (error.retryable or timed_out) and self.policy.retry.attempts > 1 else []

    def _try_again(
        self, results: Results, again: list[int], tokens: Sequence[int], rows: Sequence[Row]
    ) -> None:
        more = self._settle([tokens[n] for n in again], [rows[n] for n in again], first=1)
        results.take_in(more, again)

    def _settle(self, tokens: Sequence[int], rows: Sequence[Row], first: int = 0) -> Results:
        """Make attempts from number `first` on, keeping the run alive meanwhile."""
        if self._attempts is None:
            self._attempts = self._make_attempts()
        future = self._attempts.begin(tokens, rows, self.context.visit, first)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not self._around.clock.wait(done, 1.0):
            self._around.on_wait()
        visits: list[Visit] = future.result()
        results = Results([visit.value for visit in visits])
        for visit in visits:
            results.attempts += visit.attempts
            if visit.attempt and not isinstance(visit.value, Failure | Cancelled):
                results.attempts_of[visit.token] = visit.attempt
        return results

    def _make_attempts(self) -> "Attempts":
        from frame.engine.attempts import Attempts

        breaker, limit = self.policy.breaker, self.policy.rate_limit
        return Attempts(
            self.number,
            self.policy,
            self._around,
            None if breaker is None else breaker_for(self._target(), breaker),
            None if limit is None else limiter_for(limit),
            self,
        )

    def _target(self) -> str:
        return f"{self.ref.package}.{self.ref.name} {sorted(self.ref.options.items())}"
