"""The chain of a run, computed again from its rows (H2)."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from frame.audit import chain, schema
from frame.audit.chain import FIRST
from frame.audit.merkle import Frontier
from frame.audit.text import to_json
from frame.audit.verify.report import Finding
from frame.audit.verify.stored import Commit

CHANGED = "a row of this commit was changed, removed or added after it was written"
RELINKED = "the block itself was changed, or blocks were taken out, put in or reordered"


MOST_PLACED = 5
"""Of so many changed rows in a commit each is named; more of them are told together."""


class Chain:
    """The stored blocks of a run, held against the commits one after the other."""

    def __init__(self, connection: Connection, run: int, run_id: str) -> None:
        blocks = schema.blocks
        asked = select(blocks).where(blocks.c.run == run).order_by(blocks.c.n)
        self._blocks = iter(connection.execution_options(yield_per=256).execute(asked))
        self._next = next(self._blocks, None)
        self._run_id = run_id
        self.first = None if self._next is None else int(self._next.n)
        """Number of the first block; the commits before it were made without."""
        self.head, self.next_n = FIRST, 0
        self.tree = Frontier()

    def check(self, commit: Commit) -> Iterator[Finding]:
        """Hold the next commit against its block."""
        while self._next is not None and self._next.n < commit.block:
            yield self._finding(self._next.n, "a block stands here, and nothing that it was made of", CHANGED)
            self._pass(self._next)
        stored = self._next
        if stored is None or stored.n != commit.block:
            if self.first is not None and commit.block >= self.first:
                yield self._finding(
                    commit.block, "there is no block for this commit", CHANGED, chunk=commit.chunk
                )
            return
        yield from self._compare(stored, commit)
        self._pass(stored)

    def rest(self) -> Iterator[Finding]:
        """What is left of the chain after the last commit."""
        while self._next is not None:
            yield self._finding(self._next.n, "a block stands here, and nothing that it was made of", CHANGED)
            self._pass(self._next)

    def _pass(self, stored: Row[Any]) -> None:
        self.head, self.next_n = bytes(stored.hash), stored.n + 1
        self.tree.append(chain.tree_leaf(self.head))
        self._next = next(self._blocks, None)

    def _compare(self, stored: Row[Any], commit: Commit) -> Iterator[Finding]:
        if self.tree.size and stored.n != self.next_n:
            yield self._finding(stored.n, f"block {self.next_n} is missing before this one", RELINKED)
        rows = {table: [_columns(table, row) for row in found] for table, found in commit.rows.items()}
        made = chain.block(self._run_id, stored.n, rows, self.head)
        if stored.previous != self.head:
            yield self._finding(stored.n, "it does not name the hash of the block before it", RELINKED)
        if (made.root, made.counts, made.leaves) != (stored.root, stored.counts, stored.leaves):
            yield from self._differences(stored, made, rows, commit.chunk)
        elif made.marks != stored.marks:
            yield self._finding(stored.n, "its marks are not those of its rows", RELINKED)
        elif made.hash != stored.hash and stored.previous == self.head:
            yield self._finding(stored.n, "its hash is not that of what it says", RELINKED)

    def _differences(
        self, stored: Row[Any], made: chain.Block, rows: chain.Rows, chunk: int | None
    ) -> Iterator[Finding]:
        """Each row that is another one now, as far as the marks tell; else the commit as a whole."""
        changed = list(changed_rows(stored.marks, made.marks, rows))
        if _counts(stored.counts) == _counts(made.counts) and 0 < len(changed) <= MOST_PLACED:
            for table, key in changed:
                what = "the row is not what was committed"
                yield Finding("chain", what, CHANGED, table.name, self._run_id, stored.n, chunk, key=key)
            return
        places = "; ".join(f"{table.name} {key}" for table, key in changed[:MOST_PLACED])
        what, means = _difference(stored, made)
        said = f"{what} (not as committed: {places})" if places else what
        yield self._finding(stored.n, said, means, table=_table_that_differs(stored, made), chunk=chunk)

    def _finding(
        self, n: int, what: str, means: str, table: str = "blocks", chunk: int | None = None
    ) -> Finding:
        return Finding("chain", what, means, table=table, run_id=self._run_id, block=n, chunk=chunk)


def changed_rows(marks: bytes, now: bytes, rows: chain.Rows) -> Iterator[tuple[Table, str]]:
    """The rows that have no mark among those of the commit, with their keys."""
    committed = {marks[at : at + chain.MARK] for at in range(0, len(marks), chain.MARK)}
    at = 0
    for table, row in chain.in_order(rows):
        if now[at : at + chain.MARK] not in committed:
            yield table, _key(table, row)
        at += chain.MARK


def _key(table: Table, row: Sequence[Any]) -> str:
    values = dict(zip(table.columns.keys(), row, strict=True))
    names = [column.name for column in table.primary_key if column.name not in ("run", "chunk")]
    return " ".join(f"{name}={values[name]}" for name in names)


def _columns(table: Table, row: Row[Any]) -> tuple[Any, ...]:
    return tuple(row[: len(table.columns)])


def _counts(text: str) -> dict[str, int]:
    """`counts` of a stored block; nothing if it cannot be read."""
    known = {table.name for table in chain.TABLES}
    try:
        found = chain.counts_of(text)
    except ValueError:
        return {}
    return {name: count for name, count in found.items() if name in known}


def _table_that_differs(stored: Row[Any], made: chain.Block) -> str:
    was, now = _counts(stored.counts), _counts(made.counts)
    differ = sorted(name for name in {*was, *now} if was.get(name, 0) != now.get(name, 0))
    if len(differ) == 1 and stored.root != made.root:
        return differ[0]
    return "blocks" if stored.root == made.root else ", ".join(differ or sorted(now))


def _difference(stored: Row[Any], made: chain.Block) -> tuple[str, str]:
    was, now = _counts(stored.counts), _counts(made.counts)
    if stored.root == made.root:
        said = f"it speaks of {stored.counts} where {to_json(now)} is stored"
        return said, RELINKED
    for name in sorted({*was, *now}):
        if was.get(name, 0) != now.get(name, 0):
            what = f"{now.get(name, 0)} rows are in {name} where the commit wrote {was.get(name, 0)}"
            return what, CHANGED
    return f"one of its {made.leaves} rows is not what was committed", CHANGED
