"""Rows of a table or of a SELECT."""

import hashlib
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

from frame.errors import SourceError
from frame.plugin import Context, Determinism, InvalidRow, PluginConfig, Source
from pydantic import Field, field_validator, model_validator

from frame_sql.database import Database, DatabaseRefuses, Unavailable, database
from frame_sql.declared import DATABASE
from frame_sql.names import Name
from frame_sql.options import DatabaseOptions, either, wrong
from frame_sql.places import NoKey, place_of
from frame_sql.reading import Reading, reading_of
from frame_sql.values import row_of
from frame_sql.zones import zone_called


def _one_statement(select: str) -> str:
    """`select` without the semicolon at its end. Raises ValueError if there is another one anywhere."""
    statement = select.strip().removesuffix(";").rstrip()
    if not statement or "\0" in statement:
        raise ValueError("is no SELECT")
    if ";" in statement:
        raise ValueError(
            "has a semicolon before its end: one statement is read (in a text, write char(59), or chr(59))"
        )
    return statement


class SqlSource(Source):
    """Rows of a table, or of a SELECT, in SQLite or PostgreSQL.

    Rows come in the order of `key`, columns that no two rows share: for a table that is its primary key unless
    another one is named. A resumed run goes on behind the last key that it has on record. Without a key the rows
    come as the database gives them; a resumed run then reads those before its place again, and is refused if they
    are not what they were.

    Nothing is written: the connection is read-only. From PostgreSQL, rows come through a cursor, all of one
    snapshot; from SQLite by pages of `batch_rows`, each as the file is then, so that others may write meanwhile, or
    without a key from a temporary copy.
    """

    name = "sql"
    determinism = Determinism.IO_READ
    capabilities = DATABASE

    class Config(DatabaseOptions):
        """What is read, and in which order."""

        table: Name | None = Field(default=None, description="The table or view to read.")
        namespace: Name | None = Field(default=None, description="The table's schema in PostgreSQL.")
        select: str | None = Field(
            default=None, max_length=100_000, description="The SELECT to read, instead of a table."
        )
        key: Annotated[tuple[Name, ...], Field(min_length=1)] | None = Field(
            default=None, description="Columns that together tell every row, none of them null."
        )
        naive_zone: str | None = Field(
            default=None,
            description="The zone that times without one are meant in, such as `UTC`; default: they are refused.",
        )
        batch_rows: int = Field(
            default=1_000, ge=1, le=1_000_000, description="Rows that are fetched at a time."
        )

        @field_validator("select")
        @classmethod
        def _is_one_statement(cls, select: str | None) -> str | None:
            return None if select is None else _one_statement(select)

        @field_validator("naive_zone")
        @classmethod
        def _is_a_zone(cls, name: str | None) -> str | None:
            if name is not None:
                zone_called(name)
            return name

        @model_validator(mode="after")
        def _reads_one_thing(self) -> "SqlSource.Config":
            either(self.table, self.select, "`table` or `select`")
            if self.namespace and (self.select or self.parsed_url().get_backend_name() == "sqlite"):
                raise ValueError("namespace belongs to a table in PostgreSQL")
            if self.key and len(set(self.key)) < len(self.key):
                raise ValueError("key names a column twice")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._node = self.name
        self._database: Database | None = None
        self._place: Any = None
        self._rows = 0
        self._keyed = True
        self._evidence: dict[str, Any] = {}
        self._snapshots: list[str] = []
        self._busy = threading.Lock()
        self._closed = False
        self._rows_read: Generator[Any, None, None] | None = None

    def may_wait(self) -> bool:
        return self.config.parsed_url().get_backend_name() != "sqlite"

    def check(self) -> None:
        """The database answers, what is to be read is there, and can be read."""
        try:
            with self._opened() as reading:
                reading.check()
        except (DatabaseRefuses, Unavailable, ValueError) as error:
            option = "url" if isinstance(error, Unavailable) else "table" if self.config.table else "select"
            raise wrong(self._node, str(error), option=option) from error
        finally:
            self._let_go()

    def start(self, context: Context) -> None:
        self._node = context.node

    def _opened(self) -> Any:
        found = self._database = self._database or database(self.config)
        zone = None if self.config.naive_zone is None else zone_called(self.config.naive_zone)
        config = self.config
        table = None if config.table is None else [*filter(None, (config.namespace, config.table))]
        return reading_of(found, table, config.select, config.key, zone)

    def read(self) -> Iterator[Mapping[str, Any] | InvalidRow]:
        self._rows_read = self._read()
        return self._rows_read

    def _read(self) -> Generator[Mapping[str, Any] | InvalidRow, None, None]:
        try:
            with self._opened() as reading:
                reading.check()
                self._keyed = bool(reading.key)
                self._note(reading)
                yield from self._rows_of(reading)
        except (DatabaseRefuses, NoKey, ValueError) as error:
            raise SourceError(self._node, f"after row {self._rows}: {error}") from error

    def _rows_of(self, reading: Reading) -> Iterator[Mapping[str, Any] | InvalidRow]:
        what = self.config.table or "select"
        place = self._place
        for batch in self._batches(reading):
            for values in batch:
                if reading.key:
                    place = place_of([values[at] for at in reading.key_at], reading.key)
                    if place == self._place:
                        raise NoKey(
                            f"two rows have the key {', '.join(reading.key)}: name one that tells them apart"
                        )
                    self._place = place
                self._rows += 1
                yield row_of(reading.names, reading.converted(values), f"{what}:row {self._rows}")

    def _batches(self, reading: Reading) -> Iterator[Sequence[Sequence[Any]]]:
        batches = reading.batches(lambda: self._place, self.config.batch_rows)
        while not self._closed:
            with self._busy:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _note(self, reading: Reading) -> None:
        statement = reading.relation.encode()
        if (snapshot := reading.snapshot) is not None:
            self._snapshots.append(snapshot)
        self._evidence = {
            "uri": f"{self.config.place()}{f'#{self.config.table}' if self.config.table else ''}",
            "statement_sha256": hashlib.sha256(statement).hexdigest(),
            "key": list(reading.key),
            "columns": list(reading.names),
            "server": reading.server,
        }

    def position(self) -> Any:
        """The key of the row that was given last, and how many there were; None without a key."""
        return {"key": self._place, "rows": self._rows} if self._keyed and self._place is not None else None

    def seek(self, position: Any) -> None:
        """Go on behind the row with the key of `position`."""
        if position is not None:
            self._place, self._rows = position["key"], position["rows"]

    def evidence(self) -> Mapping[str, Any]:
        """The database without who connects, the hash of what was asked, the snapshots and the number of rows."""
        return {**self._evidence, "snapshots": self._snapshots, "rows": self._rows}

    def close(self) -> None:
        self._closed = True
        # A fetch that is under way in another thread must not lose its connection under it.
        if self._busy.acquire(timeout=5):
            with suppress(ValueError):  # it is being asked for a row, and ends when it sees that it is closed
                if self._rows_read is not None:
                    self._rows_read.close()
            self._let_go()
            self._busy.release()

    def _let_go(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
