"""Circuit breakers: after so many failures in a row a target is left alone for a while.

    closed      calls go through; `failures` consecutive failed attempts, or a visit whose retries are used up, open it
    open        nothing goes through until `recovery` has passed
    half-open   exactly one call at a time goes through and decides: success closes, failure opens again

A breaker belongs to a target (a plugin with its options) and is shared by all runs of the process, so its time is
the process's monotonic time. A call gets a ticket, and tells what came of it under that ticket: calls that began
before the state last changed decide nothing.
"""

import threading
from dataclasses import dataclass
from enum import StrEnum

from frame.graph.model import Breaker


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker went from one state to another."""

    target: str
    before: BreakerState
    after: BreakerState


class CircuitBreaker:
    """One target's breaker. Times are monotonic, in microseconds; the answers say whether the state changed."""

    def __init__(self, target: str, policy: Breaker) -> None:
        self.target, self._policy = target, policy
        self.state = BreakerState.CLOSED
        self._failures = 0
        self._opened_us = 0
        self._changes = 0
        self._trial = False
        self._lock = threading.Lock()

    def ask(self, now_us: int) -> tuple[int | None, Change | None]:
        """The ticket for a call that may be made now; None if none may."""
        with self._lock:
            if self.state is BreakerState.CLOSED:
                return self._changes, None
            change = None
            if self.state is BreakerState.OPEN:
                if now_us < self._recovers_us():
                    return None, None
                change = self._go(BreakerState.HALF_OPEN)
            if self._trial:
                return None, change
            self._trial = True
            return self._changes, change

    def succeeded(self, ticket: int) -> Change | None:
        """A call went well."""
        with self._lock:
            if ticket != self._changes:
                return None
            self._failures, self._trial = 0, False
            return self._go(BreakerState.CLOSED)

    def failed(self, ticket: int, now_us: int, used_up: bool = False) -> Change | None:
        """A call failed; `used_up`: it was the last of several attempts of its visit."""
        with self._lock:
            if ticket != self._changes:
                return None
            self._failures += 1
            trial, self._trial = self._trial, False
            if not (trial or used_up or self._failures >= self._policy.failures):
                return None
            self._opened_us = now_us
            return self._go(BreakerState.OPEN)

    def undecided(self, ticket: int) -> None:
        """A call ended in a way that says nothing about the target, or was not made after all."""
        with self._lock:
            if ticket == self._changes:
                self._trial = False

    def waits_s(self, now_us: int) -> float:
        """Seconds until a call may go through again, as far as time alone decides."""
        return max(0.0, (self._recovers_us() - now_us) / 1_000_000)

    def _recovers_us(self) -> int:
        return self._opened_us + round(self._policy.recovery_s * 1_000_000)

    def _go(self, state: BreakerState) -> Change | None:
        before, self.state = self.state, state
        if before is state:
            return None
        self._changes += 1
        return Change(self.target, before, state)


_breakers: dict[str, CircuitBreaker] = {}
_lock = threading.Lock()


def breaker_for(target: str, policy: Breaker) -> CircuitBreaker:
    """The breaker of `target`, the same for all runs of this process."""
    key = f"{target}\n{policy}"
    with _lock:
        return _breakers.setdefault(key, CircuitBreaker(target, policy))


def forget_breakers() -> None:
    """Close and forget all breakers of this process, as if it had just begun."""
    with _lock:
        _breakers.clear()
