"""What the engine needs of a record, and whom it tells afterwards."""

from collections.abc import Mapping
from typing import Protocol

from frame.events import Chunk, RunStatus


class Recorder(Protocol):
    """One run's record. The audit store implements it; engine and audit know nothing else of each other."""

    def commit(self, chunk: Chunk) -> None:
        """Make `chunk` durable, whole. Raises AuditError; then nothing of it is on record."""
        ...

    def renew_lease(self, now_us: int) -> None:
        """Say that this run is alive. May be called while another thread commits."""
        ...

    def finish(self, status: RunStatus, counters: Mapping[str, int], at_us: int) -> None:
        """End the run. Raises AuditError when the record says otherwise than `status`."""
        ...


class Listener(Protocol):
    """Hears what has happened, after it is on record."""

    def committed(self, chunk: Chunk) -> None:
        """`chunk` is on record, since now."""
        ...
