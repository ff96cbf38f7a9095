"""Attempts: retries, timeouts, breakers and rate limits, for up to `concurrency` rows at a time.

The order within one attempt is fixed: is the run being stopped? may the breaker be asked? is the rate within its
limit? then the call, for at most the timeout; then the breaker is told, the result is classified and recorded.

All of it runs on one event loop in a thread of its own. Plugins that block are called in daemon threads.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random_exponential

from frame.engine.breaker import Change, CircuitBreaker
from frame.engine.calls import Call, TimedOut
from frame.engine.context import NodeContext
from frame.engine.failures import UNSUCCESSFUL, Failure, Raised, error_of, is_rows_fault
from frame.engine.limits import RateLimiter
from frame.engine.workers import Workers
from frame.events import AttemptFailed, ErrorInfo, VisitStatus
from frame.graph.model import CallPolicy
from frame.rows import Row

if TYPE_CHECKING:
    from frame.engine.nodes import Surroundings

T = TypeVar("T")


@dataclass(slots=True)
class Visit:
    """One token's visit, from its first attempt to its last."""

    token: int
    attempt: int = 0
    value: Any = None
    attempts: list[AttemptFailed] = field(default_factory=list)


class _Retry(Exception):
    """This attempt failed, and another may be made."""


class _Over(Exception):
    """No further attempt will help."""


class EventLoop:
    """An asyncio loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="frame-attempts", daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin `coroutine` and return its concurrent future."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


class Attempts:
    """Makes the attempts of the visits at one node."""

    def __init__(
        self,
        number: int,
        policy: CallPolicy,
        around: "Surroundings",
        breaker: CircuitBreaker | None,
        limiter: RateLimiter | None,
        left_behind: Callable[[], None],
    ) -> None:
        self._number, self._policy, self._around = number, policy, around
        self._clock, self._stop, self._redactor = around.clock, around.stop, around.facts.redactor
        self._breaker, self._limiter, self._left_behind = breaker, limiter, left_behind
        self._workers = Workers(policy.concurrency, f"frame-node-{number}")

    def begin(
        self, call: Call, tokens: Sequence[int], rows: Sequence[Row], context: NodeContext, first: int = 0
    ) -> "Future[list[Visit]]":
        """Visits of `tokens`, in their order, as a future; the first attempt has number `first`."""
        return self._around.loop.start(self._all(call, tokens, rows, context, first))

    def close(self) -> None:
        self._workers.close()

    async def _all(
        self, call: Call, tokens: Sequence[int], rows: Sequence[Row], context: NodeContext, first: int
    ) -> list[Visit]:
        window = asyncio.Semaphore(self._policy.concurrency)

        async def one(token: int, row: Row) -> Visit:
            async with window:
                return await self._visit(call, Visit(token, first), row, context)

        return list(await asyncio.gather(*map(one, tokens, rows)))

    async def _visit(self, call: Call, visit: Visit, row: Row, context: NodeContext) -> Visit:
        retry = self._policy.retry
        last = max(1, retry.attempts - visit.attempt)
        if visit.attempt:
            await self._sleep(retry.wait_s)
        waits = wait_random_exponential if retry.jitter else wait_exponential
        retrying = AsyncRetrying(
            stop=stop_after_attempt(last),
            wait=waits(multiplier=retry.wait_s, max=retry.max_wait_s),
            retry=retry_if_exception_type(_Retry),
            sleep=self._sleep,
        )
        try:
            visit.value = await retrying(self._attempt, call, visit, row, context)
        except RetryError:
            visit.value = Failure(_exhausted(visit))
        except _Over:
            visit.value = Failure(_last_error(visit))
        return visit

    async def _attempt(self, call: Call, visit: Visit, row: Row, context: NodeContext) -> Any:
        started_us = self._clock.time_us()
        if not await self._breaker_lets_through():
            error = ErrorInfo("BreakerOpen", "the breaker is open: the plugin was not called")
            self._failed(visit, VisitStatus.REJECTED, error, context, started_us)
            raise _Over
        if self._limiter is not None:
            await self._sleep(self._limiter.reserve_s(self._clock.time_us()))
        started_us = self._clock.time_us()
        value = await self._call(call, row, context.fork(visit.token, context.visit, visit.attempt))
        if value.__class__ not in UNSUCCESSFUL:
            self._tell_breaker(None, used_up=False)
            return value
        error, status = error_of(value, self._redactor), VisitStatus.FAILED
        if isinstance(value, Raised) and isinstance(value.error, TimedOut):
            status = VisitStatus.TIMED_OUT
        used_up = not error.retryable and status is VisitStatus.FAILED
        used_up = used_up or visit.attempt + 1 >= self._policy.retry.attempts
        self._tell_breaker(value, used_up)
        self._failed(visit, status, error, context, started_us)
        retryable = error.retryable or status is VisitStatus.TIMED_OUT
        raise _Retry if retryable else _Over

    async def _breaker_lets_through(self) -> bool:
        if self._breaker is None:
            return True
        while True:
            now_us = self._clock.time_us()
            allowed, change = self._breaker.ask(now_us)
            self._report(change)
            if allowed or not self._policy.wait_for_breaker or self._stop.is_set():
                return allowed
            await self._clock.sleep(self._stop, max(0.01, self._breaker.waits_s(now_us)))

    async def _call(self, call: Call, row: Row, context: NodeContext) -> Any:
        """What the call returns or raises, within the timeout."""
        timeout_s = self._policy.timeout_s
        try:
            if inspect.iscoroutinefunction(call):
                return await asyncio.wait_for(call(row, context), timeout_s)
            future = asyncio.wrap_future(self._workers.submit(lambda: _caught(call, row, context)))
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            if not inspect.iscoroutinefunction(call):
                self._workers.leave_one_behind()
                self._left_behind()
            return Raised(TimedOut(timeout_s or 0))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            return Raised(error)

    def _tell_breaker(self, value: Any, used_up: bool) -> None:
        if self._breaker is None:
            return
        now_us = self._clock.time_us()
        if value is None:
            self._report(self._breaker.succeeded(now_us))
        elif is_rows_fault(value):
            self._breaker.undecided()
        else:
            self._report(self._breaker.failed(now_us, used_up))

    def _report(self, change: Change | None) -> None:
        if change is not None:
            target, before, after = change.target, change.before.value, change.after.value
            self._around.note("breaker", self._number, target=target, before=before, after=after)

    def _failed(
        self, visit: Visit, status: VisitStatus, error: ErrorInfo, context: NodeContext, started_us: int
    ) -> None:
        duration_us = self._clock.time_us() - started_us
        visit.attempts.append(
            AttemptFailed(
                self._number,
                context.visit,
                visit.token,
                visit.attempt,
                status,
                error,
                started_us,
                duration_us,
            )
        )
        visit.attempt += 1

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self._clock.sleep(self._stop, seconds)


def _caught(call: Call, row: Row, context: NodeContext) -> Any:
    try:
        return call(row, context)
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        return Raised(error)


def _last_error(visit: Visit) -> ErrorInfo:
    error = visit.attempts[-1].error
    return ErrorInfo(error.type, error.message, visit.attempt, error.retryable, error.traceback)


def _exhausted(visit: Visit) -> ErrorInfo:
    error = visit.attempts[-1].error
    if visit.attempt == 1:
        return _last_error(visit)
    message = f"{visit.attempt} attempts, the last one failed with {error.type}: {error.message}"
    return ErrorInfo("RetriesExhausted", message, visit.attempt, error.retryable, error.traceback)
