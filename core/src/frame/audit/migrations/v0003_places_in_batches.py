"""The third schema: `batch_members` counts from the beginning of a batch, and not of the commit that took rows in."""

from sqlalchemy import Connection

from frame.audit.migrations import fresh

CHANGED = ("batch_members", "token_parents")


def apply(connection: Connection) -> None:
    """Bring a store of version 2 to version 3."""
    for name in CHANGED:
        fresh.replace_view(connection, name)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA user_version=3")
