"""Circuit breakers: after so many failures in a row a target is left alone for a while.

    closed      calls go through; `failures` consecutive failed attempts, or a visit whose attempts are used up, open it
    open        nothing goes through until `recovery` has passed
    half-open   exactly one call at a time goes through and decides: success closes, failure opens again

A breaker belongs to a target (a plugin with its options) and is shared by all runs of the process.
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
    """One target's breaker. Every method takes the time, in microseconds, and says whether the state changed."""

    def __init__(self, target: str, policy: Breaker) -> None:
        self.target, self._policy = target, policy
        self.state = BreakerState.CLOSED
        self._failures = 0
        self._opened_us = 0
        self._trial = False
        self._lock = threading.Lock()

    def ask(self, now_us: int) -> tuple[bool, Change | None]:
        """Whether a call may be made now."""
        with self._lock:
            if self.state is BreakerState.CLOSED:
                return True, None
            change = None
            if self.state is BreakerState.OPEN:
                if now_us < self._recovers_us():
                    return False, None
                change = self._go(BreakerState.HALF_OPEN)
            if self._trial:
                return False, change
            self._trial = True
            return True, change

    def succeeded(self, now_us: int) -> Change | None:
        """A call went well."""
        with self._lock:
            self._failures, self._trial = 0, False
            return self._go(BreakerState.CLOSED)

    def failed(self, now_us: int, used_up: bool = False) -> Change | None:
        """A call failed; `used_up`: it was the last attempt of its visit."""
        with self._lock:
            self._failures += 1
            trial, self._trial = self._trial, False
            if not (trial or used_up or self._failures >= self._policy.failures):
                return None
            self._opened_us = now_us
            return self._go(BreakerState.OPEN)

    def undecided(self) -> None:
        """A call ended in a way that says nothing about the target."""
        with self._lock:
            self._trial = False

    def waits_s(self, now_us: int) -> float:
        """Seconds until a call may go through again, as far as time alone decides."""
        return max(0.0, (self._recovers_us() - now_us) / 1_000_000)

    def _recovers_us(self) -> int:
        return self._opened_us + round(self._policy.recovery_s * 1_000_000)

    def _go(self, state: BreakerState) -> Change | None:
        before, self.state = self.state, state
        return None if before is state else Change(self.target, before, state)


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
