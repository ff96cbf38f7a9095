"""What a session of psycopg is taught before it is used."""

from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader


class Cursor(psycopg.ServerCursor[Any]):
    """A cursor that may be left before its end: the server drops it with the transaction, so nobody need be warned."""

    def __del__(self, *_: object) -> None:
        """Say nothing."""


class Whole(Loader):
    """Sums of whole numbers, which PostgreSQL makes `numeric`, as whole numbers; the record has no others."""

    def load(self, data: Buffer) -> int:
        """The number."""
        return int(bytes(data))


def teach(connection: "psycopg.Connection[Any]") -> None:
    """Make `connection` read as SQLite does."""
    connection.server_cursor_factory = Cursor
    connection.adapters.register_loader("numeric", Whole)
