"""The first schema: packed tables, views that unpack them, triggers that keep facts as they are."""

from sqlalchemy import Connection

from frame.audit import schema, views
from frame.audit.packing import SEGMENT


def apply(connection: Connection) -> None:
    """Create tables, numbers, triggers and views."""
    schema.metadata.create_all(connection)
    connection.exec_driver_sql(
        "INSERT INTO numbers (n) WITH RECURSIVE counting(n) AS "
        f"(SELECT 0 UNION ALL SELECT n + 1 FROM counting WHERE n < {SEGMENT - 1}) SELECT n FROM counting"
    )
    for statement in triggers():
        connection.exec_driver_sql(statement)
    for name, query in views.VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")


def triggers() -> list[str]:
    """SQLite's statements that make every table of facts append-only."""
    return [
        f"CREATE TRIGGER {table.name}_no_{action.lower()} BEFORE {action} ON {table.name} "
        f"BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: {action} on {table.name}'); END"
        for table in schema.FACTS
        for action in ("UPDATE", "DELETE")
    ]
