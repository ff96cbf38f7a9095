"""The first schema: packed tables, views that unpack them, triggers that keep facts as they are.

It is frozen as it was published, in the file beside this one.
"""

from importlib.resources import files

from sqlalchemy import Connection


def statements() -> list[str]:
    """What created version 1, in order."""
    text = (files("frame.audit.migrations") / "v0001_packed_record.sql").read_text(encoding="utf-8")
    return [statement.strip() for statement in text.split("\n--\n")[1:]]


def apply(connection: Connection) -> None:
    """Create tables, numbers, triggers and views."""
    for statement in statements():
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        "INSERT INTO numbers (n) WITH RECURSIVE counting(n) AS "
        "(SELECT 0 UNION ALL SELECT n + 1 FROM counting WHERE n < 2499) SELECT n FROM counting"
    )
