"""An audit store in PostgreSQL 14 or later, through psycopg 3 (`pip install 'frame-core[postgresql]'`).

The store is the schema `frame` of one database. `frame audit init` makes it, as the role that owns it from then on;
who runs pipelines needs no right to make or change tables, and gets none.

A session is trusted only after its settings were read back: a commit that was answered is on disk, and no call waits
for ever for a server that is gone.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from frame.audit import schema
from frame.audit.backend import Rows
from frame.audit.postgresql_refusals import remedy as unconnected
from frame.errors import AuditError, Refused, UsageError

if TYPE_CHECKING:
    import psycopg

SCHEMA = "frame"
OLDEST_SERVER = 14
DURABLE = frozenset({"on", "remote_apply", "remote_write"})
"""Values of synchronous_commit under which a commit that was answered survives a crash of the server."""
SESSION = {
    "application_name": "frame",
    "search_path": f"{SCHEMA},pg_catalog,pg_temp",
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": "2min",
    # A generic plan locks every partition; one for the run at hand locks the one that it needs.
    "plan_cache_mode": "force_custom_plan",
    "timezone": "UTC",
    "standard_conforming_strings": "on",
    # Hundreds of partitions and small queries: compiling them to machine code takes longer than running them.
    "jit": "off",
}
CONNECTING = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""What bounds the wait for a server that does not answer (libpq)."""

_PASSING = frozenset({"57P01", "57P02", "57P03", "25P03", "53300"})
"""SQLSTATEs besides class 08: shut down, crashed, starting, idle for too long in a transaction, too many clients."""
_REMEDIES = {
    "42501": "The role lacks a right: `frame audit init URL --writer ROLE`, said by the owner, grants what a writer "
    "needs.",
    "53100": "Make room on the server; what was committed is safe, and the run can be resumed.",
    "53200": "Raise max_locks_per_transaction on the server; its default of 64 is enough for a store of its own.",
    "57014": "The server took longer than statement_timeout; what was committed is safe, and the run can be resumed.",
    "25006": "The server takes no writes: is it a standby? Name the primary, or add "
    "?target_session_attrs=read-write to audit.url.",
}


class Postgresql:
    """The backend for a URL such as postgresql://user@host/name. Raises UsageError without a driver."""

    reads: Mapping[str, Any] = {
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
        "stream_results": True,
    }
    writes: Mapping[str, Any] = {"isolation_level": "READ COMMITTED"}
    note = ""

    def __init__(self, url: URL) -> None:
        if url.drivername not in {"postgresql", "postgresql+psycopg"}:
            raise UsageError(
                f"audit.url: frame speaks to PostgreSQL through psycopg: write postgresql://, not {url.drivername}://"
            )
        if not url.database:
            raise UsageError("audit.url: name the database, as in postgresql://user@host/name")
        self._url = url.set(drivername="postgresql+psycopg")
        self.where = shown(url)

    @cached_property
    def engine(self) -> Engine:
        given = self._url.query.get("options", "")
        options = " ".join([given if isinstance(given, str) else " ".join(given), *_settings()]).strip()
        try:
            engine = create_engine(self._url, connect_args={**CONNECTING, "options": options})
        except ModuleNotFoundError as error:
            raise UsageError(
                "audit.url names a PostgreSQL database, and psycopg is not installed: "
                "pip install 'frame-core[postgresql]'"
            ) from error
        event.listen(engine, "connect", self._check_session)
        return engine

    def _check_session(self, connection: "psycopg.Connection[Any]", record: object) -> None:
        """Look at a new connection before it is used."""
        from frame.audit.postgresql_session import teach

        teach(connection)
        self._check_settings(connection)

    def _check_settings(self, connection: "psycopg.Connection[Any]") -> None:
        """Raises AuditError if this session could lose what it was told is committed, Refused for an old server."""
        if connection.info.server_version < OLDEST_SERVER * 10_000:
            version = connection.info.server_version // 10_000
            raise Refused(
                f"audit store {self.where}: PostgreSQL {version} is too old; frame needs {OLDEST_SERVER} or later"
            )
        names = ["synchronous_commit", *SESSION]
        asked = ", ".join(f"current_setting('{name}')" for name in names)
        connection.autocommit = True
        row = connection.execute(f"SELECT {asked}").fetchone()
        connection.autocommit = False
        assert row is not None
        found = dict(zip(names, row, strict=True))
        if found["synchronous_commit"] not in DURABLE:
            raise AuditError(
                self.where,
                f"synchronous_commit is {found['synchronous_commit']}: a commit could be lost that was reported as "
                "done. Set it to on, as in ALTER ROLE ... SET synchronous_commit = on",
            )
        other = [f"{name} is {found[name]}, not {SESSION[name]}" for name in SESSION if _differs(name, found)]
        if other:
            raise AuditError(
                self.where,
                f"the session does not keep its settings ({'; '.join(other)}): is a connection pooler in between? "
                "Connect to the server itself, or let the pooler keep sessions",
            )

    def prepare(self, *, create: bool, to_read: bool = False) -> None:
        """Nothing: whether there is a store is found out by asking the server."""

    def check_version(self, stands_at: int) -> bool:
        if stands_at == 0:
            raise UsageError(
                f"{self.where} has no audit store yet, or none that this role may see: `frame audit init URL` makes "
                "one, said by the role that is to own it"
            )
        from frame.audit import migrations

        if stands_at < migrations.NEWEST:
            raise Refused(
                f"audit store {self.where} has schema version {stands_at}, and this frame writes "
                f"{migrations.NEWEST}: `frame audit init URL`, said by its owner, brings it up to date"
            )
        return False

    def explain(self, error: DBAPIError) -> str:
        said = " ".join(str(error.orig).split())
        state = _state(error)
        remedy = _REMEDIES.get(state) or _REMEDIES.get(state[:2]) or ("" if state else unconnected(said))
        return f"{said.rstrip('.')}. {remedy}" if remedy else said

    def is_denied(self, error: DBAPIError) -> bool:
        return _state(error) == "42501"

    def is_passing(self, error: DBAPIError) -> bool:
        from psycopg import OperationalError

        state = _state(error)
        lost = error.connection_invalidated or state in _PASSING or state.startswith("08")
        # What libpq says about a connection that could not be made has no state.
        return lost or (isinstance(error.orig, OperationalError) and not state)

    def now_us(self, connection: Connection, own_us: int) -> int:
        asked = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        return int(connection.exec_driver_sql(asked).scalar_one())

    def insert(self, connection: Connection, rows: Rows) -> None:
        driver: psycopg.Connection[Any] | None = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor, _reported_by(connection):
            for table, values in rows.items():
                if table is schema.payload_digests:
                    cursor.executemany(_INSERT_DIGESTS, values)
                else:
                    _copy(cursor, table, values)

    def damages(self, connection: Connection) -> Iterator[str]:
        from frame.audit.postgresql_check import damages

        return damages(connection)


_INSERT_DIGESTS = (
    f"INSERT INTO payload_digests ({', '.join(column.name for column in schema.payload_digests.columns)}) "
    f"VALUES ({', '.join('%s' for _ in schema.payload_digests.columns)}) ON CONFLICT DO NOTHING"
)
"""Requests and answers that are alike are kept once, which COPY cannot say."""
_COPIED = {SmallInteger: "int2", Integer: "int4", BigInteger: "int8", Text: "text", LargeBinary: "bytea"}


_NARROW = frozenset({"run", "n", "fan", "item", "token_width", "visit_width", "group_width"})
"""Counts of runs, of commits, of digits and of items in a block: 32 bits hold them, and `substr` takes no more."""


def type_of(column: Column[Any]) -> TypeEngine[Any]:
    """The type of a column in PostgreSQL. Integers have 64 bits as in SQLite: COPY cuts off what does not fit."""
    widened = type(column.type) is Integer and column.name not in _NARROW
    return BigInteger() if widened else column.type


@cache
def _copying(table: Table) -> tuple[str, tuple[str, ...]]:
    """The statement for a table, and the types of its columns."""
    names = ", ".join(column.name for column in table.columns)
    types = tuple(_COPIED[type(type_of(column))] for column in table.columns)
    return f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)", types


def _copy(cursor: "psycopg.Cursor[Any]", table: Table, rows: Iterable[tuple[object, ...]]) -> None:
    statement, types = _copying(table)
    with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


@contextmanager
def _reported_by(connection: Connection) -> Iterator[None]:
    """Errors of the driver as SQLAlchemy reports those of its own calls, so that a lost connection is noticed."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        driver = connection.connection.driver_connection
        lost = driver is None or bool(driver.closed)
        if lost:
            connection.invalidate(error)
        raise DBAPIError("COPY", None, error, connection_invalidated=lost) from error


def shown(url: URL) -> str:
    """The URL for people: who connects, and with which password, is left out."""
    query = {name: value for name, value in url.query.items() if name in {"host", "port"}}
    plain = URL.create("postgresql", host=url.host, port=url.port, database=url.database, query=query)
    return plain.render_as_string(hide_password=True)


def _settings() -> Iterator[str]:
    for name, value in SESSION.items():
        yield f"-c {name}={value}"


def _differs(name: str, found: Mapping[str, str]) -> bool:
    return found[name].replace(" ", "") != SESSION[name]


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
