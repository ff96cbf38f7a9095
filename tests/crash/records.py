"""Where a world keeps its record: a file of its own, or a database on the tests' PostgreSQL server.

Whoever reads a record here reads it by its URL, the same from either store, and not through frame.
"""

import sqlite3
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from tests.postgresql_server import Server

GONE_S = 60.0


class Record(Protocol):
    """A store that frame writes to."""

    url: str

    def empty(self) -> None:
        """Take away every run; the folder of the world has been cleared before."""

    def settle(self) -> None:
        """Wait until nobody changes the record any more on behalf of a process that has ended."""


class SqliteRecord:
    """A file in the folder of the world, which frame makes when it needs it."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"

    def empty(self) -> None:
        """Nothing: it has gone with the folder."""

    def settle(self) -> None:
        """Nothing: whoever wrote is dead."""


class PostgresqlRecord:
    """The store at `url` on `server`, made before by `frame audit init`."""

    def __init__(self, server: Server, url: str) -> None:
        self.url = url
        self._database = str(make_url(url).database)
        self._superuser = _engine(server.url(self._database, role="postgres"))
        self._emptying = self._kept()

    def _kept(self) -> str:
        """Put what a store holds before its first run beside it; the statements that bring the store back to that."""
        # The triggers that keep facts as they are do not fire for a replica, which only a superuser may be.
        script = ["SET session_replication_role = replica"]
        with self._superuser.connect() as connection:
            connection.exec_driver_sql("CREATE SCHEMA kept")
            for table in connection.exec_driver_sql(_TABLES).scalars().all():
                script.append(f"DELETE FROM frame.{table}")
                if connection.exec_driver_sql(f"SELECT EXISTS (SELECT FROM frame.{table})").scalar_one():
                    connection.exec_driver_sql(f"CREATE TABLE kept.{table} AS SELECT * FROM frame.{table}")
                    script.append(f"INSERT INTO frame.{table} SELECT * FROM kept.{table}")
        return ";".join(script)

    def empty(self) -> None:
        """As it was before its first run."""
        self.settle()
        with self._superuser.connect() as connection:
            connection.exec_driver_sql(self._emptying)

    def settle(self) -> None:
        """Wait for sessions whose process was killed: until the server notices, it does what it was told."""
        until = time.monotonic() + GONE_S
        with self._superuser.connect() as connection:
            while connection.exec_driver_sql(_SESSIONS, (self._database,)).scalar_one():
                assert time.monotonic() < until, "a session outlives its process"
                time.sleep(0.002)


_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'frame'::regnamespace AND relkind IN ('r', 'p')
AND NOT relispartition AND relname NOT IN ('numbers', 'migrations') ORDER BY 1
"""
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'frame'"


@cache
def _engine(url: str) -> Engine:
    place = make_url(url)
    if place.get_backend_name() == "sqlite":
        read_only = f"file:{place.database}?mode=ro"
        return create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(read_only, uri=True), poolclass=NullPool
        )
    # Kept open, for a new session has to learn of thousands of partitions; other tests restart the server.
    return create_engine(
        place.set(drivername="postgresql+psycopg"),
        connect_args={"options": "-c search_path=frame -c jit=off", "application_name": "harness"},
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        pool_pre_ping=True,
    )


def rows_in(url: str, query: str, **values: Any) -> Sequence[tuple[Any, ...]]:
    """What the store at `url` answers."""
    with _engine(url).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def newest(url: str) -> tuple[int, str] | None:
    """Number and id of the run that was begun last; None if there is no run, or no store."""
    try:
        found = rows_in(url, "SELECT run, run_id FROM run_headers ORDER BY run DESC LIMIT 1")
    except OperationalError:
        if url.startswith("sqlite"):
            return None
        raise
    return (int(found[0][0]), str(found[0][1])) if found else None


def run_id_in(url: str) -> str | None:
    """The id of the newest run in the store, if there is one."""
    found = newest(url)
    return None if found is None else found[1]


def status_in(url: str) -> str | None:
    """The status of the newest run in the store, if there is one."""
    found = newest(url)
    if found is None:
        return None
    return str(rows_in(url, "SELECT status FROM runs WHERE run = :run", run=found[0])[0][0])
