"""PostgreSQL 14 or later, through psycopg 3 (`pip install 'frame-sql[postgresql]'`)."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from frame.plugin import FieldType, parse_field_type
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from frame_sql.database import ONE_CONNECTION, Column, Database, DatabaseRefuses
from frame_sql.names import quoted

if TYPE_CHECKING:
    from frame_sql.reading import Reading

_TYPES = {
    "str": "text",
    "int": "bigint",
    "float": "double precision",
    "bool": "boolean",
    "decimal": "numeric",
    "datetime": "timestamp with time zone",
    "date": "date",
    "time": "time",
    "duration": "interval",
    "uuid": "uuid",
    "bytes": "bytea",
    "object": "json",
    "list": "json",
    "any": "json",
}
_KINDS = {
    "text": "str",
    "varchar": "str",
    "bpchar": "str",
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "float4": "float",
    "float8": "float",
    "bool": "bool",
    "numeric": "decimal",
    "timestamptz": "datetime",
    "timestamp": "datetime",
    "date": "date",
    "time": "time",
    "interval": "duration",
    "uuid": "uuid",
    "bytea": "bytes",
    "json": "any",
    "jsonb": "any",
}
_SESSION = {
    "application_name": "frame",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "synchronous_commit": "on",
    # Rows that nothing puts in order come in the same one each time, as long as nobody changes the table.
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
}
_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_PASSING = ("08", "53", "57P", "25P03", "40001", "40P01", "55P03", "58")
"""SQLSTATEs: connection, resources, shutdown, idle too long, conflicts with others, locks, trouble of its system."""
_OF_A_ROW = ("22", "23", "44", "54", "P0")
"""SQLSTATEs: data, constraints, views' checks, limits of a row, what triggers raise."""
_COLUMNS = """
SELECT a.attname, t.typname, t.typtype, b.typname, CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END,
       e.typname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type b ON b.oid = t.typbasetype
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""
_KEYS = """
SELECT array_agg(a.attname::text ORDER BY k.place), i.indisprimary
FROM pg_index i CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(attnum, place)
LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indpred IS NULL AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid, i.indisprimary HAVING bool_and(a.attname IS NOT NULL)
ORDER BY i.indisprimary DESC, i.indexrelid
"""


class Postgresql(Database):
    """A database of a server."""

    mark: ClassVar[str] = "%s"

    def _engine(self) -> Engine:
        url = self.options.parsed_url().set(drivername="postgresql+psycopg")
        given = url.query.get("options", "")
        settings = {**_SESSION, "statement_timeout": str(round(self.options.statement_timeout_s * 1000))}
        options = " ".join(
            [
                given if isinstance(given, str) else " ".join(given),
                *(f"-c {name}={value}" for name, value in settings.items()),
            ]
        )
        connecting = {
            **_KEEPALIVE,
            "connect_timeout": max(2, round(self.options.connect_timeout_s)),
            "client_encoding": "utf8",
        }
        try:
            engine = create_engine(
                url,
                **ONE_CONNECTION,
                hide_parameters=True,
                use_native_hstore=False,
                connect_args={**connecting, "options": options.strip()},
            )
        except ModuleNotFoundError as error:
            raise DatabaseRefuses(
                "PostgreSQL is reached through psycopg, which is not installed: pip install 'frame-sql[postgresql]'"
            ) from error
        event.listen(engine, "connect", _teach)
        return engine

    def escaped(self, statement: str) -> str:
        return statement.replace("%", "%%")

    def columns(self, connection: Connection, table: Sequence[str]) -> list[Column]:
        found = connection.exec_driver_sql(_COLUMNS, (_regclass(table),)).all()
        return [_column(row) for row in found]

    @contextmanager
    def reading(self) -> Iterator[tuple[Connection, "type[Reading]"]]:
        from frame_sql.postgresql_reading import PostgresqlReading

        with self.connected(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
            yield connection, PostgresqlReading

    def primary_key(self, connection: Connection, table: Sequence[str]) -> list[str]:
        return next((names for names, primary in self._keys(connection, table) if primary), [])

    def unique_keys(self, connection: Connection, table: Sequence[str]) -> list[list[str]]:
        return [names for names, _ in self._keys(connection, table)]

    def _keys(self, connection: Connection, table: Sequence[str]) -> list[tuple[list[str], bool]]:
        found = connection.exec_driver_sql(_KEYS, (_regclass(table),))
        return [(list(names), primary) for names, primary in found]

    def lock(self, connection: Connection, what: str) -> None:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (what,))

    def check_deferred(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")

    def type_for(self, kind: FieldType) -> str:
        if (
            kind.name == "list"
            and kind.items is not None
            and kind.items.name not in {"list", "any", "object"}
        ):
            return f"{_TYPES[kind.items.name]}[]"
        return _TYPES[kind.name]

    def is_passing(self, error: DBAPIError) -> bool:
        from psycopg import OperationalError

        state = _state(error)
        # What libpq says of a connection that could not be made has no state.
        return state.startswith(_PASSING) or (isinstance(error.orig, OperationalError) and not state)

    def refuses_row(self, error: DBAPIError) -> str | None:
        from psycopg import DataError

        state = _state(error)
        if not state.startswith(_OF_A_ROW) and not isinstance(error.orig, DataError):
            return None
        if state.startswith("P0"):
            return f"a trigger refuses it (SQLSTATE {state})"
        # Some messages end in the value that is wrong, between quotes.
        return re.sub(r':? "[^"]*"$', "", self.said(error)) if state.startswith("22") else self.said(error)

    def said(self, error: DBAPIError) -> str:
        found = getattr(getattr(error.orig, "diag", None), "message_primary", None)
        return " ".join(str(found or error.orig).split())


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _regclass(table: Sequence[str]) -> str:
    return ".".join(map(quoted, table))


def _column(row: Sequence[Any]) -> Column:
    name, type_, sort, base, modifier, items, declared = row
    type_ = base if sort == "d" and base is not None else type_
    if items is not None:
        inside = parse_field_type(f"list[{_KINDS[items]}?]?") if items in _KINDS else None
        return Column(name, declared, inside)
    kind = FieldType(_KINDS[type_], nullable=True) if type_ in _KINDS else None
    size, scale = _limits(type_, modifier)
    return Column(name, type_, kind, size, scale)


def _limits(type_: str, modifier: int) -> tuple[int | None, int | None]:
    """How many characters or digits there may be, and how many digits after the point."""
    if modifier < 0:
        return None, None
    if type_ in {"varchar", "bpchar"}:
        return modifier - 4, None
    if type_ == "numeric":
        scale = (modifier - 4) & 0x7FF
        return (modifier - 4) >> 16 & 0xFFFF, scale - 0x800 if scale >= 0x400 else scale
    if type_ in {"timestamp", "timestamptz", "time"}:
        return None, modifier
    if type_ == "interval":
        return None, None if modifier & 0xFFFF == 0xFFFF else modifier & 0xFFFF
    return None, None


def _teach(connection: Any, record: object) -> None:
    from frame_sql.postgresql_values import teach

    teach(connection)
