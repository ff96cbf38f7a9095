"""Threads that may be left behind. A call that hangs must hold up neither the run nor the end of the process."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from frame.errors import OutOfResources


class Workers:
    """Up to `size` daemon threads, started as they are needed, that run what is submitted in that order.

    (The standard library's pool joins its threads at exit, so one hung plugin would hang the process.)
    """

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._started = 0
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], Any]) -> "Future[Any]":
        """Run `job` in a thread, as soon as one is free. Raises OutOfResources if none can be had."""
        future: Future[Any] = Future()
        with self._lock:
            if self._started < self._size:
                try:
                    self._start_one()
                except (RuntimeError, MemoryError) as error:
                    if self._started == 0:
                        raise OutOfResources(f"no thread can be started: {error}") from error
        self._jobs.put((future, job))
        return future

    def leave_one_behind(self) -> None:
        """One of the threads hangs: let another take its place."""
        with self._lock:
            self._size += 1

    def close(self) -> None:
        """Let the threads end when they have done what they are doing."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _start_one(self) -> None:
        name = f"{self._name}-{self._started + 1}"
        threading.Thread(target=self._work, name=name, daemon=True).start()
        self._started += 1

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            if future.set_running_or_notify_cancel():
                _fulfil(future, call)


def run_here(job: Callable[[], Any]) -> "Future[Any]":
    """The future of `job`, which is run at once, in the caller's thread."""
    future: Future[Any] = Future()
    _fulfil(future, job)
    return future


def _fulfil(future: "Future[Any]", job: Callable[[], Any]) -> None:
    try:
        future.set_result(job())
    except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
        future.set_exception(error)
