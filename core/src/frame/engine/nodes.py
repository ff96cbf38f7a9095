"""A plugin at its node, from `start` to `close`, and its calls in whichever way the node's policy asks for."""

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frame.clock import Clock
from frame.engine.breaker import breaker_for
from frame.engine.calls import Call, TimedOut, Watch, call_in_turn
from frame.engine.context import CallLog, NodeContext, RunFacts
from frame.engine.failures import UNSUCCESSFUL, Failure, Raised, error_of
from frame.engine.limits import limiter_for
from frame.errors import FrameBug, FrameError, PluginFailed
from frame.events import AttemptFailed, Called, Noted, VisitStatus
from frame.graph.model import CallPolicy, PluginRef
from frame.plugin.protocols import Kind
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

    @property
    def clock(self) -> Clock:
        return self.facts.clock

    def note(self, kind: str, node: int | None = None, **detail: Any) -> None:
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
        return Surroundings(self.facts, self.stop, lambda: None, self._note)

    def close(self) -> None:
        self.watch.close()
        if self._loop is not None:
            self._loop.close()


def _no_call(plugin: Any) -> Call:
    raise FrameBug(f"{plugin.name} is not called row by row")


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
        self.number, self.name, self.ref, self.policy = number, name, ref, policy
        self._around, self._call_of = around, call_of or _no_call
        self.plugin = ref.build()
        self.context = self._new_context()
        self._started = False
        self._attempts: Attempts | None = None

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
        try:
            self.plugin.close()
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
            message = self._around.facts.redactor.text(f"{type(error).__name__}: {error}")
            self._around.note("close_failed", self.number, error=message)

    def step(self, name: str, action: Callable[[], Any]) -> Any:
        """Run one step of the plugin's life. Raises PluginFailed when it raises or takes too long."""
        try:
            return self.call_once(lambda _: action())
        except FrameError:
            raise
        except BaseException as error:
            message = self._around.facts.redactor.text(f"{type(error).__name__}: {error}")
            raise PluginFailed(self.name, self.ref.name, name, message) from error

    def call_once(self, call: Callable[[Any], Any]) -> Any:
        """What `call` gives for the plugin. Raises what it raises, and TimedOut."""
        result: list[Any] = []
        plugin = self.plugin
        if not self._around.watch.run(lambda: result.append(call(plugin)), self.policy.timeout_s, lambda: 0):
            self.left_behind()
            raise TimedOut(self.policy.timeout_s or 0)
        return result[0]

    def evidence(self) -> Mapping[str, Any] | None:
        """What the plugin can say of the data that it read, if it is of that kind."""
        tell = getattr(self.plugin, "evidence", None)
        return None if tell is None else self.step("evidence", tell)

    def take_log(self) -> CallLog:
        """The external calls since the last time."""
        log, self.context.log = self.context.log, CallLog()
        return log

    def _new_context(self) -> NodeContext:
        return NodeContext(self._around.facts, self.number, self.name, self._secret)

    def _secret(self, name: str) -> str:
        value = getattr(self.plugin.config, name)
        secret: str = value.get_secret_value()
        return secret

    # --- Visits ---------------------------------------------------------------------------------

    def visit_all(self, tokens: Sequence[int], rows: Sequence[Row], visit: int) -> Results:
        """Call the plugin for each row, as the node's policy says."""
        self.context.visit = visit
        call = self._call_of(self.plugin)
        many = getattr(self.plugin, "process_many", None)
        if self._one_at_a_time(call):
            return self._settle(self._begin(call, tokens, rows))
        if many is not None:
            return self._in_turn(self._through_many(many), tokens, rows)
        return self._in_turn(call, tokens, rows)

    def _one_at_a_time(self, call: Any) -> bool:
        """Whether every call has to be made on its own: others decide when, or it may wait beside others."""
        policy = self.policy
        limited = policy.breaker is not None or policy.rate_limit is not None
        return limited or policy.concurrency > 1 or inspect.iscoroutinefunction(call)

    def _through_many(self, many: Callable[[Sequence[Row], NodeContext], Sequence[Any]]) -> Any:
        def one(row: Row, context: NodeContext) -> Any:
            return many([row], context)[0]

        one.many = many  # type: ignore[attr-defined]
        return one

    def _in_turn(self, call: Any, tokens: Sequence[int], rows: Sequence[Row]) -> Results:
        """All first attempts in one thread, one after the other; what deserves another attempt gets it after."""
        started_us = self._around.clock.time_us()
        values = self._first_attempts(call, tokens, rows)
        results = Results(values)
        again: list[int] = []
        for index, value in enumerate(values):
            if value.__class__ in UNSUCCESSFUL:
                again += self._failed_first(results, index, tokens[index], value, started_us)
        if again:
            self._try_again(call, results, again, tokens, rows)
        return results

    def _first_attempts(self, call: Any, tokens: Sequence[int], rows: Sequence[Row]) -> list[Any]:
        self.context.attempt = 0
        many = getattr(call, "many", None)
        if many is not None:
            at_once = self._all_at_once(many, rows)
            if at_once is not None:
                return at_once
        values: list[Any] = []
        while (done := len(values)) < len(rows):
            part = self._call_until_one_hangs(call, tokens[done:], rows[done:])
            values += part
            if len(values) < len(rows):
                values.append(Raised(TimedOut(self.policy.timeout_s or 0)))
                call = self._replace_instance(call)
        return values

    def _call_until_one_hangs(self, call: Call, tokens: Sequence[int], rows: Sequence[Row]) -> list[Any]:
        """The values of all rows, or of those before the one whose call gives no answer."""
        values: list[Any] = []
        context = self.context

        def job() -> None:
            call_in_turn(call, tokens, rows, context, values)

        ended = self._around.watch.run(job, self.policy.timeout_s, lambda: len(values))
        return values if ended else values[: len(rows) - 1]

    def _all_at_once(self, many: Any, rows: Sequence[Row]) -> list[Any] | None:
        """The results of a vectorised call, or None when it did not give one result a row."""
        result: list[Any] = []
        try:
            ended = self._around.watch.run(
                lambda: result.append(list(many(rows, self.context))), self.policy.timeout_s, lambda: 0
            )
        except BaseException:  # noqa: BLE001 - the rows at fault are found one by one
            return None
        if not ended:
            self._replace_instance(many)
            return [Raised(TimedOut(self.policy.timeout_s or 0))] * len(rows)
        return result[0] if len(result[0]) == len(rows) else None

    def _replace_instance(self, call: Any) -> Any:
        """The hung call keeps its instance, its context and its thread; the work goes on with new ones.

        Raises PluginFailed for an aggregation, whose instance is its batch.
        """
        self.left_behind()
        if self.ref.kind == Kind.AGGREGATION:
            raise PluginFailed(self.name, self.ref.name, "accept", str(TimedOut(self.policy.timeout_s or 0)))
        self.plugin = self.ref.build()
        visit, log = self.context.visit, self.context.log
        self.context = self._new_context()
        self.context.visit = visit
        self.context.log = CallLog(list(log.calls), dict(log.bodies))
        self.start()
        many = getattr(self.plugin, "process_many", None)
        return self._call_of(self.plugin) if many is None else self._through_many(many)

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
        self, call: Any, results: Results, again: list[int], tokens: Sequence[int], rows: Sequence[Row]
    ) -> None:
        future = self._begin(call, [tokens[n] for n in again], [rows[n] for n in again], first=1)
        more = self._settle(future)
        results.attempts += more.attempts
        results.attempts_of.update(more.attempts_of)
        for index, value in zip(again, more.values, strict=True):
            results.values[index] = value

    def _begin(self, call: Any, tokens: Sequence[int], rows: Sequence[Row], first: int = 0) -> Any:
        if self._attempts is None:
            self._attempts = self._make_attempts()
        return self._attempts.begin(call, tokens, rows, self.context, first)

    def _settle(self, future: Any) -> Results:
        """Wait for visits that are under way, keeping the run alive meanwhile."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not self._around.clock.wait(done, 1.0):
            self._around.on_wait()
        visits: list[Visit] = future.result()
        results = Results([visit.value for visit in visits])
        for visit in visits:
            results.attempts += visit.attempts
            if visit.attempt and not isinstance(visit.value, Failure):
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
            self.left_behind,
        )

    def _target(self) -> str:
        return f"{self.ref.package}.{self.ref.name} {sorted(self.ref.options.items())}"
