"""Payload bytes found again: one item, without decompressing more than the block that it is in."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.payloads import decompress, same_block, with_data
from frame.audit.stories import home_of, place_of
from frame.events import PayloadKind

Stored = Row[Any]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """An external call that was made while a token was at a node; the bytes are under the digests."""

    node: int
    visit: int
    token: int | None
    attempt: int
    kind: str
    index: int
    request_sha256: bytes
    answer_sha256: bytes | None
    status: str
    started_us: int
    duration_us: int


def payload_of(
    connection: Connection,
    run: int,
    kind: PayloadKind,
    token: int,
    node: int | None = None,
    visit: int | None = None,
) -> bytes | None:
    """The bytes of this kind that are kept for `token`, None if none are; the newest if there are several."""
    blocks = schema.payload_blocks
    of_kind = [blocks.c.run == run, blocks.c.kind == kind.value]
    of_kind += [blocks.c.node == node] if node is not None else []
    of_kind += [blocks.c.visit == visit] if visit is not None else []
    within = blocks.c.first_token <= token, blocks.c.high_token >= token
    home = home_of(connection, run, token)
    for where in (blocks.c.old_tokens == 1, blocks.c.chunk == home):
        newest = blocks.c.chunk.desc(), blocks.c.number.desc(), blocks.c.part.desc()
        found = with_data(blocks).where(*of_kind, where, *within).order_by(*newest)
        for block in connection.execute(found):
            place = place_of(block, token)
            if place is not None:
                return None if block.data is None else decompress(block.size, block.data)[place]
    return None


def payload_with_digest(connection: Connection, run: int, digest: bytes) -> bytes | None:
    """The request or answer of a call that has this SHA-256, None if it is not kept."""
    index, blocks, data = schema.payload_digests, schema.payload_blocks, schema.payload_data
    block = connection.execute(
        select(blocks.c.size, data.c.data, index.c.item)
        .select_from(index)
        .join(blocks, same_block(index, blocks))
        .join(data, same_block(index, data))
        .where(index.c.run == run, index.c.digest == digest)
    ).first()
    return None if block is None else decompress(block.size, block.data)[block.item]


def calls_of(connection: Connection, run: int, token: int) -> list[CallRecord]:
    """The external calls that were made for a token, in order."""
    calls = schema.calls
    found = select(calls).where(calls.c.run == run, calls.c.token == token)
    rows = connection.execute(found.order_by(calls.c.chunk, calls.c.position))
    return [CallRecord(*row[3:]) for row in rows]
