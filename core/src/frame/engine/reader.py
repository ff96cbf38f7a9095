"""A chunk of source rows at a time: so many rows or so much time, whichever comes first."""

import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from frame.clock import Clock
from frame.plugin.protocols import Source


@dataclass(slots=True)
class Read:
    """What one read brought in. `position`: where the source stands after `rows`.

    `ended`: there is nothing more. `error`: why there can't be; the rows before it are good.
    """

    rows: list[Any] = field(default_factory=list)
    position: Any = None
    ended: bool = False
    error: BaseException | None = None


class Reader(Protocol):
    """Reads a source chunk by chunk."""

    def read(self, until_us: int | None) -> Read:
        """The next chunk; empty if no row came until `until_us`, or if the run is to stop."""
        ...

    def close(self) -> None:
        """Read no further."""
        ...


def reader_for(
    source: Source, chunk_rows: int, max_latency_s: float, clock: Clock, stop: threading.Event
) -> Reader:
    """The reader that suits `source`."""
    if source.may_wait():
        return WaitingReader(source, chunk_rows, max_latency_s, clock, stop)
    return DirectReader(source, chunk_rows)


class DirectReader:
    """Reads a source that never waits for anybody, without a thread."""

    def __init__(self, source: Source, chunk_rows: int) -> None:
        self._source, self._chunk_rows = source, chunk_rows
        self._rows: Iterator[Any] | None = None

    def read(self, until_us: int | None) -> Read:
        chunk = Read()
        try:
            if self._rows is None:
                self._rows = iter(self._source.read())
            # extend() keeps what the iterator gave before it raised
            chunk.rows.extend(islice(self._rows, self._chunk_rows))
            chunk.ended = len(chunk.rows) < self._chunk_rows
        except KeyboardInterrupt:  # somebody's Ctrl-C: this is the thread of whoever runs the pipeline
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
            chunk.error = error
        try:
            chunk.position = self._source.position() if chunk.rows else None
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            # Rows whose end is not known cannot be taken in: a run that goes on would read them again.
            return Read(error=error)
        return chunk

    def close(self) -> None:
        """There is nothing to let go of."""


class WaitingReader:
    """Reads a source in a thread, so that rows go on after `max_latency_s` and timers fire while it is silent.

    The thread asks for the position after each row, since it cannot know at which one it will have to wait.
    """

    def __init__(
        self, source: Source, chunk_rows: int, max_latency_s: float, clock: Clock, stop: threading.Event
    ) -> None:
        self._source, self._chunk_rows, self._clock, self._stop = source, chunk_rows, clock, stop
        self._max_latency_us = round(max_latency_s * 1_000_000)
        self._lock = threading.Lock()
        self._chunk = Read()
        self._first_us = 0
        self._filled = threading.Event()
        self._taken = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def read(self, until_us: int | None) -> Read:
        if self._thread is None:
            self._thread = threading.Thread(target=self._fill, name="frame-source", daemon=True)
            self._thread.start()
        while not self._filled.is_set() and not self._stop.is_set():
            now_us = self._clock.time_us()
            due_us = self._due_us(until_us)
            if due_us is not None and now_us >= due_us:
                break
            wait_s = 0.05 if due_us is None else min(0.05, (due_us - now_us) / 1_000_000)
            self._clock.wait(self._filled, wait_s)
        return self._take()

    def _due_us(self, until_us: int | None) -> int | None:
        with self._lock:
            if not self._chunk.rows:
                return until_us
            latency_us = self._first_us + self._max_latency_us
        return latency_us if until_us is None else min(latency_us, until_us)

    def _take(self) -> Read:
        with self._lock:
            chunk, self._chunk = self._chunk, Read(position=self._chunk.position)
            if not (chunk.ended or chunk.error):
                self._filled.clear()
            self._taken.set()
        return chunk

    def _fill(self) -> None:
        try:
            for row in self._source.read():
                self._add(row, _as_it_stands(self._source.position()))
                if self._closed:
                    return
            self._end(lambda chunk: setattr(chunk, "ended", True))
        except BaseException as raised:  # noqa: BLE001 - a plugin may raise anything
            error = raised
            self._end(lambda chunk: setattr(chunk, "error", error))

    def _add(self, row: Any, position: Any) -> None:
        while True:
            with self._lock:
                if len(self._chunk.rows) < self._chunk_rows:
                    break
                if not self._closed:
                    self._taken.clear()
            self._taken.wait()
            if self._closed:
                return
        with self._lock:
            if not self._chunk.rows:
                self._first_us = self._clock.time_us()
            self._chunk.rows.append(row)
            self._chunk.position = position
            if len(self._chunk.rows) >= self._chunk_rows:
                self._filled.set()

    def close(self) -> None:
        """Let the thread end at the row in hand. One that waits for a row goes on to wait."""
        with self._lock:
            self._closed = True
            self._taken.set()

    def _end(self, mark: Callable[[Read], None]) -> None:
        with self._lock:
            mark(self._chunk)
            self._filled.set()


def _as_it_stands(position: Any) -> Any:
    """`position`, safe from a source that changes it while it reads on."""
    return position if isinstance(position, int | str | float | None) else deepcopy(position)
