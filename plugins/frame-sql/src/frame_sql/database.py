"""A database as the plugins use it: connections that are told what they may do, and errors in plain words.

What differs between the two that there are stands in `sqlite` and `postgresql`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from frame.plugin import FieldType
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from frame_sql.names import quoted
from frame_sql.options import DatabaseOptions

if TYPE_CHECKING:
    from frame_sql.reading import Reading

ONE_CONNECTION: dict[str, Any] = {
    "poolclass": QueuePool,
    "pool_size": 1,
    "max_overflow": 0,
    "pool_timeout": 30,
}
"""A plugin has one connection, which is kept between its calls, and made anew once it was lost."""


class Unavailable(ConnectionError):
    """The database is away or busy: the same may go well later."""


class DatabaseRefuses(Exception):
    """The database does not do what it was asked, now or later."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `declared`: its type as the database writes it; `size`: what that limits it to.

    `kind`: what rows have there; None: whatever the database makes of a text.
    """

    name: str
    declared: str
    kind: FieldType | None
    size: int | None = None
    scale: int | None = None


class Database(ABC):
    """One database. `write`: connections may write. `close()` it."""

    mark: ClassVar[str]
    """What stands for a value in a statement."""

    def __init__(self, options: DatabaseOptions, *, write: bool, create: bool = False) -> None:
        self.options, self.write, self.create = options, write, create
        self.where = options.place()

    @cached_property
    def engine(self) -> Engine:
        """Makes connections; nothing is opened before the first."""
        return self._engine()

    @abstractmethod
    def _engine(self) -> Engine: ...

    @abstractmethod
    def escaped(self, statement: str) -> str:
        """`statement` as it has to be written where values are bound to it."""

    @abstractmethod
    def columns(self, connection: Connection, table: Sequence[str]) -> list[Column]:
        """The columns that rows can be written to; none if there is no such table."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[tuple[Connection, "type[Reading]"]]:
        """A connection that can only read, and what reads through it."""

    @abstractmethod
    def primary_key(self, connection: Connection, table: Sequence[str]) -> list[str]:
        """The columns of the primary key; none if there is no such."""

    @abstractmethod
    def unique_keys(self, connection: Connection, table: Sequence[str]) -> list[list[str]]:
        """The columns of each key that no two rows share."""

    def may_be_made(self) -> bool:
        """Whether there is nothing yet, and a place where a new database can be. Raises DatabaseRefuses."""
        return False

    @abstractmethod
    def lock(self, connection: Connection, what: str) -> None:
        """Wait until nobody else makes `what`, until the end of the transaction."""

    @abstractmethod
    def check_deferred(self, connection: Connection) -> None:
        """Check now what would otherwise be checked at the commit, where that can be asked for."""

    @abstractmethod
    def type_for(self, kind: FieldType) -> str:
        """The type of a column that keeps values of `kind` exactly. Raises ValueError."""

    @abstractmethod
    def is_passing(self, error: DBAPIError) -> bool:
        """Whether the same may go well later."""

    @abstractmethod
    def refuses_row(self, error: DBAPIError) -> str | None:
        """Why a row cannot be taken, without any of its values; None if it is not the row."""

    @abstractmethod
    def said(self, error: DBAPIError) -> str:
        """What the database says, in a line."""

    @contextmanager
    def connected(self, **options: Any) -> Iterator[Connection]:
        """A connection in a transaction, which is undone unless it is committed. Raises as `explained` does."""
        with self.explained(), self.engine.connect() as connection:
            yield connection.execution_options(**options) if options else connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raises Unavailable or DatabaseRefuses for what the driver raises."""
        try:
            yield
        except DBAPIError as error:
            raise self.trouble(error) from error

    def trouble(self, error: DBAPIError) -> Exception:
        """What to raise for `error`."""
        text = f"{self.where}: {self.said(error)}"
        lost = error.connection_invalidated or self.is_passing(error)
        return Unavailable(text) if lost else DatabaseRefuses(text)

    def marks(self, count: int) -> str:
        """`count` values in a statement, between commas."""
        return ", ".join([self.mark] * count)

    def name(self, name: str) -> str:
        """The name of a table or column in a statement that has values bound to it."""
        return self.escaped(quoted(name))

    def path(self, table: Sequence[str]) -> str:
        """The same for a table, with its namespace if it is given."""
        return ".".join(map(self.name, table))

    def close(self) -> None:
        """Let go of every connection."""
        if "engine" in vars(self):
            self.engine.dispose()


def database(options: DatabaseOptions, *, write: bool = False, create: bool = False) -> Database:
    """The database that `options` name; nothing is opened. `create`: make its file if there is none."""
    if options.parsed_url().get_backend_name() == "sqlite":
        from frame_sql.sqlite import Sqlite

        return Sqlite(options, write=write, create=create)
    from frame_sql.postgresql import Postgresql

    return Postgresql(options, write=write, create=create)
