"""Leaving nothing of deleted bytes in an SQLite file.

A deleted row leaves its bytes in the pages that it stood in, in pages that are free now, and in the write-ahead log.
`overwriting` makes SQLite write zeros over what it deletes from then on; `sweep` writes the file anew without free
pages and what inserts of earlier days have left in the gaps of others, and empties the log.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection

from frame.audit.database import Database
from frame.errors import AuditError


def is_file(database: Database) -> bool:
    """Whether the store is a file of SQLite."""
    return database.engine.dialect.name == "sqlite"


def overwriting(connection: Connection) -> None:
    """Let this connection write zeros over what it deletes."""
    connection.exec_driver_sql("PRAGMA secure_delete=ON")


@contextmanager
def _driver(database: Database) -> Iterator[Any]:
    with closing(database.engine.raw_connection()) as borrowed:
        try:
            yield borrowed.driver_connection
        except sqlite3.Error as error:
            raise AuditError(database.where, str(error)) from error


def has_remains(database: Database) -> bool:
    """Whether the file has pages that are in no use, which may hold anything."""
    with _driver(database) as connection:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0]) > 0


def rewrite(database: Database) -> None:
    """Write the file anew; takes as much room again as it has, and keeps writers waiting. Raises AuditError."""
    with _driver(database) as connection:
        connection.execute("VACUUM")


def empty_log(database: Database) -> bool:
    """Cut the write-ahead log to nothing; False if somebody reads or writes the store meanwhile."""
    with _driver(database) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
