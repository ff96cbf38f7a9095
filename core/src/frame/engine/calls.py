"""Calling a plugin for one row after another, with somebody watching the clock from outside.

A row costs one call and one append: the list of results is also how far the thread has come, so that the
watcher needs nothing from it. A call that takes longer than the node's timeout is left behind with its thread
and its instance of the plugin, and the rows after it go on in a new one.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from frame.clock import Clock
from frame.engine.context import NodeContext
from frame.engine.failures import Raised
from frame.engine.workers import Workers
from frame.rows import Row

LOOKS_A_TIMEOUT = 10
"""The watcher looks this often while a timeout passes, so a call may last up to a tenth longer than allowed."""

Call = Callable[[Row, NodeContext], Any]


class TimedOut(Exception):
    """A call gave no answer in time."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"no answer within {self.timeout_s:g} s"


def call_in_turn(
    call: Call, tokens: Sequence[int], rows: list[Row], context: NodeContext, values: list[Any]
) -> None:
    """Append to `values` what `call` gives for each row, or what it raised.

    Whoever gives up waiting clears `rows`, so that a call which comes back late is the last one.
    """
    append = values.append
    for token, row in zip(tokens, rows, strict=False):
        context.token = token
        try:
            append(call(row, context))
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
            append(Raised(error))
    context.token = None


class Watch:
    """Runs calls in a thread and waits for them, for as long as the run allows and not longer."""

    def __init__(self, clock: Clock, on_wait: Callable[[], None]) -> None:
        self._clock, self._on_wait = clock, on_wait
        self._workers = Workers(1, "frame-calls")

    def run(self, job: Callable[[], Any], timeout_s: float | None, progress: Callable[[], int]) -> bool:
        """Whether `job`, which raises nothing, ended.

        False if `progress` stood still for `timeout_s`: then the thread is left behind.
        """
        done = threading.Event()
        future = self._workers.submit(job)
        future.add_done_callback(lambda _: done.set())
        if not self._wait(done, timeout_s, progress):
            self._workers.leave_one_behind()
            return False
        future.result()
        return True

    def _wait(self, done: threading.Event, timeout_s: float | None, progress: Callable[[], int]) -> bool:
        look_s = 1.0 if timeout_s is None else min(1.0, timeout_s / LOOKS_A_TIMEOUT)
        reached, since_us = -1, self._clock.time_us()
        while not self._clock.wait(done, look_s):
            self._on_wait()
            now_us = self._clock.time_us()
            if progress() != reached:
                reached, since_us = progress(), now_us
            elif timeout_s is not None and now_us - since_us >= timeout_s * 1_000_000:
                return done.is_set()
        return True

    def close(self) -> None:
        self._workers.close()
