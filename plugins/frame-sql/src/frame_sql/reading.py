"""What is read, by whichever database: its columns, its order, and its rows in batches, on a read-only connection."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import Connection

from frame_sql.database import Column, Database, DatabaseRefuses
from frame_sql.places import place_of, values_of
from frame_sql.values import Read, Zone

Rows = Sequence[Sequence[Any]]


class Reading(ABC):
    """One look at a relation. `select`: instead of `table`; `key`: instead of its primary key."""

    collation: ClassVar[str]
    """What makes a database compare texts as they are, so that no two of them are the same to it."""

    def __init__(
        self,
        database: Database,
        connection: Connection,
        table: Sequence[str] | None,
        select: str | None,
        key: Sequence[str] | None,
        zone: Zone | None,
    ) -> None:
        self._database, self._connection, self._zone = database, connection, zone
        self._table, self._select = table, select
        # The line feed ends a comment that the statement may end in.
        self.relation = database.path(table or ()) if table else f"({database.escaped(select or '')}\n)"
        self.names: tuple[str, ...] = ()
        self.key = tuple(key or ())
        self.key_at: tuple[int, ...] = ()
        self._reads: list[tuple[int, Read]] = []

    @property
    @abstractmethod
    def snapshot(self) -> str | None:
        """The state of the database that is read, None if it has no name."""

    @property
    @abstractmethod
    def server(self) -> str:
        """Which database, in which version."""

    @abstractmethod
    def _look(self) -> tuple[Sequence[str], list[tuple[int, Read]]]:
        """The names of the columns, and what makes values of rows of those of a column."""

    @abstractmethod
    def batches(self, place: Callable[[], Any], size: int) -> Iterator[Rows]:
        """Rows behind `place()`, at most `size` in memory at a time."""

    def check(self) -> None:
        """Look whether it can be read in the order of its key. Raises DatabaseRefuses."""
        self.look()
        self.key = self.key or self._primary_key()
        if missing := [name for name in self.key if name not in self.names]:
            raise DatabaseRefuses(
                f"there is no column {', '.join(map(repr, missing))} for `key`; there are {', '.join(self.names)}"
            )
        self.key_at = tuple(map(self.names.index, self.key))
        self._check_nulls()

    def look(self) -> None:
        """Look whether it can be read, and what columns there are. Raises DatabaseRefuses."""
        if self._table and not self._names_something(self._table):
            raise DatabaseRefuses(f"{self._database.where} has no table {self._table[-1]!r}")
        names, self._reads = self._look()
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise DatabaseRefuses(f"more than one column is named {', '.join(map(repr, doubled))}")
        self.names = tuple(names)

    def columns(self, table: Sequence[str]) -> Sequence[Column]:
        """The columns of a table of the same database."""
        return self._database.columns(self._connection, table)

    def among(self, name: str, values: Sequence[Any]) -> Rows:
        """The rows that have one of `values` in the column `name`."""
        among = f"q.{self._database.name(name)} IN ({self._database.marks(len(values))})"
        asked = f"SELECT q.* FROM {self.relation} AS q WHERE {among}"
        return self._connection.exec_driver_sql(asked, tuple(values)).all()

    @abstractmethod
    def _names_something(self, table: Sequence[str]) -> bool: ...

    def _primary_key(self) -> tuple[str, ...]:
        if not self._table:
            return ()
        return tuple(self._database.primary_key(self._connection, self._table))

    def _check_nulls(self) -> None:
        """A row whose key is null would be passed over by whoever goes on behind another one."""
        if self.key:
            nulls = " OR ".join(f"q.{self._database.name(name)} IS NULL" for name in self.key)
            asked = f"SELECT 1 FROM {self.relation} AS q WHERE {nulls} LIMIT 1"
            if self._connection.exec_driver_sql(asked, ()).first() is not None:
                raise DatabaseRefuses(
                    f"the key {', '.join(self.key)} is null in a row: no row could be found by it"
                )

    def converted(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values of a row as rows have them."""
        if not self._reads:
            return values
        found = list(values)
        for at, read in self._reads:
            if found[at] is not None:
                found[at] = read(found[at])
        return found

    def _statement(self, after: Any, limit: int | None) -> tuple[str, tuple[Any, ...]]:
        """The statement for the rows from the place `after` on, that row included, and what is bound to it."""
        text, bound = f"SELECT q.* FROM {self.relation} AS q", ()
        if self.key:
            parts = ", ".join(f"q.{self._database.name(name)}{self._collated(name)}" for name in self.key)
            if after is not None:
                bound = values_of(after)
                text += f" WHERE ({parts}) >= ({self._database.marks(len(bound))})"
            text += f" ORDER BY {parts}"
        return (text if limit is None else f"{text} LIMIT {limit}"), bound

    def _collated(self, name: str) -> str:
        return self.collation

    def _behind(self, after: Any, rows: Rows) -> Rows:
        """`rows` without the one at `after`, if it is the first; one more like it is found by whoever reads on."""
        if after is not None and rows and self.key:
            first = place_of([rows[0][at] for at in self.key_at], self.key)
            if first == after:
                return rows[1:]
        return rows


@contextmanager
def reading_of(
    database: Database,
    table: Sequence[str] | None,
    select: str | None,
    key: Sequence[str] | None,
    zone: Zone | None,
) -> Iterator[Reading]:
    """A reading on a connection of its own. Raises DatabaseRefuses or Unavailable."""
    with database.reading() as (connection, kind), database.explained():
        yield kind(database, connection, table, select, key, zone)
