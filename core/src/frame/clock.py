"""Where time comes from. Everything that waits or stamps takes a `Clock`, so that a test can hand in its own."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time in whole microseconds since 1970, UTC, that never runs backwards within one process."""

    def time_us(self) -> int:
        """Now, in microseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_us(self) -> int:
        """Microseconds since some moment that is the same for all clocks of this process, for what runs share."""
        ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Block until `event` is set or `timeout_s` has passed; True if the event was set."""
        ...

    async def sleep(self, event: threading.Event, timeout_s: float) -> None:
        """Let other coroutines run until `event` is set or `timeout_s` has passed."""
        ...


class SystemClock:
    """The wall clock as it stood when this object was made, moved on by the monotonic clock.

    A step of the wall clock during a run (NTP, a person, a suspended machine) therefore fires no timer.
    """

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def time_us(self) -> int:
        return (time.monotonic_ns() + self._offset_ns) // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)

    async def sleep(self, event: threading.Event, timeout_s: float) -> None:
        import asyncio  # 40 ms that only pipelines which wait have to pay

        until_s = time.monotonic() + timeout_s
        while not event.is_set() and (left_s := until_s - time.monotonic()) > 0:  # noqa: ASYNC110, a thread sets it
            await asyncio.sleep(min(left_s, 0.05))


def as_datetime(time_us: int) -> datetime:
    """The moment as an aware datetime in UTC.

    >>> as_datetime(0).isoformat()
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).replace(microsecond=time_us % 1_000_000)
