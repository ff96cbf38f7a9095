"""Time that passes when a test says so."""

import asyncio
import threading

GRACE_S = 0.01
"""How long, in real time, an automatic clock lets a thread wait for an event before it lets time pass."""

_LOOK_S = 0.001


class ManualClock:
    """A clock that stands still until `advance` is called; a `frame.clock.Clock`.

    `automatic`: time also passes by itself wherever something waits for nothing but time (a retry, a rate limit),
    as far as is needed and at once; and where a thread has waited for an event in vain for a moment.

    >>> clock = ManualClock(start_s=10)
    >>> clock.advance(2.5)
    >>> clock.time_us()
    12500000
    """

    def __init__(self, start_s: float = 0.0, *, automatic: bool = False) -> None:
        self._now_us = round(start_s * 1_000_000)
        self._automatic = automatic
        self._lock = threading.Lock()
        self._sleepers: list[int] = []

    def time_us(self) -> int:
        """Now, in microseconds since 1970-01-01T00:00:00Z."""
        with self._lock:
            return self._now_us

    def monotonic_us(self) -> int:
        """The same: a manual clock is never set back."""
        return self.time_us()

    def advance(self, seconds: float) -> None:
        """Let so much time pass. Whatever waits until then goes on."""
        with self._lock:
            self._now_us += round(seconds * 1_000_000)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Block until `event` is set or `timeout_s` has passed on this clock; True if the event was set."""
        until_us = self.time_us() + round(timeout_s * 1_000_000)
        if self._automatic:
            if not event.wait(GRACE_S):
                self._reach(until_us)
            return event.is_set()
        while self.time_us() < until_us:
            if event.wait(_LOOK_S):
                return True
        return event.is_set()

    async def sleep(self, event: threading.Event, timeout_s: float) -> None:
        """Let other coroutines run until `event` is set or `timeout_s` has passed on this clock."""
        until_us = self.time_us() + round(timeout_s * 1_000_000)
        self._sleepers.append(until_us)
        try:
            while not event.is_set() and self.time_us() < until_us:
                await asyncio.sleep(_LOOK_S)
                # The first to wake moves the time, so that those who sleep beside each other wake in order.
                if self._automatic and min(self._sleepers) == until_us:
                    self._reach(until_us)
        finally:
            self._sleepers.remove(until_us)

    def _reach(self, moment_us: int) -> None:
        with self._lock:
            self._now_us = max(self._now_us, moment_us)
