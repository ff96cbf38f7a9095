"""Commit, then write: the two steps whose order keeps every row, beside the engine or in its thread.

A chunk is made durable on record; only then are the sinks given what it announced, each in a thread of its own,
since most of their time goes into waiting for the disk. Meanwhile the engine may work on the next chunk: one
chunk is under way at most, and the next one is not committed before the sinks have what this one announced.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from frame.engine.recorder import Listener, Recorder
from frame.engine.workers import Workers, run_here
from frame.errors import AuditError, OutOfResources
from frame.events import Chunk, SinkConfirmed, SinkIntended
from frame.failpoints import reached
from frame.rows import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A write that is announced, with the rows that it is about and their canonical forms."""

    intent: SinkIntended
    rows: Sequence[Row]
    forms: Sequence[bytes]


@dataclass(slots=True)
class Written:
    """What the sinks did with a chunk: the confirmed deliveries, and the first error if there was one."""

    confirmed: list[tuple[Delivery, SinkConfirmed]] = field(default_factory=list)
    error: BaseException | None = None


class DeliversTo(Protocol):
    """A sink, as the writer sees it."""

    def deliver(self, intent: SinkIntended, rows: Sequence[Row]) -> SinkConfirmed:
        """Write `rows` and make them durable. Raises SinkError."""
        ...


class Writer:
    """Hands chunks to the record and to the sinks. `beside`: in a thread of its own."""

    def __init__(self, recorder: Recorder, listeners: Sequence[Listener], beside: bool) -> None:
        self._recorder, self._listeners = recorder, listeners
        self._thread = Workers(1, "frame-writer") if beside else None
        self._run = self._thread.submit if self._thread is not None else run_here
        self._sinks: dict[int, tuple[DeliversTo, Workers]] = {}
        self._pending: Future[Written] | None = None

    def connect(self, number: int, sink: DeliversTo) -> None:
        """Writes to node `number` go to `sink`."""
        self._sinks[number] = sink, Workers(1, f"frame-sink-{number}")

    def hand_over(self, chunk: Chunk, deliveries: Sequence[Delivery]) -> None:
        """Commit `chunk`, then make its `deliveries`. The chunk before it must be settled."""
        assert self._pending is None
        self._pending = _beside(self._run, lambda: self._write(chunk, deliveries))

    def settle(self) -> Written:
        """Wait for the chunk that is under way, if there is one. Raises AuditError when it cannot be committed."""
        if self._pending is None:
            return Written()
        pending, self._pending = self._pending, None
        return pending.result()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.close()
        for _, workers in self._sinks.values():
            workers.close()

    def _write(self, chunk: Chunk, deliveries: Sequence[Delivery]) -> Written:
        try:
            reached("before_commit")
            self._recorder.commit(chunk)
            reached("after_commit")
        except AuditError:
            raise
        except Exception as reason:
            # Whatever it is: with a gap the record could not be trusted.
            raise AuditError(f"chunk {chunk.number}", f"{type(reason).__name__}: {reason}") from reason
        for listener in self._listeners:
            listener.committed(chunk)
        under_way = [(delivery, self._begin(delivery)) for delivery in deliveries]
        written = Written()
        for delivery, future in under_way:
            error = future.exception()
            if error is None:
                written.confirmed.append((delivery, future.result()))
            elif written.error is None:
                written.error = error
        reached("after_writes")
        return written

    def _begin(self, delivery: Delivery) -> "Future[SinkConfirmed]":
        sink, workers = self._sinks[delivery.intent.node]
        return _beside(workers.submit, lambda: sink.deliver(delivery.intent, delivery.rows))


def _beside(run: Callable[[Callable[[], T]], "Future[T]"], job: Callable[[], T]) -> "Future[T]":
    """The future of `job`, which is run in this thread if no other is to be had."""
    try:
        return run(job)
    except OutOfResources:
        return run_here(job)
