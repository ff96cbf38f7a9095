"""Blocks of payload bytes: rows, outputs, reasons, requests and answers, compressed with zstandard.

What is kept of whom stands in `payload_blocks`, with the hash of the bytes; the bytes themselves are in
`payload_data`, from where a purge may remove them.

A block holds up to 2,500 items or about 1 MB, so that reading one item decompresses no more than that. Inside,
4 bytes of length an item come first (little-endian), then the items, then, where they are rows whose fields stand in
another order than the canonical one, their shapes as JSON. Level 1: 1,000 JSON rows of 290 bytes become 38 bytes
each in 0.33 µs; levels 2 to 4 make them no smaller and take up to a quarter longer.
"""

import threading
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from sys import byteorder
from typing import TYPE_CHECKING, Any

import orjson
import zstandard
from sqlalchemy import ColumnElement, FromClause, Select, and_, select

from frame.audit import schema
from frame.audit.packing import SEGMENT
from frame.canonical import digest
from frame.errors import AuditError
from frame.events import PayloadKind, Payloads
from frame.shapes import Shapes, cut

if TYPE_CHECKING:
    from frame.audit.encoding import Encoder

LEVEL = 1
BLOCK_BYTES = 1_000_000
DIGEST = 32


_of_thread = threading.local()


def _compressor() -> zstandard.ZstdCompressor:
    """This thread's own: one must not be shared, and a new one a block costs more than the compression."""
    compressor: zstandard.ZstdCompressor | None = getattr(_of_thread, "compressor", None)
    if compressor is None:
        compressor = _of_thread.compressor = zstandard.ZstdCompressor(level=LEVEL)
    return compressor


def compress(items: Sequence[bytes], shapes: Shapes = ()) -> tuple[int, bytes]:
    """How many bytes the items are, and the block that holds them and their shapes."""
    lengths = array("I", [len(item) for item in items])
    if byteorder == "big":
        lengths.byteswap()
    order = orjson.dumps([[count, orjson.Fragment(shape)] for count, shape in shapes]) if shapes else b""
    raw = b"".join([lengths.tobytes(), *items, order])
    return len(raw) - 4 * len(items) - len(order), _compressor().compress(raw)


def decompress(count: int, data: bytes | None) -> list[bytes]:
    """The `count` items of a block. Raises AuditError if the block is damaged, or `data` is None: purged."""
    return unpack_block(count, data)[0]


def unpack_block(count: int, data: bytes | None) -> tuple[list[bytes], Shapes]:
    """The `count` items of a block, and their shapes. Raises AuditError as `decompress` does."""
    if data is None:
        raise AuditError("payload block", "was purged; only its hash is left")
    try:
        raw = zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise AuditError("payload block", f"cannot be decompressed: {error}") from error
    lengths = array("I", raw[: 4 * count])
    if byteorder == "big":
        lengths.byteswap()
    ends = list(accumulate(lengths, initial=4 * count))
    if ends[-1] > len(raw):
        raise AuditError("payload block", f"has {len(raw)} bytes where its lengths say {ends[-1]}")
    return [raw[start:end] for start, end in pairwise(ends)], _shapes(raw[ends[-1] :])


def _shapes(order: bytes) -> Shapes:
    if not order:
        return ()
    try:
        return tuple((count, orjson.dumps(shape)) for count, shape in orjson.loads(order))
    except (ValueError, TypeError) as error:
        raise AuditError("payload block", f"does not say in which order fields stood: {error}") from error


def _blocks(items: Sequence[bytes]) -> Iterator[slice]:
    """Slices of `items` that fit a block; one, empty slice for nothing."""
    start = size = 0
    for at, item in enumerate(items):
        if at > start and (at - start == SEGMENT or size + len(item) > BLOCK_BYTES):
            yield slice(start, at)
            start, size = at, 0
        size += len(item)
    yield slice(start, len(items))


def encode_payloads(to: "Encoder", number: int, payloads: Payloads) -> None:
    """Add the stored rows of `payloads`, the `number`th of its chunk."""
    of_calls = payloads.kind is PayloadKind.CALLS
    for part, piece in enumerate(_blocks(payloads.items)):
        whole = piece == slice(0, len(payloads.items))
        items, keys = (
            (payloads.items, payloads.keys) if whole else (payloads.items[piece], payloads.keys[piece])
        )
        place = to.chunk, number, part
        whose = *place, payloads.kind.value, payloads.node, payloads.visit, payloads.intent
        shapes = payloads.shapes if whole else cut(payloads.shapes, piece.start, piece.stop)
        raw_bytes, data = compress(items, shapes)
        kept = raw_bytes, len(data), digest(data)
        to.add(schema.payload_data, *place, data)
        if of_calls:
            digests = b"".join(key for key in keys if isinstance(key, bytes))
            to.add(schema.payload_blocks, *whose, len(items), None, None, 0, 0, *kept, None, digests)
        else:
            _, first, high, width, text = to.pack(keys)  # type: ignore[arg-type]
            old = int(len(items) > 0 and to.is_old(first))
            to.add(schema.payload_blocks, *whose, len(items), first, high, old, width, *kept, text, None)
        if of_calls:
            for item, key in enumerate(keys):
                to.add(schema.payload_digests, key, to.chunk, number, part, item)


def same_block(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    """Whether rows of two tables speak of the same payload block."""
    key = ("run", "chunk", "number", "part")
    return and_(*[one.c[name] == other.c[name] for name in key])


def with_data(*columns: Any) -> Select[Any]:
    """A SELECT of `columns` of `payload_blocks` and of the bytes: `data`, null where they were purged."""
    blocks, data = schema.payload_blocks, schema.payload_data
    return select(*columns, data.c.data).select_from(blocks.outerjoin(data, same_block(blocks, data)))
