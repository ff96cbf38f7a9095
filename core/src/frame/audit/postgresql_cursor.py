"""The server-side cursors that readers of a store in PostgreSQL get."""

from typing import Any

import psycopg


class Cursor(psycopg.ServerCursor[Any]):
    """A cursor that may be left before its end: the server drops it with the transaction, so nobody need be warned."""

    def __del__(self, *_: object) -> None:
        """Say nothing."""
