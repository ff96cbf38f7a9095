"""The rows of a run, commit by commit, each read once: one cursor a table, all moving on together."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, select

from frame.audit import schema
from frame.audit.payloads import with_data

Stored = Row[Any]
AT_ONCE = 64
"""Rows that a cursor reads ahead; a row of payloads may be a megabyte."""

OF_CHUNKS: tuple[Table, ...] = (
    schema.artifacts,
    schema.calls,
    schema.errors,
    schema.intents,
    schema.notes,
    schema.payload_blocks,
    schema.segments,
    schema.confirmations,
    schema.segment_digests,
    schema.rejections,
)
OF_OPENING = (schema.run_headers, schema.nodes, schema.edges, schema.error_clauses)


@dataclass(slots=True)
class Commit:
    """What is stored of one commit. `data`: the bytes of each payload block in turn, None where they are gone."""

    block: int
    chunks: list[Stored] = field(default_factory=list)
    rows: dict[Table, list[Stored]] = field(default_factory=dict)
    data: list[bytes | None] = field(default_factory=list)

    @property
    def chunk(self) -> int | None:
        """The number of the chunk that was committed, None if it was something else."""
        return self.chunks[0].chunk if self.chunks else None

    def of(self, table: Table) -> list[Stored]:
        """The rows of one table."""
        return self.rows.get(table, [])


@dataclass(frozen=True, slots=True)
class Stray:
    """A row that belongs to no commit."""

    table: str
    chunk: int


class _Cursor:
    """The rows of one table in the order of their chunks."""

    def __init__(self, connection: Connection, table: Table, run: int) -> None:
        self.table = table
        reading = connection.execution_options(yield_per=AT_ONCE)
        self._rows = iter(reading.execute(_of_run(table), {"asked": run}))
        self._next = next(self._rows, None)

    def take(self, chunk: int, strays: list[Stray]) -> list[Stored]:
        """The rows of `chunk`; those that stand before it belong to none."""
        found = []
        while self._next is not None and self._next.at <= chunk:
            if self._next.at == chunk:
                found.append(self._next)
            else:
                strays.append(Stray(self.table.name, self._next.at))
            self._next = next(self._rows, None)
        return found


@cache
def _of_run(table: Table) -> Select[Any]:
    """A SELECT of the rows of run `asked`, with their chunk as column `at`."""
    mine = table.c.run == bindparam("asked")
    key = [column for column in table.primary_key if column.name not in ("run", "chunk")]
    if table is schema.rejections:
        done = schema.confirmations
        same = [done.c[name] == table.c[name] for name in ("run", "node", "intent")]
        asked = select(table, done.c.chunk.label("at")).join(done, same[0] & same[1] & same[2])
        return asked.where(mine).order_by(done.c.chunk, *key)
    at = table.c.chunk.label("at")
    asked = with_data(table, at) if table is schema.payload_blocks else select(table, at)
    return asked.where(mine).order_by(table.c.chunk, *key)


@cache
def _by_key(table: Table) -> Select[Any]:
    return select(table).where(table.c.run == bindparam("asked")).order_by(*table.primary_key)


def commits(connection: Connection, run: int, strays: list[Stray]) -> Iterator[Commit]:
    """Every commit of a run that some row says took place, in order. Rows that belong to none go into `strays`."""
    chunks, changes = schema.chunks, schema.run_changes
    by_block: dict[int, Commit] = {}
    for row in connection.execute(_by_key(chunks), {"asked": run}):
        by_block.setdefault(row.block, Commit(row.block)).chunks.append(row)
    for row in connection.execute(_by_key(changes), {"asked": run}):
        by_block.setdefault(row.block, Commit(row.block)).rows.setdefault(changes, []).append(row)
    _add_opening(connection, run, by_block.setdefault(0, Commit(0)))
    cursors = [_Cursor(connection, table, run) for table in OF_CHUNKS]
    for block in sorted(by_block):
        commit = by_block.pop(block)
        _fill(commit, cursors, strays)
        yield commit
    for cursor in cursors:
        cursor.take(1 << 62, strays)


def _add_opening(connection: Connection, run: int, commit: Commit) -> None:
    for table in OF_OPENING:
        found = list(connection.execute(_by_key(table), {"asked": run}))
        if found:
            commit.rows[table] = found


def _fill(commit: Commit, cursors: list[_Cursor], strays: list[Stray]) -> None:
    for row in commit.chunks:
        commit.rows.setdefault(schema.chunks, []).append(row)
        for cursor in cursors:
            found = cursor.take(row.chunk, strays)
            if found:
                commit.rows.setdefault(cursor.table, []).extend(found)
    commit.data = [row.data for row in commit.of(schema.payload_blocks)]
