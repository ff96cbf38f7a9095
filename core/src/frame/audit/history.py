"""The record of one run as the engine reads it when it goes on with the run, or does it over."""

from collections.abc import Iterator

from sqlalchemy import and_

from frame.audit import schema
from frame.audit.database import Database
from frame.audit.decoding import read_chunk_payloads, read_chunks
from frame.events import Chunk, PayloadKind, Payloads


class RunHistory:
    """The chunks of run number `run`; an engine `History`. Each reading sees what is on record when it begins."""

    def __init__(self, database: Database, run: int) -> None:
        self._database, self._run = database, run

    def chunks(self, first: int = 0, last: int | None = None, *, payloads: bool = True) -> Iterator[Chunk]:
        """Chunk `first` to chunk `last`, or to the newest one, as they were committed, one at a time.

        Without `payloads` they come without the bytes, and faster. Raises AuditError where bytes were purged.
        """
        with self._database.reading() as connection:
            yield from read_chunks(connection, self._run, first, last, payloads=payloads)

    def kept(self, chunk: int, kind: PayloadKind, node: int) -> Iterator[Payloads]:
        """What was kept of one kind, at one node, with chunk number `chunk`. Raises AuditError if it was purged."""
        blocks = schema.payload_blocks
        with self._database.reading() as connection:
            yield from read_chunk_payloads(
                connection, self._run, chunk, and_(blocks.c.kind == kind.value, blocks.c.node == node)
            )
