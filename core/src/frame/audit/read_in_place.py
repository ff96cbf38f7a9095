"""An audit store in an SQLite file that may not be written: an auditor's copy, a read-only disk. It is read in place.

Two ways, for SQLite would put an index of the write-ahead log beside a file that it shares with others:

    no log    nobody has the file open: it is read as if it could not change. That it did not is looked at after each
              transaction, since whoever owns it may write meanwhile
    a log     it is shared as ever, through the index that is beside it
"""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from frame.errors import Refused, TryAgainLater

NOTE = "this store cannot be written here: it was read in place, and nothing was made beside it"
SETTINGS = ("query_only=ON", "foreign_keys=ON")


def may_be_written(path: Path) -> bool:
    """Whether this user may write the file at `path`, and files beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


class InPlace:
    """The file at `path`, read as it stands. Raises Refused if its newest commits cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path, self._log = path, Path(f"{path}-wal")
        self._is_shared = self._holds_commits()
        if self._is_shared:
            _refuse_without_index(path, self._log)
        self._stood = self._state()

    def connect(self) -> sqlite3.Connection:
        """A connection that writes nothing."""
        how = "mode=ro" if self._is_shared else "mode=ro&immutable=1"
        uri = f"file:{quote(str(self._path.absolute()))}?{how}"
        return sqlite3.connect(uri, uri=True, timeout=60, check_same_thread=False)

    def configure(self, connection: Any, record: object) -> None:
        """Set up a new connection."""
        connection.isolation_level = None
        for setting in SETTINGS:
            connection.execute(f"PRAGMA {setting}")

    def check(self, *_: object) -> None:
        """Raises TryAgainLater if the file was written while it was taken for one that does not change."""
        if not self._is_shared and (self._state() != self._stood or self._holds_commits()):
            raise TryAgainLater(
                f"audit store {self._path} was written to while it was read, by somebody who may: ask again when "
                "no run is under way there"
            )

    def _holds_commits(self) -> bool:
        return self._log.exists() and self._log.stat().st_size > 0

    def _state(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns


def _refuse_without_index(path: Path, log: Path) -> None:
    """Raises Refused where SQLite would have to make the index of the log, and cannot."""
    index = Path(f"{path}-shm")
    if not index.exists() and not os.access(path.parent, os.W_OK):
        raise Refused(
            f"audit store {path} is read-only, and its newest commits stand in {log.name}, which can only be read "
            f"with {index.name} beside it: copy the store with {log.name} to a folder that may be written to"
        )
