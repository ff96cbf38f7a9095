"""What the engine needs of a record, and whom it tells afterwards."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from frame.events import Chunk, PayloadKind, Payloads, RunStatus


class Recorder(Protocol):
    """One run's record. The audit store implements it; engine and audit know nothing else of each other.

    `lease_s`: how long the process that holds the run is believed to live after `renew_lease`.
    """

    @property
    def run_id(self) -> str: ...

    @property
    def lease_s(self) -> float: ...

    def commit(self, chunk: Chunk) -> None:
        """Make `chunk` durable, whole. Raises AuditError; then nothing of it is on record."""
        ...

    def renew_lease(self, now_us: int) -> None:
        """Say that this run is alive. May be called while another thread commits."""
        ...

    def finish(self, status: RunStatus, counters: Mapping[str, int], at_us: int) -> None:
        """End the run. Raises AuditError when the record says otherwise than `status`."""
        ...


class History(Protocol):
    """What is on record of one run."""

    def chunks(
        self, first: int = 0, last: int | None = None, *, payloads: bool = True, digests: bool = True
    ) -> Iterator[Chunk]:
        """Chunk `first` to chunk `last`, or to the newest one, as they were committed, one at a time.

        Without `payloads` they come without the bytes, and without `digests` with those of flushed batches alone;
        both is faster.
        """
        ...

    def kept(self, chunk: int, kind: PayloadKind, node: int) -> Iterator[Payloads]:
        """What was kept of one kind, at one node, with chunk number `chunk`."""
        ...


class Listener(Protocol):
    """Hears what has happened, after it is on record."""

    def committed(self, chunk: Chunk) -> None:
        """`chunk` is on record, since now."""
        ...
