"""The record of one run as the engine reads it when it goes on with the run, or does it over."""

from collections.abc import Iterator

from sqlalchemy import and_

from frame.audit import schema
from frame.audit.chunks import read_chunks, read_payloads
from frame.audit.database import Database
from frame.events import Chunk, PayloadKind, Payloads


class RunHistory:
    """The chunks of run number `run`; an engine `History`. Each reading sees what is on record when it begins."""

    def __init__(self, database: Database, run: int) -> None:
        self._database, self._run = database, run

    def chunks(
        self, first: int = 0, last: int | None = None, *, payloads: bool = True, digests: bool = True
    ) -> Iterator[Chunk]:
        """Chunk `first` to chunk `last`, or to the newest one, as they were committed, one at a time.

        Without `payloads` they come without the bytes, and without `digests` with those of flushed batches alone;
        both is faster. Raises AuditError where bytes were purged, DamagedRecord where they are not what was kept.
        """
        with self._database.reading() as connection:
            yield from read_chunks(connection, self._run, first, last, payloads=payloads, digests=digests)

    def kept(self, chunk: int, kind: PayloadKind, node: int) -> Iterator[Payloads]:
        """What was kept of one kind, at one node, with chunk number `chunk`.

        Raises AuditError if it was purged, DamagedRecord if it is not the bytes whose hash is on record.
        """
        blocks = schema.payload_blocks
        with self._database.reading() as connection:
            yield from read_payloads(
                connection, self._run, chunk, and_(blocks.c.kind == kind.value, blocks.c.node == node)
            )
