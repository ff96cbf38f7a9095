"""What differs from database to database. `sqlite` and `postgresql` each have one of these; `database` is the door."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError

Rows = Mapping[Table, Sequence[tuple[object, ...]]]


class Backend(Protocol):
    """The place of an audit store, in the words of its database."""

    @property
    def where(self) -> str:
        """The place as people may read it: no password is in it."""
        ...

    @property
    def engine(self) -> Engine:
        """Connections to the place. Each is durable, or is refused: settings are set, read back and checked."""
        ...

    @property
    def reads(self) -> Mapping[str, Any]:
        """Execution options of a connection that sees one state of the store."""
        ...

    @property
    def writes(self) -> Mapping[str, Any]:
        """Execution options of a connection whose transactions write."""
        ...

    @property
    def note(self) -> str:
        """What should be known of how the place is read, or ""."""
        ...

    def prepare(self, *, create: bool, to_read: bool = False) -> None:
        """Look at the place before it is opened; where the database is a file, `create` it if there is none.

        `to_read`: a file that may not be written is read in place, instead of being refused.
        Raises UsageError if there is none, Refused if it is something else, AuditError if it cannot be used.
        """
        ...

    def check_version(self, stands_at: int) -> bool:
        """Whether a store at this schema version (0: none at all) may be brought up to date by opening it.

        Raises Refused or UsageError where there is no store.
        """
        ...

    def explain(self, error: DBAPIError) -> str:
        """What the database said, and what would help."""
        ...

    def is_denied(self, error: DBAPIError) -> bool:
        """Whether whoever asks lacks the right to do that."""
        ...

    def is_passing(self, error: DBAPIError) -> bool:
        """Whether waiting and asking again may help: the connection was lost, the server is starting."""
        ...

    def now_us(self, connection: Connection, own_us: int) -> int:
        """The time that all who write to the store share; `own_us` is that of this process."""
        ...

    def insert(self, connection: Connection, rows: Rows) -> None:
        """Insert `rows`, in the order of the tables."""
        ...

    def damages(self, connection: Connection) -> Iterator[str]:
        """What the database's own check of its files finds wrong."""
        ...
