"""The chain of a run as lines: the first line, the blocks, and the stored rows that each block stands for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Table, and_, column, select, table

from frame.audit import merkle, schema
from frame.audit.chain import TABLES, tree_leaf
from frame.audit.export.lines import line, nested_line
from frame.audit.export.source import RunRecord, Stored
from frame.audit.runs import counters_of
from frame.audit.text import from_json

FORMAT, VERSION = "frame-export", 1

_SAID_ONCE = frozenset({"run_headers", "nodes", "edges", "error_clauses"})
"""Tables whose rows of a run are all written with its first block."""
_RUNS = table("runs", *map(column, ("run", "status", "ended_us")))


def first_line(record: RunRecord) -> bytes:
    """What an export begins with."""
    headers = schema.run_headers
    header = record.connection.execute(select(headers).where(headers.c.run == record.run)).one()
    now = record.connection.execute(select(_RUNS).where(_RUNS.c.run == record.run)).one()
    said = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in zip(header._fields, header, strict=True)
        if name not in ("run", "config")
    }
    columns = {
        str(each.name): [str(one.name) for one in each.columns if one.name != "run"] for each in TABLES
    }
    return nested_line(
        "run",
        {
            "format": FORMAT,
            "version": VERSION,
            **said,
            "config": header.config.decode(),
            "status": now.status,
            "ended_us": now.ended_us,
            "counters": counters_of(record.connection, record.run),
            "columns": columns,
        },
    )


@dataclass
class Chain:
    """The blocks of a run as lines; what the whole comes to is known when all lines were taken."""

    record: RunRecord
    blocks: int = 0
    facts: int = 0
    head: bytes | None = None
    _tree: merkle.Frontier = field(default_factory=merkle.Frontier)

    @property
    def tree_root(self) -> bytes:
        """Root of the tree over the hashes of all blocks."""
        return self._tree.root()

    def follow(self) -> Iterator[Stored]:
        """Each block as it is stored."""
        b = schema.blocks.c
        for block in self.record.stream(select(*b).where(b.run == self.record.run).order_by(b.n)):
            self.blocks, self.head = self.blocks + 1, block.hash
            self._tree.append(tree_leaf(block.hash))
            yield block

    def lines(self) -> Iterator[bytes]:
        """Each block, and after it its facts."""
        for block in self.follow():
            yield line("block", _block_fields(block))
            for fact in self._facts(block):
                self.facts += 1
                yield fact

    def _facts(self, block: Stored) -> Iterator[bytes]:
        for each, row in facts_of(self.record, block):
            yield fact_line(each, row[1:])


def facts_of(record: RunRecord, block: Stored) -> Iterator[tuple[Table, Stored]]:
    """The rows that a block stands for, each with its table, in the order of the leaves."""
    written, c = from_json(block.counts), schema.chunks.c
    chunk = record.connection.scalar(select(c.chunk).where(c.run == record.run, c.block == block.n))
    for each in TABLES:
        if each.name in written:
            wanted = select(*each.c).where(each.c.run == record.run, *_within(each, block.n, chunk))
            for row in record.stream(wanted.order_by(*each.primary_key)):
                yield each, row


def _block_fields(block: Stored) -> dict[str, Any]:
    return {
        "n": block.n,
        "counts": block.counts,
        "leaves": block.leaves,
        "root": block.root.hex(),
        "previous": block.previous.hex(),
        "hash": block.hash.hex(),
    }


def _within(each: Table, n: int, chunk: int | None) -> list[ColumnElement[bool]]:
    """What the rows of a table have that were written with block `n`."""
    if each.name in _SAID_ONCE:
        return []
    if "block" in each.c:
        return [each.c.block == n]
    if each is schema.rejections:
        done, refused = schema.confirmations.c, schema.rejections.c
        same = and_(done.run == refused.run, done.node == refused.node, done.intent == refused.intent)
        return [select(done.intent).where(same, done.chunk == chunk).exists()]
    return [each.c.chunk == chunk]


def fact_line(each: Table, values: Any) -> bytes:
    """A stored row as a line; `values` are those of all columns but `run`."""
    written = orjson.dumps(list(values), default=bytes.hex)
    return b'{"record":"fact","table":"%b","values":%b}\n' % (each.name.encode(), written)
