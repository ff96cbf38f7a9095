"""Fields added to rows from a table, by a key."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

from frame.errors import MissingField, RetryableError
from frame.plugin import (
    Context,
    Determinism,
    Drop,
    Fail,
    FieldType,
    InvalidRow,
    PluginConfig,
    Schema,
    Transform,
    TransformResult,
)
from frame.rows import Row
from pydantic import Field, field_validator, model_validator

from frame_sql.database import Database, DatabaseRefuses, Unavailable, database
from frame_sql.declared import DATABASE
from frame_sql.json_text import Unstorable
from frame_sql.names import Name, quoted
from frame_sql.options import DatabaseOptions, wrong
from frame_sql.reading import Reading, reading_of
from frame_sql.storing import Store, storer
from frame_sql.values import Zone, row_of
from frame_sql.zones import zone_called

ASKED_AT_ONCE = 500
"""Keys in one statement; older versions of SQLite take no more than 999 values."""
_ANY = FieldType("any", nullable=True)
Key = tuple[type, Any]


class SqlLookup(Transform):
    """Add fields from a table of SQLite or PostgreSQL by a key.

    Rows are looked up many at a time, through a connection that can only read. What was asked and answered is on
    record, so that a replay asks nobody. Keys match by type as well as value: an int is not found by its text. A
    name that the row already has fails the row (choose a `prefix`), and so does a key that two rows of the table
    have.
    """

    name = "sql_lookup"
    determinism = Determinism.EXTERNAL_CALL
    capabilities = DATABASE

    class Config(DatabaseOptions):
        """Where is looked, by what, and what for."""

        table: Name = Field(description="The table or view to look in.")
        namespace: Name | None = Field(default=None, description="The table's schema in PostgreSQL.")
        key: str = Field(min_length=1, description="The row's field to look up.")
        table_key: Name | None = Field(
            default=None, description="The table's column to find it in; default: the same name."
        )
        take: tuple[Name, ...] = Field(min_length=1, description="The table's columns to add to the row.")
        prefix: str = Field(default="", description="Put before the names of the added fields.")
        naive_zone: str | None = Field(
            default=None,
            description="The zone that times without one are meant in; default: they are refused.",
        )
        on_missing: Literal["fail", "null", "drop"] = Field(
            default="fail",
            description="A row whose key is not in the table fails, gets nulls, or is dropped.",
        )

        @field_validator("naive_zone")
        @classmethod
        def _is_a_zone(cls, name: str | None) -> str | None:
            if name is not None:
                zone_called(name)
            return name

        @model_validator(mode="after")
        def _go_together(self) -> "SqlLookup.Config":
            if len(set(self.take)) < len(self.take):
                raise ValueError("take names a column twice")
            if self.namespace and self.parsed_url().get_backend_name() == "sqlite":
                raise ValueError("namespace belongs to a table in PostgreSQL")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._column = self.config.table_key or self.config.key
        self._added = [self.config.prefix + column for column in self.config.take]
        self._table = [*filter(None, (self.config.namespace, self.config.table))]
        self._zone: Zone | None = zone_called(self.config.naive_zone) if self.config.naive_zone else None
        self._database: Database | None = None

    def requires(self) -> Schema:
        return Schema({self.config.key: _ANY})

    def provides(self, incoming: Schema) -> Schema:
        for name in self._added:
            if name in incoming.fields:
                raise ValueError(f"take: the rows have a field {name!r} already; give a prefix")
        return incoming.with_fields(dict.fromkeys(self._added, _ANY))

    def check(self) -> None:
        """The database answers, and the table has the columns."""
        looking = database(self.config)
        try:
            with self._reading(looking) as reading:
                reading.look()
        except (DatabaseRefuses, Unavailable) as error:
            raise wrong(self.name, str(error), option="table") from error
        finally:
            looking.close()

    def _reading(self, looking: Database) -> AbstractContextManager[Reading]:
        # SQLite takes a name that it does not know for a text, unless a table stands before it.
        columns = ", ".join(
            [f"t.{quoted(self._column)} AS {_KEY}", *(f"t.{quoted(name)}" for name in self.config.take)]
        )
        table = ".".join(map(quoted, self._table))
        return reading_of(looking, None, f"SELECT {columns} FROM {table} AS t", None, self._zone)

    def process_many(self, rows: Sequence[Row], context: Context) -> Sequence[TransformResult]:
        keys = {key: None for row in rows if (key := _key_of(row.get(self.config.key))) is not None}
        found: Mapping[Key, Sequence[Any]] = {}
        if keys:
            request = {"table": self._table, "key": self._column, "take": list(self.config.take)}
            answer = context.call("sql", {**request, "keys": [value for _, value in keys]}, self._ask)
            found = _by_key(answer)
        return [self._result(row, context, found) for row in rows]

    def _result(self, row: Row, context: Context, found: Mapping[Key, Sequence[Any]]) -> TransformResult:
        field = self.config.key
        if field not in row:
            return Fail(str(MissingField(field, context.node)))
        key = _key_of(row[field])
        values = None if key is None else found.get(key)
        if values == ():
            return Fail(f"two rows of {self.config.table!r} have this {field!r}")
        if values is None and self.config.on_missing != "null":
            reason = f"its {field!r} is not in {self.config.table!r}"
            return Drop(reason) if self.config.on_missing == "drop" else Fail(reason)
        taken = [name for name in self._added if name in row]
        if taken:
            return Fail(f"a field {taken[0]!r} is already there; give `prefix`, or drop it first")
        return {**row, **dict(zip(self._added, values or [None] * len(self._added), strict=True))}

    def _ask(self, request: Mapping[str, Any]) -> list[list[Any]]:
        """Key and columns of the rows that have one of the keys. Raises RetryableError where that may go well later."""
        looking = self._database = self._database or database(self.config)
        try:
            with self._reading(looking) as reading:
                reading.look()
                store = self._store(looking, reading)
                return [
                    row
                    for start in range(0, len(request["keys"]), ASKED_AT_ONCE)
                    for row in self._part(reading, store, request["keys"][start : start + ASKED_AT_ONCE])
                ]
        except Unavailable as error:
            raise RetryableError(str(error)) from error

    def _store(self, looking: Database, reading: Reading) -> Store:
        (column,) = [column for column in reading.columns(self._table) if column.name == self._column]
        return storer(column, self._zone, sqlite=looking.mark == "?")

    def _part(self, reading: Reading, store: Store, keys: Sequence[Any]) -> Iterator[list[Any]]:
        bound = [stored for key in keys if (stored := _stored(store, key)) is not None]
        for raw in reading.among(_KEY, bound) if bound else ():
            values = reading.converted(raw)
            row = row_of(reading.names, values, self.config.table)
            if isinstance(row, InvalidRow):
                raise DatabaseRefuses(f"table {self.config.table!r}: {row.reason}")
            yield list(values)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


_KEY = "frame_sql_key"


def _key_of(value: Any) -> Key | None:
    """What a value is found by; None if it is no key."""
    return None if value is None or isinstance(value, list | dict) else (type(value), value)


def _stored(store: Store, key: Any) -> Any:
    """`key` as the column has it; None if the column can have no such."""
    try:
        return store(key)
    except Unstorable:
        return None


def _by_key(answer: Sequence[Sequence[Any]]) -> Mapping[Key, Sequence[Any]]:
    """Key -> the columns beside it; none at all for a key that stands there twice."""
    found: dict[Key, Sequence[Any]] = {}
    for value, *columns in answer:
        key = type(value), value
        found[key] = () if key in found else columns
    return found
