"""The door to audit stores: what stands behind a URL, opened, and transactions that take place exactly once.

A commit that raised may have succeeded. So whoever commits hands in how to find out: the store is asked, and what
was written is either there, and all is well, or it is not, and is written once more. Where the connection was lost
or the server is starting again this goes on for a while (`Patience`); anything else is a stop.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError

from frame.audit import migrations
from frame.audit.backend import Backend, Rows
from frame.audit.patience import Patience
from frame.errors import AuditDenied, AuditError, FrameError, UsageError
from frame.secrecy import without_userinfo

T = TypeVar("T")


class Database:
    """An open audit store. `close()` it, or use it in a `with`. `patience`: with a server that goes away."""

    def __init__(self, backend: Backend, patience: Patience) -> None:
        self._backend, self.patience = backend, patience

    @property
    def where(self) -> str:
        """The place, as people may read it."""
        return self._backend.where

    @property
    def note(self) -> str:
        """What should be known of how the store is read, or ""."""
        return self._backend.note

    @property
    def engine(self) -> Engine:
        """The connections."""
        return self._backend.engine

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
        with self.explained(), self._transaction(self._backend.reads) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection inside a transaction that is committed at the end."""
        with self.explained(), self._transaction(self._backend.writes) as connection:
            yield connection

    @contextmanager
    def _transaction(self, options: Mapping[str, Any]) -> Iterator[Connection]:
        """A connection inside a transaction, not used again after an error: nobody knows what state it is in.

        Other threads keep theirs: each finds out by itself what has become of it.
        """
        with self.engine.connect().execution_options(**options) as connection:
            try:
                with connection.begin():
                    yield connection
            except DBAPIError:
                connection.invalidate()
                raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the database raises into an AuditError that says where and why."""
        try:
            yield
        except DBAPIError as error:
            raise self._failed(error) from error

    def now_us(self, connection: Connection, own_us: int) -> int:
        """The time that all who write to the store share; `own_us` is that of this process."""
        return self._backend.now_us(connection, own_us)

    def insert(self, connection: Connection, rows: Rows) -> None:
        """Insert `rows` as they are, in the order of the tables."""
        self._backend.insert(connection, rows)

    def damages(self, connection: Connection) -> Iterator[str]:
        """What the database's own check of its files finds wrong."""
        return self._backend.damages(connection)

    def ask(self, question: Callable[[Connection], T]) -> T:
        """The answer to a question that only reads, asked again where the connection is lost."""

        def read() -> T:
            with self._transaction(self._backend.reads) as connection:
                return question(connection)

        lost: DBAPIError | None = None
        for _ in self.patience.attempts():
            try:
                return read()
            except DBAPIError as error:
                if not self._backend.is_passing(error):
                    raise self._failed(error) from error
                lost = error
        raise self._gave_up(lost) from lost

    def transact(self, write: Callable[[Connection], T], find: Callable[[Connection], T | None]) -> T:
        """What `write` returns, from a transaction that has taken place once.

        `find`: what `write` returned, read from the record if it is there; None if nothing has changed since; it
        raises if somebody else has written. Raises AuditError if the transaction cannot be brought to its end.
        """
        lost: DBAPIError | None = None
        for _ in self.patience.attempts():
            try:
                if lost is not None and (found := self._find(find)) is not None:
                    return found
                return self._attempt(write, find, again=lost is not None)
            except DBAPIError as error:
                if not self._backend.is_passing(error):
                    return self._settled(find, error)
                lost = error
        raise self._gave_up(lost) from lost

    def _attempt(
        self, write: Callable[[Connection], T], find: Callable[[Connection], T | None], *, again: bool
    ) -> T:
        try:
            with self._transaction(self._backend.writes) as connection:
                return write(connection)
        except FrameError:
            # The transaction that was given up for lost was still being committed when `find` looked.
            if again and (found := self._find(find)) is not None:
                return found
            raise

    def _find(self, find: Callable[[Connection], T | None]) -> T | None:
        with self._transaction({}) as connection:
            return find(connection)

    def _settled(self, find: Callable[[Connection], T | None], error: DBAPIError) -> T:
        """What was written although `error` was raised. Raises AuditError if nothing was, or nobody can tell."""
        try:
            found = self._find(find)
        except DBAPIError:
            found = None
        if found is None:
            raise self._failed(error) from error
        return found

    def _failed(self, error: DBAPIError) -> AuditError:
        kind = AuditDenied if self._backend.is_denied(error) else AuditError
        return kind(self.where, self._backend.explain(error))

    def _gave_up(self, error: DBAPIError | None) -> AuditError:
        said = "no attempt" if error is None else self._backend.explain(error)
        return AuditError(
            self.where,
            f"could not be reached {self.patience.told}: {said}. What was committed is safe, and the "
            "run can be resumed.",
        )


def open(  # noqa: A001  (read as `database.open`)
    url: str, *, create: bool = True, to_read: bool = False, patience: Patience | None = None
) -> Database:
    """The audit store at `url`, as in "sqlite:///audit.db" or "postgresql://user@host/name".

    An SQLite store is brought to the newest schema; `create`: and made, with its folder, if there is none. One in
    PostgreSQL is made by `frame audit init`. `to_read`: nothing will be written, so a file that may not be written will
    do, and none is made. `patience`: how long to wait for a server that goes away.

    Raises AuditError if it cannot be used, Refused if it is not an audit store or one of a newer frame, UsageError
    if there is none or the URL makes no sense.
    """
    backend = backend_of(url)
    backend.prepare(create=create and not to_read, to_read=to_read)
    database = Database(backend, patience or Patience())
    try:
        _check_version(database, backend)
    except DatabaseError as error:
        database.close()
        raise AuditError(backend.where, backend.explain(error)) from error
    except BaseException:
        database.close()
        raise
    return database


def backend_of(url: str) -> Backend:
    """What stands behind `url`; nothing is opened. Raises UsageError if that is no database that frame knows."""
    parsed = _parse(url)
    match parsed.get_backend_name():
        case "sqlite":
            from frame.audit.sqlite import Sqlite

            return Sqlite(parsed)
        case "postgresql":
            from frame.audit.postgresql import Postgresql

            return Postgresql(parsed)
        case other:
            raise UsageError(
                f"audit.url: frame keeps its record in SQLite or PostgreSQL, not in {other} "
                f"({without_userinfo(url)})"
            )


def version_of(backend: Backend) -> int:
    """The version of the schema of a store as it stands, 0 if there is none. Raises like `open`."""
    try:
        backend.prepare(create=False)
    except UsageError:
        return 0
    try:
        with backend.engine.connect() as connection:
            return migrations.version(connection)
    except DatabaseError as error:
        raise AuditError(backend.where, backend.explain(error)) from error
    finally:
        backend.engine.dispose()


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        shown = without_userinfo(url)
        # The cause would show the URL with its password.
        raise UsageError(
            f"audit.url {shown!r} is not a database URL such as sqlite:///audit.db or postgresql://host/name"
        ) from None


def _check_version(database: Database, backend: Backend) -> None:
    with database.engine.connect() as connection:
        stands_at = migrations.version(connection)
    migrations.check(database.where, stands_at)
    if backend.check_version(stands_at) and stands_at < migrations.NEWEST:
        with database.writing() as connection:
            migrations.migrate(connection, database.where, time.time_ns() // 1000)
