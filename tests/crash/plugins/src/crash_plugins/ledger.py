"""A sink in a database of its own, with the keys of its writes beside the rows."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from frame.errors import SinkError
from frame.plugin import Artifact, Context, Delivery, Determinism, PipelinePath, PluginConfig, Rejected, Sink
from frame.rows import Row

_TABLES = """
CREATE TABLE IF NOT EXISTS ledger (key TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS written (n INTEGER PRIMARY KEY AUTOINCREMENT, row TEXT NOT NULL)
"""


class Ledger(Sink):
    """Rows into a SQLite table; a write and its key are one transaction, so a repeat is recognised."""

    name = "ledger"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.TRANSACTIONAL

    class Config(PluginConfig):
        path: PipelinePath
        refuses: int = 0

    def start(self, context: Context) -> None:
        self._node = context.node

    def open(self, position: Any) -> None:
        try:
            self._connection = sqlite3.connect(
                self.config.path, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA synchronous=EXTRA")
            for table in _TABLES.split(";"):
                self._connection.execute(table)
        except sqlite3.Error as error:
            raise SinkError(self._node, f"{self.config.path}: {error}") from error

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        refuses = self.config.refuses
        refused = [at for at, row in enumerate(rows) if refuses and row["n"] % refuses == 0]
        texts = [(json.dumps(dict(row), sort_keys=True, default=str),) for row in rows]
        taken = [text for at, text in enumerate(texts) if at not in refused]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            known = self._connection.execute("INSERT OR IGNORE INTO ledger VALUES (?)", (key,)).rowcount == 0
            if not known:
                self._connection.executemany("INSERT INTO written (row) VALUES (?)", taken)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return [Rejected(at, "its number is refused") for at in refused]

    def finish(self, context: Context) -> Artifact:
        with closing(self._connection.execute("SELECT count(*) FROM written")) as counted:
            return Artifact("ledger:", rows=counted.fetchone()[0])

    def close(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()
