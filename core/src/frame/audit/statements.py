"""What every commit says to a store of any kind, past SQLAlchemy's compiler."""

from sqlalchemy import Connection

from frame.audit import schema
from frame.audit.backend import Rows
from frame.audit.database import Database


class Statements:
    """What the recorder says to this store."""

    def __init__(self, database: Database) -> None:
        self._insert = database.insert
        place = "?" if database.engine.dialect.paramstyle == "qmark" else "%s"
        self._swap = (
            f"UPDATE heads SET n = n + 1, hash = {place} "
            f"WHERE run = {place} AND n = {place} AND epoch = {place}"
        )

    def write(self, connection: Connection, rows: Rows) -> None:
        """Insert `rows`, tables before those that refer to them."""
        self._insert(connection, {table: rows[table] for table in schema.FACTS if table in rows})

    def swap_head(self, connection: Connection, run: int, n: int, epoch: int, hashed: bytes) -> bool:
        """Move the head of a run from `n` on to the block with hash `hashed`; False if it stands elsewhere."""
        swapped = connection.exec_driver_sql(self._swap, (hashed, run, n, epoch))
        return bool(swapped.rowcount == 1)
