"""Whether the files of a store in PostgreSQL are sound, as the server's own `amcheck` sees it."""

from collections.abc import Iterator

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from frame.audit.postgresql import SCHEMA

_MAY_CHECK = """
SELECT count(*) FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid
WHERE e.extname = 'amcheck' AND p.proname IN ('bt_index_check', 'verify_heapam')
  AND has_function_privilege(p.oid, 'EXECUTE')
"""
_RELATIONS = f"""
SELECT c.relkind, c.oid::int8, c.relname FROM pg_class c LEFT JOIN pg_am a ON a.oid = c.relam
WHERE c.relnamespace = to_regnamespace('{SCHEMA}') AND (c.relkind = 'r' OR (c.relkind = 'i' AND a.amname = 'btree'))
ORDER BY c.relname
"""


def damages(connection: Connection) -> Iterator[str]:
    """What is wrong with tables and indexes; nothing where amcheck is not installed, or is not for this role."""
    if connection.exec_driver_sql(_MAY_CHECK).scalar_one() == 0:
        return
    where = connection.exec_driver_sql(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'"
    ).scalar_one()
    relations = connection.exec_driver_sql(_RELATIONS).all()
    # Each check stands by itself: an index that is damaged is told by an error.
    with connection.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as checking:
        for kind, oid, name in relations:
            asked = (
                f'SELECT msg FROM "{where}".verify_heapam({oid}::regclass)'
                if kind == "r"
                else f'SELECT "{where}".bt_index_check({oid}::regclass, true)'
            )
            try:
                found = checking.exec_driver_sql(asked)
                said = [str(row.msg) for row in found] if kind == "r" else []
            except DBAPIError as error:
                said = [str(error.orig)]
            for each in said:
                yield f"{name}: {each}"
