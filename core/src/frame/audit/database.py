"""Opening an audit store: checked before it is touched, durable before it is trusted.

A new SQLite store is built beside its place and moved there when it is whole, so that whatever is found at
the place is either a store or a stranger's file; a stranger's file is refused and left alone.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError
from sqlalchemy.pool import NullPool

from frame.audit import migrations
from frame.errors import AuditError, Refused, UsageError

APPLICATION_ID = 0x66726D65
"""Written into the header of the file: it tells a store from other SQLite databases."""
BUSY_TIMEOUT_S = 60
MAGIC = b"SQLite format 3\x00"
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs"})
_SETTINGS = ("foreign_keys=ON", "recursive_triggers=ON", "fullfsync=ON", "checkpoint_fullfsync=ON")


class Database:
    """An open audit store. `close()` it, or use it in a `with`."""

    def __init__(self, engine: Engine, where: str) -> None:
        self.engine, self.where = engine, where

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the store until it is left."""
        with self.explained(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection inside a transaction that nobody else can write in, committed at the end."""
        with self.explained(), self.connect() as connection, connection.begin():
            yield connection

    def connect(self) -> Connection:
        """A connection whose transactions take the write lock at once."""
        return self.engine.connect().execution_options(frame_writes=True)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the database raises into an AuditError that says where and why."""
        try:
            yield
        except DBAPIError as error:
            raise AuditError(self.where, explain(error)) from error


def explain(error: DBAPIError) -> str:
    """What the database said, and what would help."""
    said = str(error.orig)
    for word, remedy in _REMEDIES.items():
        if word in said:
            return f"{said}. {remedy}"
    return said


_REMEDIES = {
    "disk is full": "Make room on the device; what was committed is safe, and the run can be resumed.",
    "disk I/O error": "Check the device; what was committed is safe, and the run can be resumed.",
    "locked": f"Another process has written to it for {BUSY_TIMEOUT_S} s; try again when it has finished.",
    "readonly": "Make the file and its folder writable, or name another store under audit.url.",
    "malformed": "The file is damaged: restore it from a copy. It was not repaired.",
    "not a database": "The file is something else, or is damaged: restore it from a copy. It was not repaired.",
    "unable to open": "Check that the folder exists and may be written to.",
}


def open(url: str, *, create: bool = True) -> Database:  # noqa: A001  (read as `database.open`)
    """The audit store at `url`, as in "sqlite:///audit.db", brought to the newest schema.

    `create`: make it, with its folder, if there is none. Raises AuditError if it cannot be used, Refused if it
    is not an audit store or one of a newer frame, UsageError if there is none or the URL makes no sense.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        raise UsageError(f"audit.url {parsed!r}: this version of frame keeps its record in SQLite only")
    if not parsed.database or parsed.database == ":memory:":
        raise UsageError("audit.url: the record has to be a file, as in sqlite:///audit.db")
    path = Path(parsed.database)
    if not path.exists():
        if not create:
            raise UsageError(f"there is no audit store at {path}")
        _build(path)
    _inspect(path)
    database = Database(_engine(parsed), str(path))
    _bring_up_to_date(database)
    return database


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise UsageError(f"audit.url {url!r} is not a database URL such as sqlite:///audit.db") from error


def _engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


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


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("frame_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _bring_up_to_date(database: Database) -> None:
    try:
        with database.engine.connect() as connection:
            stands_at = migrations.version(connection)
        migrations.check(database.where, stands_at)
        if stands_at == 0:
            raise Refused(
                f"{database.where} is a SQLite database, but not an audit store; it was left as it is"
            )
        if stands_at < migrations.NEWEST:
            with database.writing() as connection:
                migrations.migrate(connection, database.where, time.time_ns() // 1000)
    except DatabaseError as error:
        database.close()
        raise AuditError(database.where, explain(error)) from error
    except BaseException:
        database.close()
        raise


def _build(path: Path) -> None:
    """A new store at `path`, or none at all; if another process was quicker, its store stays."""
    _refuse_network(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_schema(beside, str(path))
        _publish(beside, path)
    except OSError as error:
        raise AuditError(str(path), f"cannot be made: {error.strerror or error}") from error
    except DatabaseError as error:
        raise AuditError(str(path), explain(error)) from error
    finally:
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
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _inspect(path: Path) -> None:
    """Raises Refused or AuditError if what stands at `path` is no store; reads its header only."""
    if path.is_dir():
        raise AuditError(str(path), "is a directory; name a file under audit.url")
    _refuse_network(path)
    if not path.is_file():
        raise AuditError(str(path), "is not an ordinary file")
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
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise AuditError(str(path), f"is read-only. {_REMEDIES['readonly']}")


def _refuse_network(path: Path) -> None:
    """Raises Refused on a file system whose locks SQLite cannot rely on, where the system tells."""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return
    target = path.resolve()
    points = [line.split()[1:3] for line in mounts]
    over = [(point, kind) for point, kind in points if target.is_relative_to(point.replace("\\040", " "))]
    point, kind = max(over, key=lambda mount: len(mount[0]), default=("/", ""))
    if kind in NETWORK_FILE_SYSTEMS:
        raise Refused(
            f"audit store {path} would be on the network file system {point} ({kind}), where SQLite's locks "
            "cannot be relied on: put it on a local disk with audit.url"
        )
