"""SQLite: a file, with values that have types where columns only say what they would like.

Types that SQLite lacks are kept as text in columns whose declared type says what they are, such as DECIMAL_TEXT:
SQLite takes whatever has TEXT in its name for text, and changes nothing in it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from frame.plugin import FieldType
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from frame_sql.database import ONE_CONNECTION, Column, Database, DatabaseRefuses
from frame_sql.names import quoted
from frame_sql.values import Unfit

if TYPE_CHECKING:
    from frame_sql.reading import Reading

_TYPES = {
    "str": "TEXT",
    "int": "INTEGER",
    "float": "REAL",
    "bool": "BOOLEAN",
    "bytes": "BLOB",
    "decimal": "DECIMAL_TEXT",
    "datetime": "DATETIME_TEXT",
    "date": "DATE_TEXT",
    "time": "TIME_TEXT",
    "duration": "DURATION_TEXT",
    "uuid": "UUID_TEXT",
    "object": "JSON_TEXT",
    "list": "JSON_TEXT",
    "any": "JSON_TEXT",
}
_KINDS = {
    "BOOLEAN": "bool",
    "BOOL": "bool",
    "DATETIME": "datetime",
    "TIMESTAMP": "datetime",
    "DATE": "date",
    "TIME": "time",
    "UUID": "uuid",
    "JSON": "object",
    **{kept: kind for kind, kept in _TYPES.items() if kept.endswith("_TEXT")},
}
_PASSING = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_PROTOCOL"})
_TRIGGER = "SQLITE_CONSTRAINT_TRIGGER"


class Sqlite(Database):
    """A file."""

    mark: ClassVar[str] = "?"

    def _engine(self) -> Engine:
        engine = create_engine("sqlite://", creator=self._connection, hide_parameters=True, **ONE_CONNECTION)
        begin = "BEGIN IMMEDIATE" if self.write else "BEGIN"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    def _connection(self) -> sqlite3.Connection:
        mode = ("rwc" if self.create else "rw") if self.write else "ro"
        connection = sqlite3.connect(
            f"file:{quote(str(self.options.parsed_url().database))}?mode={mode}",
            uri=True,
            timeout=self.options.statement_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        if not self.write:
            connection.text_factory = _text
        for setting in ("foreign_keys = ON", "synchronous = FULL"):
            connection.execute(f"PRAGMA {setting}")
        return connection

    def is_there(self) -> bool:
        """Whether there is such a file."""
        return Path(str(self.options.parsed_url().database)).is_file()

    def may_be_made(self) -> bool:
        path = Path(str(self.options.parsed_url().database))
        if path.exists():
            return False
        if not path.parent.is_dir():
            raise DatabaseRefuses(f"{self.where}: there is no such folder")
        return True

    def escaped(self, statement: str) -> str:
        return statement

    def columns(self, connection: Connection, table: Sequence[str]) -> list[Column]:
        (name,) = table
        found = connection.exec_driver_sql(f"PRAGMA table_xinfo({quoted(name)})").all()
        return [
            Column(row.name, row.type.upper(), kind_of(row.type))
            for row in found
            if row.hidden not in {1, 2, 3}
        ]

    @contextmanager
    def reading(self) -> Iterator[tuple[Connection, "type[Reading]"]]:
        from frame_sql.sqlite_reading import SqliteReading

        if not self.is_there():
            raise DatabaseRefuses(f"{self.where}: there is no such file")
        with self.connected() as connection:
            yield connection, SqliteReading

    def primary_key(self, connection: Connection, table: Sequence[str]) -> list[str]:
        (name,) = table
        found = connection.exec_driver_sql(f"PRAGMA table_info({quoted(name)})").all()
        return [column for _, column in sorted((row.pk, row.name) for row in found if row.pk)]

    def unique_keys(self, connection: Connection, table: Sequence[str]) -> list[list[str]]:
        (name,) = table
        primary = self.primary_key(connection, table)
        keys = [primary] if primary else []
        for index in connection.exec_driver_sql(f"PRAGMA index_list({quoted(name)})").all():
            if index.unique and not index.partial:
                parts = connection.exec_driver_sql(f"PRAGMA index_info({quoted(index.name)})").all()
                keys += [[part.name for part in parts]] if all(part.name for part in parts) else []
        return keys

    def lock(self, connection: Connection, what: str) -> None:
        assert self.write, "BEGIN IMMEDIATE has locked the file"

    def check_deferred(self, connection: Connection) -> None:
        return

    def type_for(self, kind: FieldType) -> str:
        return _TYPES[kind.name]

    def is_passing(self, error: DBAPIError) -> bool:
        name = getattr(error.orig, "sqlite_errorname", "")
        return any(name.startswith(passing) for passing in _PASSING)

    def refuses_row(self, error: DBAPIError) -> str | None:
        if not isinstance(error.orig, sqlite3.IntegrityError | sqlite3.DataError):
            return None
        if error.orig.sqlite_errorname == _TRIGGER:
            return "a trigger refuses it"
        return self.said(error)

    def said(self, error: DBAPIError) -> str:
        text = " ".join(str(error.orig).split())
        if getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            text += f" for {self.options.statement_timeout_s:g} s by another program"
        return text


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return Unfit(data.decode(errors="backslashreplace"), f"is no UTF-8 at byte {error.start}")


def kind_of(declared: str) -> FieldType | None:
    """What rows have in a column of this declared type; None if that is not known.

    >>> str(kind_of("VARCHAR(20)")), str(kind_of("decimal_text")), kind_of("DECIMAL(10,2)")
    ('str?', 'decimal?', None)
    """
    written = declared.upper().partition("(")[0].strip()
    if written in _KINDS:
        return FieldType("any" if written == "JSON_TEXT" else _KINDS[written], nullable=True)
    # SQLite's own rules, in its order: sqlite.org/datatype3.html, 3.1.
    for part, kind in (
        ("INT", "int"),
        ("CHAR", "str"),
        ("CLOB", "str"),
        ("TEXT", "str"),
        ("BLOB", "bytes"),
        ("REAL", "float"),
        ("FLOA", "float"),
        ("DOUB", "float"),
    ):
        if part in written:
            return FieldType(kind, nullable=True)
    return None
