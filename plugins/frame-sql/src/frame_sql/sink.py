"""Rows into a table, each write with its key in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from frame.errors import Refused, SinkError
from frame.plugin import (
    Artifact,
    Context,
    Delivery,
    Determinism,
    FieldType,
    PluginConfig,
    Rejected,
    Schema,
    Sink,
    parse_field_type,
)
from frame.rows import Row
from pydantic import Field, field_validator, model_validator
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from frame_sql.commits import TABLE, Commits, Written
from frame_sql.database import Column, Database, DatabaseRefuses, Unavailable, database
from frame_sql.declared import DATABASE
from frame_sql.names import Name, check_apart, checked_name
from frame_sql.options import DatabaseOptions, wrong
from frame_sql.target import Mode, Target, definition
from frame_sql.zones import zone_called


class SqlSink(Sink):
    """Rows into a table of SQLite or PostgreSQL, each exactly once.

    A write and its key, in the table `frame_commits` beside, are one transaction: a write that comes again after a
    crash is known and not made again. A row that the table does not take is rejected with the database's reason,
    and the others are written. A value is kept exactly or its row is rejected; nothing is rounded, cut or cast.

    `insert` adds rows. `upsert` changes the row that has the same `key`, in the columns that the new one has, and adds
    it if there is none. `replace` takes every row out of the table with the first write, or at the end of a run
    that wrote none. A column that a row does not have gets its default.
    """

    name = "sql"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.TRANSACTIONAL
    capabilities = DATABASE

    class Config(DatabaseOptions):
        """Where rows are written, and how."""

        table: Name = Field(description="The table.")
        namespace: Name | None = Field(default=None, description="The table's schema in PostgreSQL.")
        mode: Mode = Field(default="insert", description="`insert`, `upsert` or `replace`.")
        key: tuple[Name, ...] = Field(
            default=(),
            description="The columns that tell a row, for `upsert`; the primary key of a table that is made.",
        )
        create: bool = Field(default=False, description="Make the table from `fields` if there is none.")
        fields: dict[str, str] = Field(
            default={},
            description='Fields of the rows and their types, as in a schema: `{id: int, note: "str?"}`.',
        )
        naive_zone: str | None = Field(
            default=None,
            description="The zone in which columns of times without one are to be written, as in `UTC`.",
        )

        @field_validator("fields")
        @classmethod
        def _are_columns(cls, fields: dict[str, str]) -> dict[str, str]:
            for name, kind in fields.items():
                checked_name(name)
                parse_field_type(kind)
            check_apart(fields)
            return fields

        @field_validator("naive_zone")
        @classmethod
        def _is_a_zone(cls, name: str | None) -> str | None:
            if name is not None:
                zone_called(name)
            return name

        @model_validator(mode="after")
        def _go_together(self) -> "SqlSink.Config":
            if self.table.casefold() == TABLE:
                raise ValueError(f"{TABLE} is where this plugin keeps which writes were made")
            if self.namespace and self.parsed_url().get_backend_name() == "sqlite":
                raise ValueError("namespace belongs to a table in PostgreSQL")
            if self.mode == "upsert" and not self.key:
                raise ValueError("upsert goes by a key: name its columns")
            if self.create and not self.fields:
                raise ValueError("create needs `fields`, which say what the table is made of")
            if self.fields and (strange := [name for name in self.key if name not in self.fields]):
                raise ValueError(f"key names {strange[0]!r}, which is not in `fields`")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._node = self.name
        self._table = [*filter(None, (self.config.namespace, self.config.table))]
        self._database: Database | None = None
        self._target: Target | None = None
        self._key: str | None = None
        self._writes = 0
        self._rows = 0

    def requires(self) -> Schema:
        return Schema(self._fields)

    @property
    def _fields(self) -> dict[str, FieldType]:
        return {name: parse_field_type(kind) for name, kind in self.config.fields.items()}

    def check(self) -> None:
        """The database answers, and the table is there and has what is needed, or can be made."""
        looking = database(self.config)
        try:
            if looking.may_be_made() and self.config.create:
                return
            with looking.reading() as (connection, _), looking.explained():
                self._check_columns(looking, connection, looking.columns(connection, self._table))
        except (DatabaseRefuses, Unavailable) as error:
            raise wrong(self._node, str(error)) from error
        except ValueError as error:
            raise wrong(self._node, str(error), option="table") from error
        finally:
            looking.close()

    def _check_columns(self, looking: Database, connection: Connection, columns: Sequence[Column]) -> None:
        """Raises ValueError if rows cannot be written to a table with these columns."""
        config, names = self.config, {column.name for column in columns}
        if not columns and config.create:
            return
        if not columns:
            raise ValueError(
                f"{looking.where} has no table {config.table!r}; make it, or say `create: true` and its `fields`"
            )
        if missing := [name for name in (*config.fields, *config.key) if name not in names]:
            raise ValueError(f"table {config.table!r} has no column {', '.join(map(repr, missing))}")
        unique = [set(key) for key in looking.unique_keys(connection, self._table)]
        if config.mode == "upsert" and set(config.key) not in unique:
            raise ValueError(f"no key or unique index of table {config.table!r} is {', '.join(config.key)}")

    def start(self, context: Context) -> None:
        self._node = context.node

    @contextmanager
    def _connected(self) -> Iterator[tuple[Database, Connection]]:
        """A connection. Raises SinkError for what will not go better the next time, Unavailable for the rest."""
        found = self._database = self._database or database(
            self.config, write=True, create=self.config.create
        )
        try:
            with found.connected() as connection:
                yield found, connection
        except DatabaseRefuses as error:
            raise SinkError(self._node, str(error)) from error

    def open(self, position: Any) -> None:
        """Get ready: make what is missing for a new run, or find the write that the run stands at. Raises Refused."""
        with self._connected() as (found, connection):
            commits = Commits(found, self._table)
            if position is None:
                self._key, self._writes, self._rows = None, 0, 0
                commits.make(connection)
                self._make_table(found, connection)
            else:
                self._key, self._writes, self._rows = position["key"], position["writes"], position["rows"]
                self._check_commit(found, connection, commits)
            columns = found.columns(connection, self._table)
            try:
                self._check_columns(found, connection, columns)
            except ValueError as error:
                raise SinkError(self._node, str(error)) from error
            zone = zone_called(self.config.naive_zone) if self.config.naive_zone else None
            self._target = Target(found, self._table, columns, self.config.mode, self.config.key, zone)
            connection.commit()

    def _make_table(self, found: Database, connection: Connection) -> None:
        if self.config.create and not found.columns(connection, self._table):
            connection.exec_driver_sql(definition(found, self._table, self._fields, self.config.key), ())

    def _check_commit(self, found: Database, connection: Connection, commits: Commits) -> None:
        if not found.columns(connection, self._table):
            raise SinkError(
                self._node,
                f"{found.where} has no table {self.config.table!r} any more, to which this run wrote "
                f"{self._rows} rows: restore it, or run anew",
            )
        there = commits.is_there(connection)
        if self._key is not None and not (there and commits.find(connection, self._key)):
            raise Refused(
                f"{found.where} does not have the last write that this run has on record: it is another database, or "
                f"an earlier state of it, or {TABLE} was emptied. Restore it, or run anew"
            )

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        if not rows:
            return []
        with self._connected() as (found, connection):
            written = self._written(found, connection, rows, key)
        self._key, self._writes, self._rows = key, self._writes + 1, self._rows + written.rows
        return written.rejected

    def _written(self, found: Database, connection: Connection, rows: Sequence[Row], key: str) -> Written:
        commits, target = Commits(found, self._table), self._target
        assert target is not None, "open() comes first"
        if (known := commits.find(connection, key)) is not None:
            return known
        if self.config.mode == "replace" and self._writes == 0:
            target.empty(connection)
        rejected = target.write(connection, rows)
        written = Written(len(rows) - len(rejected), rejected)
        try:
            commits.add(connection, key, written)
        except IntegrityError:
            # Another process, which took this one for dead, has made this write meanwhile.
            connection.rollback()
            if (known := commits.find(connection, key)) is None:
                raise
            return known
        connection.commit()
        return written

    def position(self) -> Any:
        """The key of the last write, how many there were, and their rows; all of it is committed."""
        return {"key": self._key, "writes": self._writes, "rows": self._rows}

    def finish(self, context: Context) -> Artifact:
        with self._connected() as (_, connection):
            if self.config.mode == "replace" and self._writes == 0 and self._target is not None:
                self._target.empty(connection)
                connection.commit()
        return Artifact(f"{self.config.place()}#{'.'.join(self._table)}", rows=self._rows)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
