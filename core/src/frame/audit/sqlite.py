"""An audit store in an SQLite file: checked before it is touched, durable before it is trusted.

A new store is built beside its place and moved there when it is whole, so that whatever is found at the place is
either a store or a stranger's file; a stranger's file is refused and left alone.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.pool import NullPool

from frame.audit import migrations, schema
from frame.audit.backend import Rows
from frame.audit.durable import make_folder, sync
from frame.audit.leftovers import place_beside, remove_leftovers
from frame.audit.read_in_place import NOTE, InPlace, may_be_written
from frame.errors import AuditError, Refused, UsageError

APPLICATION_ID = 0x66726D65
"""Written into the header of the file: it tells a store from other SQLite databases."""
BUSY_TIMEOUT_S = 60
MAGIC = b"SQLite format 3\x00"
MOUNTS = Path("/proc/self/mounts")
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs"})
_SETTINGS = ("foreign_keys=ON", "recursive_triggers=ON", "fullfsync=ON", "checkpoint_fullfsync=ON")

_REMEDIES = {
    "disk is full": "Make room on the device; what was committed is safe, and the run can be resumed.",
    "disk I/O error": "Check the device; what was committed is safe, and the run can be resumed.",
    "locked": f"Another process has written to it for {BUSY_TIMEOUT_S} s; try again when it has finished.",
    "readonly": "Make the file and its folder writable, or name another store under audit.url.",
    "malformed": "The file is damaged: restore it from a copy. It was not repaired.",
    "not a database": "The file is something else, or is damaged: restore it from a copy. It was not repaired.",
    "unable to open": "Check that the folder exists and may be written to.",
}


class Sqlite:
    """The backend for a URL such as sqlite:///audit.db. Raises UsageError if it names no file."""

    reads: Mapping[str, Any] = {}
    writes: Mapping[str, Any] = {"frame_writes": True}

    def __init__(self, url: URL) -> None:
        if not url.database or url.database == ":memory:":
            raise UsageError("audit.url: the record has to be a file, as in sqlite:///audit.db")
        self._url, self._path = url, Path(url.database)
        self.where = str(self._path)
        self._found: tuple[int, int] | None = None
        self._in_place: InPlace | None = None

    @property
    def note(self) -> str:
        return "" if self._in_place is None else NOTE

    @cached_property
    def engine(self) -> Engine:
        if self._in_place is not None:
            return _reading(self._url, self._in_place)
        engine = create_engine(
            self._url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", self._begin)
        return engine

    def _begin(self, connection: Connection) -> None:
        """Raises AuditError rather than write into a file that nobody will find under its name."""
        writes = connection.get_execution_options().get("frame_writes", False)
        if writes and self._found is not None and _identity(self._path) != self._found:
            raise AuditError(
                self.where,
                "was removed, moved or replaced while it was written to. Put it back, with the files beside it "
                "(-wal, -shm): then the run can be resumed",
            )
        _begin(connection)

    def prepare(self, *, create: bool, to_read: bool = False) -> None:
        if create:
            remove_leftovers(self._path)
        if not self._path.exists():
            if not create:
                raise UsageError(f"there is no audit store at {self._path}")
            _build(self._path)
        _inspect(self._path)
        if not may_be_written(self._path):
            if not to_read:
                raise Refused(f"audit store {self._path} is read-only. {_REMEDIES['readonly']}")
            self._in_place = InPlace(self._path)
        self._found = _identity(self._path)

    def check_version(self, stands_at: int) -> bool:
        if stands_at == 0:
            raise Refused(f"{self.where} is a SQLite database, but not an audit store; it was left as it is")
        if self._in_place is not None and stands_at < migrations.NEWEST:
            raise Refused(
                f"audit store {self.where} has schema version {stands_at}, and is read-only: copy it to a folder that "
                f"may be written to, where this frame brings it up to version {migrations.NEWEST}"
            )
        return True

    def explain(self, error: DBAPIError) -> str:
        return explain(error)

    def is_denied(self, error: DBAPIError) -> bool:
        return False  # a file that may not be written is refused before it is opened

    def is_passing(self, error: DBAPIError) -> bool:
        return bool(error.connection_invalidated)

    def now_us(self, connection: Connection, own_us: int) -> int:
        return own_us  # the file is on this machine: nobody has another time

    def insert(self, connection: Connection, rows: Rows) -> None:
        for table, values in rows.items():
            connection.exec_driver_sql(_insert(table), list(values))

    def damages(self, connection: Connection) -> Iterator[str]:
        for (said,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if said != "ok":
                yield str(said)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at `path`; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


_inserts: dict[Table, str] = {}


def _insert(table: Table) -> str:
    """1,000 segments take 4 ms in tuples through the driver, and 13 ms through `insert()` with dictionaries."""
    if table not in _inserts:
        names = ", ".join(column.name for column in table.columns)
        places = ", ".join("?" for _ in table.columns)
        # Requests and answers that are alike are kept once.
        repeats = " ON CONFLICT DO NOTHING" if table is schema.payload_digests else ""
        _inserts[table] = f"INSERT INTO {table.name} ({names}) VALUES ({places}){repeats}"
    return _inserts[table]


def explain(error: DBAPIError) -> str:
    """What SQLite said, and what would help."""
    said = str(error.orig)
    for word, remedy in _REMEDIES.items():
        if word in said:
            return f"{said}. {remedy}"
    return said


def _configure(connection: Any, record: object) -> None:
    # Transactions are begun here and not by the driver, which would begin them too late.
    connection.isolation_level = None
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    connection.execute("PRAGMA synchronous=FULL")
    found = (
        connection.execute("PRAGMA journal_mode=WAL").fetchone()[0],
        connection.execute("PRAGMA synchronous").fetchone()[0],
        connection.execute("PRAGMA foreign_keys").fetchone()[0],
    )
    if found != ("wal", 2, 1):
        raise AuditError(
            "connection", f"journal mode, synchronous and foreign keys are {found}, not ('wal', 2, 1)"
        )


def _reading(url: URL, place: InPlace) -> Engine:
    engine = create_engine(url, creator=place.connect)
    event.listen(engine, "connect", place.configure)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "commit", place.check)
    event.listen(engine, "rollback", place.check)
    return engine


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("frame_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _build(path: Path) -> None:
    """A new store at `path`, or none at all; if another process was quicker, its store stays."""
    _refuse_network(path)
    beside = place_beside(path)
    try:
        make_folder(path.parent)
        _write_schema(beside, str(path))
        _publish(beside, path)
    except OSError as error:
        raise AuditError(str(path), f"cannot be made: {error.strerror or error}") from error
    except DatabaseError as error:
        raise AuditError(str(path), explain(error)) from error
    finally:
        with suppress(OSError):  # where its folder cannot be made, or the disk has gone
            beside.unlink(missing_ok=True)


def _write_schema(path: Path, where: str) -> None:
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    event.listen(engine, "connect", _stamp)
    event.listen(engine, "begin", _begin)
    with engine.connect() as connection, connection.begin():
        migrations.migrate(connection, where, time.time_ns() // 1000)
    engine.dispose()


def _stamp(connection: Any, record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={migrations.NEWEST}")


def _publish(beside: Path, path: Path) -> None:
    try:
        os.link(beside, path)
    except FileExistsError:
        return
    except OSError:
        if not path.exists():
            beside.rename(path)
    sync(path.parent)


def _inspect(path: Path) -> None:
    """Raises Refused if what stands at `path` is no store, AuditError if that cannot be told.

    Reads its header only.
    """
    if path.is_dir():
        raise Refused(f"audit store {path} is a directory; name a file under audit.url")
    _refuse_network(path)
    if not path.is_file():
        raise Refused(f"audit store {path} is not an ordinary file; name one under audit.url")
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise AuditError(str(path), f"cannot be read: {error.strerror or error}") from error
    if not header:
        raise Refused(f"{path} is empty, and an audit store never is; remove it if nothing was kept there")
    if not header.startswith(MAGIC):
        raise Refused(f"{path} is not an audit store (not a SQLite file); it was left as it is")
    if len(header) < 100 or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise Refused(f"{path} is a SQLite file, but not an audit store; it was left as it is")
    _refuse_without_log(path)


def _refuse_without_log(path: Path) -> None:
    """Raises Refused if somebody has taken away the write-ahead log, and with it the newest commits."""
    log, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    if not log.exists() and _counts_commits(index):
        raise Refused(
            f"{log} is missing, which held the newest commits of the audit store {path.name}: put it back, or restore "
            f"a backup. To go on without what was in it, remove {index}"
        )


def _counts_commits(index: Path) -> bool:
    """Whether the index of a write-ahead log tells of pages that stood in the log alone.

    See "WAL-Index File Format" of SQLite: the number of pages in the log, and of those that are in the file, too.
    """
    try:
        with index.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    in_log, moved = (int.from_bytes(head[at : at + 4], sys.byteorder) for at in (16, 96))
    return len(head) == 100 and in_log > moved


def _refuse_network(path: Path) -> None:
    """Raises Refused on a file system whose locks SQLite cannot rely on, where the system tells."""
    try:
        mounts = MOUNTS.read_text().splitlines()
    except OSError:
        return
    target = path.resolve()
    points = [line.split()[1:3] for line in mounts]
    over = [(point, kind) for point, kind in points if target.is_relative_to(point.replace("\\040", " "))]
    # Of two at one place the later one hides the other.
    point, kind = max(reversed(over), key=lambda mount: len(mount[0]), default=("/", ""))
    if kind in NETWORK_FILE_SYSTEMS:
        raise Refused(
            f"audit store {path} would be on the network file system {point} ({kind}), where SQLite's locks "
            "cannot be relied on: put it on a local disk with audit.url"
        )
