"""The second schema: every commit is a block of a chain, the store has a log, payload bytes can be purged.

Only SQLite ever had version 1. A table that gains or loses columns is written anew under its name, so that its text
in the schema is that of a new store. Runs that were recorded before have no blocks: nobody can vouch afterwards for
what they were. The log says up to which run that is so.
"""

from sqlalchemy import Connection, Table

from frame.audit import schema
from frame.audit.migrations import fresh
from frame.canonical import digest

ADDED = (
    schema.blocks,
    schema.store_log,
    schema.store_head,
    schema.checkpoints,
    schema.purges,
    schema.payload_data,
)
_OLD_BLOCKS = """run, chunk, number, part, kind, node, visit, intent, size, first_token, high_token, old_tokens,
token_width, raw_bytes, tokens, digests"""
_REBUILT: tuple[tuple[Table, str], ...] = (
    (schema.run_headers, "SELECT *, NULL AS origin_run_id, NULL AS origin_kind FROM run_headers"),
    (schema.nodes, "SELECT *, NULL AS delivery FROM nodes"),
    (schema.heads, "SELECT *, zeroblob(32) AS hash FROM heads"),
    (
        schema.payload_blocks,
        f"SELECT {_OLD_BLOCKS}, length(data) AS stored_bytes, frame_sha256(data) AS data_sha256 FROM payload_blocks",
    ),
)
"""Table, and its rows with the new columns."""


def apply(connection: Connection) -> None:
    """Bring a store of version 1 to version 2."""
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.create_function("frame_sha256", 1, digest, deterministic=True)
    # References are checked at the end of the transaction, when every table stands again.
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    _drop_views_and_triggers(connection)
    for table in ADDED:
        table.create(connection)
    connection.exec_driver_sql(
        "INSERT INTO payload_data SELECT run, chunk, number, part, data FROM payload_blocks"
    )
    for table, rows in _REBUILT:
        _rebuild(connection, table, rows)
    connection.exec_driver_sql(
        "UPDATE run_leases SET expires_us = 0 WHERE run IN (SELECT c.run FROM run_changes c WHERE c.number = "
        "(SELECT max(x.number) FROM run_changes x WHERE x.run = c.run) AND c.status <> 'running')"
    )
    connection.exec_driver_sql("PRAGMA user_version=2")
    fresh.begin_log(connection)
    fresh.create_triggers(connection)
    fresh.create_views(connection)


def _drop_views_and_triggers(connection: Connection) -> None:
    found = "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger')"
    for kind, name in connection.exec_driver_sql(found).all():
        connection.exec_driver_sql(f"DROP {kind} {name}")


def _rebuild(connection: Connection, table: Table, rows: str) -> None:
    kept, name = f"kept_{table.name}", table.name
    columns = ", ".join(column.name for column in table.columns)
    connection.exec_driver_sql(f"CREATE TEMP TABLE {kept} AS {rows}")
    connection.exec_driver_sql(f"DROP TABLE {name}")
    table.create(connection)
    connection.exec_driver_sql(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {kept}")
    connection.exec_driver_sql(f"DROP TABLE {kept}")
