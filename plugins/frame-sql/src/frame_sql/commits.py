"""The table that tells which writes a database has: each adds its key to it in its own transaction.

A write that comes once more, after a crash or an answer that was lost, is known by its key and not made again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from frame.plugin import Rejected
from sqlalchemy import Connection

from frame_sql.database import Database

TABLE = "frame_commits"
_COLUMNS = (
    "target {text} NOT NULL, write_key {text} NOT NULL, written {integer} NOT NULL, rejected {text} NOT NULL, "
    "committed_at {text} NOT NULL, PRIMARY KEY (target, write_key)"
)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write came to: how many rows it wrote, and those that it did not."""

    rows: int
    rejected: Sequence[Rejected]


class Commits:
    """The table beside `table`, in its namespace."""

    def __init__(self, database: Database, table: Sequence[str]) -> None:
        self._database, self._target = database, ".".join(table)
        self.table = [*table[:-1], TABLE]
        self._path = database.path(self.table)

    def is_there(self, connection: Connection) -> bool:
        return bool(self._database.columns(connection, self.table))

    def make(self, connection: Connection) -> None:
        """Make the table if there is none."""
        if not self.is_there(connection):
            self._database.lock(connection, TABLE)
            if not self.is_there(connection):
                columns = _COLUMNS.format(text="TEXT", integer="BIGINT")
                connection.exec_driver_sql(f"CREATE TABLE {self._path} ({columns})", ())

    def find(self, connection: Connection, key: str) -> Written | None:
        """What the write with this key came to, None if there was none."""
        mark = self._database.mark
        asked = f"SELECT written, rejected FROM {self._path} WHERE target = {mark} AND write_key = {mark}"
        found = connection.exec_driver_sql(asked, (self._target, key)).first()
        if found is None:
            return None
        return Written(found[0], [Rejected(index, reason) for index, reason in json.loads(found[1])])

    def add(self, connection: Connection, key: str, written: Written) -> None:
        """Say that the write with this key was made."""
        rejected = json.dumps([[rejection.index, rejection.reason] for rejection in written.rejected])
        said = (
            f"INSERT INTO {self._path} (target, write_key, written, rejected, committed_at) "
            f"VALUES ({self._database.marks(4)}, CAST(CURRENT_TIMESTAMP AS TEXT))"
        )
        connection.exec_driver_sql(said, (self._target, key, written.rows, rejected))
