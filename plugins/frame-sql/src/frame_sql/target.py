"""A table that rows are written to: which columns it has, and the statements for rows of any fields."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from frame.plugin import FieldType, Rejected
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from frame_sql.database import Column, Database
from frame_sql.json_text import Unstorable
from frame_sql.storing import Store, storer
from frame_sql.values import Zone

Mode = Literal["insert", "upsert", "replace"]
Values = tuple[int, tuple[str, ...], tuple[Any, ...]]
"""Index of a row, names of its fields, its values as the database keeps them."""


@dataclass(frozen=True)
class Target:
    """`table`, its namespace before it if there is one, with `columns`. `key`: what an upsert goes by."""

    database: Database
    table: Sequence[str]
    columns: Sequence[Column]
    mode: Mode
    key: Sequence[str]
    zone: Zone | None

    @cached_property
    def _stores(self) -> Mapping[str, Store]:
        sqlite = self.database.mark == "?"
        return {column.name: storer(column, self.zone, sqlite=sqlite) for column in self.columns}

    def empty(self, connection: Connection) -> None:
        """Take every row out of the table."""
        connection.exec_driver_sql(f"DELETE FROM {self.database.path(self.table)}", ())

    def write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Rejected]:
        """Write `rows` in their order, and return those that the table does not take."""
        rejected: list[Rejected] = []
        for names, group in groupby(self._stored(rows, rejected), key=lambda values: values[1]):
            rejected += self._insert(connection, self._statement(names), list(group))
        return sorted(rejected, key=lambda rejection: rejection.index)

    def _stored(self, rows: Sequence[Mapping[str, Any]], rejected: list[Rejected]) -> Iterator[Values]:
        for index, row in enumerate(rows):
            try:
                yield index, tuple(row), tuple(self._value(name, value) for name, value in row.items())
            except Unstorable as error:
                rejected.append(Rejected(index, str(error)))

    def _value(self, name: str, value: Any) -> Any:
        store = self._stores.get(name)
        if store is None:
            raise Unstorable(f"the table has no column {name!r}")
        try:
            return store(value)
        except Unstorable as error:
            raise Unstorable(f"field {name!r} {error}") from error

    def _statement(self, names: Sequence[str]) -> str:
        path = self.database.path(self.table)
        if not names:
            return f"INSERT INTO {path} DEFAULT VALUES"
        columns = ", ".join(map(self.database.name, names))
        text = f"INSERT INTO {path} ({columns}) VALUES ({self.database.marks(len(names))})"
        return text if self.mode != "upsert" else f"{text} {self._on_conflict(names)}"

    def _on_conflict(self, names: Sequence[str]) -> str:
        others = [self.database.name(name) for name in names if name not in self.key]
        sets = ", ".join(f"{name} = excluded.{name}" for name in others)
        does = f"DO UPDATE SET {sets}" if sets else "DO NOTHING"
        return f"ON CONFLICT ({', '.join(map(self.database.name, self.key))}) {does}"

    # Halves until the rows at fault stand alone: of n rows with one that is refused, 2 log2(n) statements.
    def _insert(self, connection: Connection, statement: str, rows: Sequence[Values]) -> list[Rejected]:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(statement, [values for _, _, values in rows])
                self.database.check_deferred(connection)
        except DBAPIError as error:
            reason = self.database.refuses_row(error)
            if reason is None or error.connection_invalidated:
                raise
        else:
            return []
        if len(rows) == 1:
            return [Rejected(rows[0][0], _without_values(reason, rows[0]))]
        half = len(rows) // 2
        return self._insert(connection, statement, rows[:half]) + self._insert(
            connection, statement, rows[half:]
        )


def _without_values(reason: str, row: Values) -> str:
    """`reason`, unless it has a value of the row in it."""
    texts = [str(value) for value in row[2] if value is not None]
    if any(len(text) > 3 and text in reason for text in texts):
        return "it breaks a rule of the table, whose message has one of its values in it"
    return reason


def definition(
    database: Database, table: Sequence[str], fields: Mapping[str, FieldType], key: Sequence[str]
) -> str:
    """The statement that makes a table for rows with these fields."""
    columns = [
        f"{database.name(name)} {database.type_for(kind)}{'' if kind.nullable else ' NOT NULL'}"
        for name, kind in fields.items()
    ]
    keys = [f"PRIMARY KEY ({', '.join(map(database.name, key))})"] if key else []
    return f"CREATE TABLE {database.path(table)} ({', '.join([*columns, *keys])})"
