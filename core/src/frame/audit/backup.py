"""A copy of a store in an SQLite file, taken while runs write to it.

The copy is one state of the store: SQLite's backup reads the whole file in one transaction, beside which others go on
writing. It is made beside its place, checked and opened as a store, and appears there when it is whole and durable.
"""

import hashlib
import os
import sqlite3
import stat
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from frame.audit import database, schema
from frame.audit.database import Database
from frame.audit.durable import sync
from frame.errors import AuditError, Refused


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was made. `runs` and `log_records`: how many of them are in it."""

    path: Path
    size_bytes: int
    sha256: bytes
    runs: int
    log_records: int


def copy(store: Database, target: Path) -> Copy:
    """A copy of `store`, a file of SQLite, at `target`, where nothing stands yet.

    Raises Refused if something does, AuditError if the copy cannot be made or is not sound; then nothing is there.
    """
    if os.path.lexists(target):
        raise Refused(f"{target} exists already, and a backup overwrites nothing: name another file")
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        _make(store, beside, target)
        runs, log_records = _checked(beside)
        sync(beside)
        with beside.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        os.link(beside, target)
        sync(target.parent)
    except FileExistsError as error:
        raise Refused(f"{target} has come into being meanwhile: name another file") from error
    except OSError as error:
        raise AuditError(str(target), f"cannot be made: {error.strerror or error}") from error
    finally:
        for left in (beside, *(Path(f"{beside}{end}") for end in ("-wal", "-shm", "-journal"))):
            with suppress(OSError):
                left.unlink(missing_ok=True)
    return Copy(target, target.stat().st_size, digest, runs, log_records)


def _make(store: Database, path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(Path(store.where).stat().st_mode)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        with closing(store.engine.raw_connection()) as borrowed, closing(sqlite3.connect(path)) as copied:
            origin = borrowed.driver_connection
            assert isinstance(origin, sqlite3.Connection)
            origin.backup(copied)
    except sqlite3.Error as error:
        raise AuditError(str(target), f"cannot be made: {error}. Nothing of it was left behind") from error


def _checked(path: Path) -> tuple[int, int]:
    """How many runs and log records are in the copy. Raises AuditError unless it is a sound store."""
    with database.open(f"sqlite:///{path}", create=False) as copied, copied.reading() as connection:
        damages = list(copied.damages(connection))
        if damages:
            raise AuditError(copied.where, f"the copy is damaged: {'; '.join(damages[:3])}")
        counted = [
            connection.scalar(select(func.count()).select_from(table))
            for table in (schema.run_headers, schema.store_log)
        ]
    runs, log_records = counted
    return int(runs or 0), int(log_records or 0)
