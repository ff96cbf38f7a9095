"""The chain of a run: every commit is a block over the rows that it wrote, and names the block before it.

A leaf is a stored row, the block's root is that of the Merkle tree over its leaves (RFC 6962), and a block's hash
covers what the block says of itself and the hash of the block before. So whoever knows the newest hash knows every
row of the run; and a single row is proven by a short path to the root of its block.

    leaf  = SHA-256(0x00 || canonical([table, run id, value of every column but `run`, ...]))
    block = SHA-256(0x02 || canonical([1, run id, n, {table: rows}, leaves, root]) || hash of the block before)

Bytes go in as lower-case hex. In place of the digests of a segment stands the root of the tree over them, 32 digests
a leaf, so that a single digest can be proven, too. Leaves are ordered by table (`TABLES`), then by primary key.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Table

from frame.audit import merkle, schema
from frame.audit.text import to_json
from frame.canonical import canonical

VERSION = 1
FIRST = bytes(32)
"""What stands for the block before the first one."""
DIGESTS_A_LEAF = 32
_GROUP = 32 * DIGESTS_A_LEAF

TABLES: tuple[Table, ...] = (
    schema.run_headers,
    schema.chunks,
    schema.nodes,
    schema.run_changes,
    schema.artifacts,
    schema.calls,
    schema.edges,
    schema.error_clauses,
    schema.errors,
    schema.intents,
    schema.notes,
    schema.payload_blocks,
    schema.segments,
    schema.confirmations,
    schema.segment_digests,
    schema.rejections,
)
"""The tables whose rows are leaves, in the order of the leaves."""

Stored = tuple[Any, ...]
"""A row as it goes to the database: a value a column, `run` first."""
Rows = Mapping[Table, Sequence[Stored]]

MARK = 8
"""Bytes of a leaf in `marks`."""


@dataclass(frozen=True, slots=True)
class Block:
    """What one commit adds to the chain of its run; `counts` is canonical JSON.

    `marks`: the first 8 bytes of each leaf. They prove nothing, the root does; they tell which row is another one now.
    """

    n: int
    counts: str
    leaves: int
    root: bytes
    previous: bytes
    hash: bytes
    marks: bytes

    def row(self, run: int) -> Stored:
        """The row of `blocks`."""
        return run, self.n, self.counts, self.leaves, self.root, self.previous, self.hash, self.marks


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain of a run stands. `tree_root` is that of the Merkle tree over the hashes of its blocks."""

    run_id: str
    blocks: int
    hash: bytes
    tree_root: bytes


def digest_leaves(digests: bytes) -> list[bytes]:
    """The leaves of the tree over a segment's digests, 32 digests each."""
    return [merkle.leaf(digests[at : at + _GROUP]) for at in range(0, len(digests), _GROUP)]


def canonical_leaf(table: Table, run_id: str, row: Sequence[Any]) -> bytes:
    """What is hashed for a stored row of `table`.

    `row`: the value of every column, `run` first.
    """
    values: list[Any] = [table.name, run_id, *row[1:]]
    if table is schema.segment_digests:
        values[-1] = merkle.root(digest_leaves(values[-1]))
    # Texts, whole numbers and nulls: orjson writes them as `canonical` does, in a tenth of the time.
    return orjson.dumps(values, default=bytes.hex)


def leaves(table: Table, run_id: str, rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """The leaf hash of each of `rows`, which are in the order of the primary key."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + canonical_leaf(table, run_id, row)).digest() for row in rows]


def _key_of(table: Table) -> Callable[[Sequence[Any]], Any]:
    columns = list(table.columns)
    return itemgetter(*[columns.index(column) for column in table.primary_key])


_KEYS = {table: _key_of(table) for table in TABLES}


def in_order(rows: Rows) -> Iterator[tuple[Table, Stored]]:
    """The rows in the order of their leaves."""
    for table in TABLES:
        for row in sorted(rows.get(table, ()), key=_KEYS[table]):
            yield table, row


def block_leaves(run_id: str, rows: Rows) -> tuple[dict[str, int], list[bytes]]:
    """How many rows each table gets, and the leaf hashes of all, in their order."""
    counts: dict[str, int] = {}
    hashes: list[bytes] = []
    for table in TABLES:
        if table in rows:
            of_table = leaves(table, run_id, sorted(rows[table], key=_KEYS[table]))
            counts[table.name] = len(of_table)
            hashes += of_table
    return counts, hashes


def block_hash(
    run_id: str, n: int, counts: Mapping[str, int], size: int, root: bytes, previous: bytes
) -> bytes:
    """The hash of a block of `size` leaves."""
    said = canonical([VERSION, run_id, n, dict(counts), size, root.hex()])
    return hashlib.sha256(b"\x02" + said + previous).digest()


def block(run_id: str, n: int, rows: Rows, previous: bytes) -> Block:
    """The block of a commit that writes `rows`."""
    counts, hashes = block_leaves(run_id, rows)
    root = merkle.root(hashes)
    hashed = block_hash(run_id, n, counts, len(hashes), root, previous)
    marks = b"".join(each[:MARK] for each in hashes)
    return Block(n, to_json(counts), len(hashes), root, previous, hashed, marks)


def counts_of(text: str) -> dict[str, int]:
    """`counts` of a stored block. Raises ValueError if it is not what a block says there."""
    found = orjson.loads(text)
    if not isinstance(found, dict) or not all(isinstance(count, int) for count in found.values()):
        raise ValueError(f"{text[:80]!r} does not count rows by table")
    return found


def tree_leaf(hashed: bytes) -> bytes:
    """The leaf that a block with this hash is in the tree over the run's blocks."""
    return merkle.leaf(hashed)
