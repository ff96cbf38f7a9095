"""Time in tests passes when they say so."""

import asyncio
import threading

from frame.testing import ManualClock

NEVER = threading.Event()


def test_time_stands_still_until_it_is_moved_on():
    clock = ManualClock(start_s=5)

    assert clock.time_us() == 5_000_000
    clock.advance(0.25)
    assert clock.time_us() == 5_250_000


def test_a_wait_ends_when_time_has_passed_it():
    clock, results = ManualClock(), []
    waiting = threading.Thread(target=lambda: results.append(clock.wait(NEVER, 10)))
    waiting.start()

    clock.advance(9)
    assert waiting.is_alive()
    clock.advance(1)
    waiting.join(timeout=10)

    assert results == [False]


def test_a_wait_ends_when_its_event_is_set():
    event = threading.Event()
    event.set()

    assert ManualClock().wait(event, 10)
    assert ManualClock(automatic=True).wait(event, 10)


def test_an_automatic_clock_jumps_to_the_end_of_a_sleep():
    clock = ManualClock(automatic=True)

    asyncio.run(clock.sleep(NEVER, 3600))

    assert clock.time_us() == 3_600_000_000


def test_those_who_sleep_beside_each_other_wake_in_order_and_not_one_after_the_other():
    clock = ManualClock(automatic=True)
    woken: list[tuple[int, int]] = []

    async def sleeper(seconds: int) -> None:
        await clock.sleep(NEVER, seconds)
        woken.append((seconds, clock.time_us()))

    async def all_of_them() -> None:
        await asyncio.gather(*(sleeper(seconds) for seconds in (3, 1, 2)))

    asyncio.run(all_of_them())

    assert woken == [(1, 1_000_000), (2, 2_000_000), (3, 3_000_000)]


def test_a_sleep_ends_when_its_event_is_set():
    event = threading.Event()
    event.set()

    asyncio.run(ManualClock().sleep(event, 3600))
