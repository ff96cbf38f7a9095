"""What the engine needs of a record, and whom it tells afterwards."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Protocol

from frame.events import Chunk, RunStatus


class Recorder(Protocol):
    """One run's record. The audit store implements it; engine and audit know nothing else of each other."""

    def submit(self, chunk: Chunk) -> "Future[None]":
        """Make `chunk` durable, now or soon. The future ends when it is, with an error when it cannot be.

        Chunks become durable in the order in which they were submitted.
        """
        ...

    def renew_lease(self, now_us: int) -> None:
        """Say that this run is alive."""
        ...

    def finish(self, status: RunStatus, counters: Mapping[str, int], at_us: int) -> None:
        """End the run. Raises AuditError when the record says otherwise than `counters`."""
        ...


class Listener(Protocol):
    """Hears what has happened, after it is on record."""

    def committed(self, chunk: Chunk) -> None:
        """`chunk` is on record."""
        ...
