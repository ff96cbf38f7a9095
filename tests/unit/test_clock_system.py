"""The system clock: microseconds that never run backwards."""

import asyncio
import threading
import time
from datetime import UTC, datetime

import pytest
from frame.clock import SystemClock, as_datetime


def test_the_clock_shows_the_time_of_day():
    before = time.time_ns() // 1000

    now = SystemClock().time_us()

    assert abs(now - before) < 5_000_000


def test_the_clock_never_runs_backwards():
    clock = SystemClock()

    readings = [clock.time_us() for _ in range(10_000)]

    assert readings == sorted(readings)


def test_a_step_of_the_wall_clock_does_not_move_it(monkeypatch):
    clock = SystemClock()
    before = clock.time_us()

    monkeypatch.setattr(time, "time_ns", lambda: 0)

    assert 0 <= clock.time_us() - before < 5_000_000


def test_waiting_ends_at_once_when_the_event_is_set():
    event = threading.Event()
    event.set()
    started = time.monotonic()

    assert SystemClock().wait(event, timeout_s=60) is True
    assert time.monotonic() - started < 5


def test_waiting_ends_by_itself_when_the_time_has_passed():
    assert SystemClock().wait(threading.Event(), timeout_s=0.001) is False


@pytest.mark.parametrize(
    ("time_us", "moment"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1, datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        (1_357_034_400_000_007, datetime(2013, 1, 1, 10, 0, 0, 7, tzinfo=UTC)),
        (253_402_300_799_999_999, datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_moment_is_exact_to_the_microsecond(time_us, moment):
    assert as_datetime(time_us) == moment
    assert as_datetime(time_us).tzinfo is UTC


def test_a_coroutine_sleeps_until_the_event_is_set_or_the_time_has_passed():
    event = threading.Event()
    started = time.monotonic()

    asyncio.run(SystemClock().sleep(event, timeout_s=0.001))
    event.set()
    asyncio.run(SystemClock().sleep(event, timeout_s=60))

    assert time.monotonic() - started < 5
