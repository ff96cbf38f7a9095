"""Making an audit store in a PostgreSQL database, bringing it up to date, and saying who may do what with it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from frame.audit import migrations, postgresql_schema, schema, views
from frame.audit.backend import Backend
from frame.audit.postgresql import SCHEMA
from frame.errors import AuditError, Refused

WRITTEN_BY_OWNER = frozenset({"migrations", "numbers"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A store that is ready. `from_version`: what it was before; 0: there was none. `warnings` are for its owner."""

    from_version: int
    warnings: tuple[str, ...] = ()


def prepare(
    backend: Backend, now_us: int, writers: Sequence[str] = (), readers: Sequence[str] = ()
) -> Prepared:
    """Make the store, or bring it up to date, and grant its rights, in one transaction.

    Raises Refused if the schema holds something else or a role is missing, AuditError if the database says no.
    """
    try:
        with backend.engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (postgresql_schema.LOCK,))
            found = _version(connection, backend.where)
            migrations.migrate(connection, backend.where, now_us, build=postgresql_schema.build)
            for role in (*writers, *readers):
                _must_exist(connection, role)
            _grant(connection, writers, _rights_of_writers())
            _grant(connection, readers, _rights_of_readers())
            warnings = tuple(_warnings(connection))
    except DBAPIError as error:
        raise AuditError(backend.where, backend.explain(error)) from error
    finally:
        backend.engine.dispose()
    return Prepared(found, warnings)


def _version(connection: Connection, where: str) -> int:
    found = migrations.version(connection)
    if found == 0:
        asked = f"SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}')"
        if connection.exec_driver_sql(asked).scalar_one():
            raise Refused(
                f"{where}: its schema {SCHEMA} holds something that is no audit store; it was left as it is"
            )
    return found


def _must_exist(connection: Connection, role: str) -> None:
    known = connection.exec_driver_sql("SELECT count(*) FROM pg_roles WHERE rolname = %s", (role,))
    if not known.scalar_one():
        raise Refused(
            f"there is no role {role!r} on this server: make it first, as in CREATE ROLE {_quoted(role)} LOGIN. "
            "Nothing was changed"
        )


def _quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _grant(connection: Connection, roles: Iterable[str], rights: Iterable[str]) -> None:
    granted = list(rights)
    for role in roles:
        script = [f"GRANT {right} TO {_quoted(role)}" for right in granted]
        postgresql_schema.run_script(connection, script)


def _rights_of_readers() -> Iterator[str]:
    """What who asks questions may do."""
    yield f"USAGE ON SCHEMA {SCHEMA}"
    readable = [*(table.name for table in schema.metadata.sorted_tables), *views.VIEWS]
    yield f"SELECT ON {', '.join(readable)}"


def _rights_of_writers() -> Iterator[str]:
    """What who runs pipelines may do: add facts, and say who writes next."""
    yield from _rights_of_readers()
    added = [table.name for table in schema.metadata.sorted_tables if table.name not in WRITTEN_BY_OWNER]
    yield f"INSERT ON {', '.join(added)}"
    yield f"UPDATE ON {', '.join(sorted(schema.MUTABLE))}"


def _warnings(connection: Connection) -> Iterator[str]:
    off = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
    for (name,) in connection.exec_driver_sql(off):
        yield f"{name} is off on this server: a power cut can damage or lose what was reported as committed"
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        yield f"the database's encoding is {encoding}: texts that it cannot hold will stop a run; UTF8 holds all"
