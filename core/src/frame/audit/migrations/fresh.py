"""A new store: the newest schema as a whole."""

from sqlalchemy import Connection, insert

from frame.audit import schema, store_log, views
from frame.audit.packing import SEGMENT


def build(connection: Connection) -> None:
    """Create tables, numbers, triggers and views in an empty database."""
    schema.metadata.create_all(connection)
    fill_numbers(connection)
    begin_log(connection)
    create_triggers(connection)
    create_views(connection)


def fill_numbers(connection: Connection) -> None:
    """Write what the views unpack lists with."""
    connection.exec_driver_sql(
        "INSERT INTO numbers (n) WITH RECURSIVE counting(n) AS "
        f"(SELECT 0 UNION ALL SELECT n + 1 FROM counting WHERE n < {SEGMENT - 1}) SELECT n FROM counting"
    )


def begin_log(connection: Connection) -> None:
    """Write the head of a log without records."""
    connection.execute(insert(schema.store_head), {"id": 0, "n": 0, "hash": store_log.FIRST})


def create_triggers(connection: Connection) -> None:
    """Create what keeps facts as they are."""
    for statement in triggers().values():
        connection.exec_driver_sql(statement)


def create_views(connection: Connection) -> None:
    """Create the views."""
    for name, query in views.VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")


def replace_view(connection: Connection, name: str) -> None:
    """Define a view of an older store as it is defined now, with the same columns; who may read it still may."""
    create = "CREATE VIEW" if connection.dialect.name == "sqlite" else "CREATE OR REPLACE VIEW"
    if create == "CREATE VIEW":
        connection.exec_driver_sql(f"DROP VIEW {name}")
    connection.exec_driver_sql(f"{create} {name} AS {views.VIEWS[name]}")


def triggers() -> dict[str, str]:
    """SQLite's statements that make every table of facts append-only, by the trigger's name."""
    return {
        f"{table.name}_no_{action.lower()}": _trigger(table.name, action)
        for table in schema.FACTS
        for action in ("UPDATE", "DELETE")
    }


def _trigger(table: str, action: str) -> str:
    unless = ""
    if table == "payload_data" and action == "DELETE":
        unless = "WHEN NOT EXISTS (SELECT 1 FROM purges p WHERE p.run = OLD.run) "
    return (
        f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} {unless}"
        f"BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: {action} on {table}'); END"
    )
