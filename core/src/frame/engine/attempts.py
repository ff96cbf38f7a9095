"""Attempts: retries, timeouts, breakers and rate limits, for up to `concurrency` rows at a time.

The order within one attempt is fixed: is the run being stopped? may the breaker be asked? is the rate within its
limit? then the call, for at most the timeout; then the breaker is told, the result is classified and recorded.

A run that is asked to stop makes every first attempt of the chunk in hand, but waits for nothing any more: a visit
that would have to wait is cancelled, and its token stays where it is.

All of it runs on one event loop in a thread of its own. Plugins that block are called in daemon threads.
"""

import asyncio
import inspect
import selectors
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type, stop_after_attempt

from frame.engine.breaker import Change, CircuitBreaker
from frame.engine.calls import Call, TimedOut
from frame.engine.context import CallLog, NodeContext
from frame.engine.delays import delay_s
from frame.engine.failures import (
    UNSUCCESSFUL,
    Cancelled,
    Failure,
    Raised,
    error_of,
    is_rows_fault,
    outcome_of,
)
from frame.engine.limits import RateLimiter
from frame.engine.workers import Workers
from frame.errors import OutOfResources
from frame.events import AttemptFailed, ErrorInfo, VisitStatus
from frame.graph.model import CallPolicy
from frame.rows import Row

if TYPE_CHECKING:
    from frame.engine.nodes import Surroundings

T = TypeVar("T")

TIDY_S = 1.0
"""How long coroutines that are cancelled at the end have to clean up."""


@dataclass(slots=True)
class Visit:
    """One token's visit, from its first attempt to its last. `attempt`: the number of the next one."""

    token: int
    number: int
    attempt: int = 0
    value: Any = None
    attempts: list[AttemptFailed] = field(default_factory=list)
    rejected: int = 0

    @property
    def made(self) -> int:
        """How many attempts were made; one that a breaker refused was not."""
        return self.attempt - self.rejected


class Callee(Protocol):
    """Whose calls are attempted."""

    def current(self) -> tuple[Call, NodeContext]:
        """What is called for a row, and the context that calls are forked from."""
        ...

    def hung(self) -> None:
        """A thread hangs in a call."""
        ...


_UNANSWERED = object()


class _Retry(Exception):
    """This attempt failed, and another may be made."""


class _Over(Exception):
    """No further attempt will help."""


class _Stopped(Exception):
    """The run is to stop, and the next attempt would have to wait."""


class EventLoop:
    """An asyncio loop in a daemon thread. Raises OutOfResources if the process may have no more open files."""

    def __init__(self) -> None:
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name="frame-attempts", daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin `coroutine` and return its concurrent future."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left, timeout=TIDY_S))
        self._loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        # A loop that was made by halves complains on stderr when it is dropped: what it needs is tried before.
        with selectors.DefaultSelector():
            for end in socket.socketpair():
                end.close()
        return asyncio.new_event_loop()
    except OSError as error:
        raise OutOfResources(
            f"no event loop can be begun, which nodes with retries or concurrency need: {error.strerror}"
        ) from error


class Attempts:
    """Makes the attempts of the visits at one node."""

    def __init__(
        self,
        number: int,
        policy: CallPolicy,
        around: "Surroundings",
        breaker: CircuitBreaker | None,
        limiter: RateLimiter | None,
        callee: Callee,
    ) -> None:
        self._number, self._policy, self._around = number, policy, around
        self._clock, self._stop, self._redactor = around.clock, around.stop, around.facts.redactor
        self._breaker, self._limiter, self._callee = breaker, limiter, callee
        self._workers = Workers(policy.concurrency, f"frame-node-{number}")

    def begin(
        self, tokens: Sequence[int], rows: Sequence[Row], visit: int, first: int = 0
    ) -> "Future[list[Visit]]":
        """Visits number `visit` of `tokens`, in their order, as a future; the first attempt has number `first`."""
        return self._around.loop.start(self._all(tokens, rows, visit, first))

    def close(self) -> None:
        self._workers.close()

    async def _all(self, tokens: Sequence[int], rows: Sequence[Row], visit: int, first: int) -> list[Visit]:
        window = asyncio.Semaphore(self._policy.concurrency)

        async def one(token: int, row: Row) -> Visit:
            async with window:
                return await self._visit(Visit(token, visit, first), row)

        return list(await asyncio.gather(*map(one, tokens, rows)))

    async def _visit(self, visit: Visit, row: Row) -> Visit:
        def wait_s(_: RetryCallState) -> float:
            return delay_s(self._policy.retry, visit.attempt)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(max(1, self._policy.retry.attempts - visit.attempt)),
            wait=wait_s,
            retry=retry_if_exception_type(_Retry),
            sleep=self._sleep,
        )
        try:
            if visit.attempt:
                await self._sleep(delay_s(self._policy.retry, visit.attempt))
            visit.value = await retrying(self._attempt, visit, row)
        except RetryError:
            visit.value = Failure(_exhausted(visit))
        except _Over:
            visit.value = Failure(_last_error(visit))
        except _Stopped:
            visit.value = Cancelled()
        return visit

    async def _attempt(self, visit: Visit, row: Row) -> Any:
        started_us = self._clock.time_us()
        ticket = await self._ask_breaker()
        if ticket is None:
            error = ErrorInfo("BreakerOpen", "the breaker is open: the plugin was not called")
            self._failed(visit, VisitStatus.REJECTED, error, started_us)
            raise _Over
        value: Any = _UNANSWERED
        try:
            if self._limiter is not None:
                await self._sleep(self._limiter.reserve_s(self._clock.monotonic_us()))
            started_us = self._clock.time_us()
            value = await self._call(visit, row)
        finally:
            if value is _UNANSWERED or is_rows_fault(value):
                self._undecided(ticket)
        if value.__class__ not in UNSUCCESSFUL:
            self._succeeded(ticket)
            return value
        raise self._classified(visit, value, ticket, started_us)

    def _classified(self, visit: Visit, value: Any, ticket: int, started_us: int) -> Exception:
        """Record a failed attempt, and say whether another one may be made."""
        error, status = error_of(value, self._redactor), VisitStatus.FAILED
        if isinstance(value, Raised) and isinstance(value.error, TimedOut):
            status = VisitStatus.TIMED_OUT
        attempts = self._policy.retry.attempts
        if not is_rows_fault(value):
            self._tell_failed(ticket, used_up=1 < attempts <= visit.attempt + 1)
        self._failed(visit, status, error, started_us)
        return _Retry() if error.retryable or status is VisitStatus.TIMED_OUT else _Over()

    async def _call(self, visit: Visit, row: Row) -> Any:
        """What the call returns or raises, within the timeout."""
        timeout_s = self._policy.timeout_s
        call, current = self._callee.current()
        context = current.fork(visit.token, visit.number, visit.attempt)
        if inspect.iscoroutinefunction(call):
            answer = asyncio.ensure_future(_outcome_of(call, row, context))
        else:
            submitted = self._workers.submit(lambda: outcome_of(call, row, context))
            answer = asyncio.ensure_future(asyncio.wrap_future(submitted))
        done, _ = await asyncio.wait((answer,), timeout=timeout_s)
        if done:
            return answer.result()
        context.log = CallLog()  # what comes late is nobody's any more
        answer.cancel()
        if not inspect.iscoroutinefunction(call):
            self._workers.leave_one_behind()
            self._callee.hung()
        return Raised(TimedOut(timeout_s or 0))

    # --- The breaker ----------------------------------------------------------------------------

    async def _ask_breaker(self) -> int | None:
        """The ticket for a call, None if it is refused. Raises _Stopped."""
        if self._breaker is None:
            return 0
        while True:
            now_us = self._clock.monotonic_us()
            ticket, change = self._breaker.ask(now_us)
            self._report(change)
            if ticket is not None or not self._policy.wait_for_breaker:
                return ticket
            await self._sleep(max(0.01, self._breaker.waits_s(now_us)))

    def _succeeded(self, ticket: int) -> None:
        if self._breaker is not None:
            self._report(self._breaker.succeeded(ticket))

    def _undecided(self, ticket: int) -> None:
        if self._breaker is not None:
            self._breaker.undecided(ticket)

    def _tell_failed(self, ticket: int, used_up: bool) -> None:
        if self._breaker is not None:
            self._report(self._breaker.failed(ticket, self._clock.monotonic_us(), used_up))

    def _report(self, change: Change | None) -> None:
        if change is not None:
            target, before, after = change.target, change.before.value, change.after.value
            self._around.note("breaker", self._number, target=target, before=before, after=after)

    # --- What came of it ------------------------------------------------------------------------

    def _failed(self, visit: Visit, status: VisitStatus, error: ErrorInfo, started_us: int) -> None:
        place = self._number, visit.number, visit.token, visit.attempt
        duration_us = self._clock.time_us() - started_us
        visit.attempts.append(AttemptFailed(*place, status, error, started_us, duration_us))
        visit.attempt += 1
        visit.rejected += status is VisitStatus.REJECTED

    async def _sleep(self, seconds: float) -> None:
        """Let so much time pass. Raises _Stopped when the run is to stop meanwhile."""
        if seconds > 0:
            await self._clock.sleep(self._stop, seconds)
            if self._stop.is_set():
                raise _Stopped


async def _outcome_of(call: Callable[..., Any], row: Row, context: NodeContext) -> Any:
    """What the coroutine returns, `Raised` if it raises."""
    try:
        return await call(row, context)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Raised(error)
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, and SystemExit would end the loop
        return Raised(error)


def _last_error(visit: Visit) -> ErrorInfo:
    error = visit.attempts[-1].error
    return ErrorInfo(error.type, error.message, visit.made, error.retryable, error.traceback)


def _exhausted(visit: Visit) -> ErrorInfo:
    error = visit.attempts[-1].error
    if visit.attempt == 1:
        return _last_error(visit)
    message = f"{visit.made} attempts, the last one failed with {error.type}: {error.message}"
    return ErrorInfo("RetriesExhausted", message, visit.made, error.retryable, error.traceback)
