"""`payload_digests`, which follows from the payload blocks of calls: where each request and answer is."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from frame.audit import schema
from frame.audit.decoding import block_keys
from frame.audit.verify.report import Finding
from frame.events import PayloadKind

Place = tuple[int, int, int, int]


def check_places(connection: Connection, run: int, run_id: str) -> Iterator[Finding]:
    """Whether the index of requests and answers is the one that the blocks make: the first place of each digest."""
    index, blocks = schema.payload_digests, schema.payload_blocks
    of_run = select(index).where(index.c.run == run)
    stored = {
        bytes(row.digest): (row.chunk, row.number, row.part, row.item)
        for row in connection.execute(of_run)
        if isinstance(row.digest, bytes)
    }
    of_calls = select(blocks).where(blocks.c.run == run, blocks.c.kind == PayloadKind.CALLS.value)
    ordered = connection.execute(of_calls.order_by(blocks.c.chunk, blocks.c.number, blocks.c.part))
    made: dict[bytes, Place] = {}
    for block in ordered:
        for item, key in enumerate(block_keys(block)):
            assert isinstance(key, bytes)
            made.setdefault(key, (block.chunk, block.number, block.part, item))
    for key in sorted({*stored, *made}):
        if stored.get(key) != made.get(key):
            said = f"it places a request or answer at {stored.get(key)}, and the blocks at {made.get(key)}"
            yield Finding("derived", said, table="payload_digests", run_id=run_id, key=key.hex())
