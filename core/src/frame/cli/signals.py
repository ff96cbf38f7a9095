"""SIGINT and SIGTERM during a run: the first one asks it to stop, the second one stops it at once.

The C level handler writes the signal's number to a pipe, and a thread reads it there. So a signal is heard also
while the main thread is inside a call that does not return, and no lock is taken in a signal handler.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SHOW_CURSOR = b"\x1b[?25h"
ASK, STOP = (
    "finishing the chunk in hand; press again to stop at once",
    "stopped at once; what was committed is safe",
)


class StopOnSignal:
    """While it is entered, a signal sets `stop` and is kept in `received`; a second one ends the process.

    `tell` says what happens. Nothing is changed outside the main thread, where signals cannot be caught.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.stop = threading.Event()
        self.received: int | None = None
        self._tell = tell
        self._before: dict[int, Any] = {}
        self._reader, self._writer = socket.socketpair()
        self._fd_before = -1
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._writer.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, _heard)
        self._thread = threading.Thread(target=self._listen, name="frame-signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._fd_before)
        self._writer.close()
        if self._thread is not None:
            self._thread.join()
        self._reader.close()

    def _listen(self) -> None:
        while data := self._reader.recv(1):
            number = data[0]
            if number not in self._before:
                continue
            if self.received is not None:
                _end_at_once(number)
            self.received = number
            self.stop.set()
            self._tell(ASK)


@contextmanager
def sigterm_unwinds() -> Iterator[None]:
    """While it is entered, SIGTERM ends the command as Ctrl-C does: what is half done is cleared away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _unwind(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _heard(number: int, frame: FrameType | None) -> None:
    """Nothing is left to do: the thread at the other end of the pipe has been told."""


def _end_at_once(number: int) -> None:
    """As safe as a crash: what is committed is on disk, and nothing else is promised."""
    cursor = SHOW_CURSOR if sys.stderr.isatty() else b""
    os.write(2, cursor + f"\nframe: {STOP}\n".encode())
    os._exit(128 + number)
