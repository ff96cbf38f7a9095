"""Whether tables, triggers and views in PostgreSQL are still as `frame audit init` made them.

The catalogue of the server is compared with what the code would create. Indexes and statistics that somebody has
added change no answer and are not looked at.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.exc import DBAPIError

from frame.audit import schema, views
from frame.audit.postgresql import SCHEMA
from frame.audit.postgresql_schema import FUNCTIONS, PARTITIONED, PARTITIONS, TABLES, partition

_HERE = f"c.relnamespace = to_regnamespace('{SCHEMA}')"
_RELATIONS = f"""
SELECT c.relname, c.relkind::text, c.relrowsecurity FROM pg_class c
WHERE {_HERE} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
"""
_COLUMNS = f"""
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
WHERE {_HERE} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""
_CONSTRAINTS = f"""
SELECT c.relname, pg_get_constraintdef(k.oid), k.convalidated FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid WHERE {_HERE} AND k.contype IN ('p', 'u', 'f')
"""
_TRIGGERS = f"""
SELECT c.relname, t.tgname, p.proname, t.tgtype, t.tgenabled::text, t.tgisinternal FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid WHERE {_HERE}
"""
_FUNCTIONS = f"SELECT proname, prosrc FROM pg_proc c WHERE c.pronamespace = to_regnamespace('{SCHEMA}')"
_RULES = f"""
SELECT c.relname, r.rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE {_HERE} AND r.rulename <> '_RETURN'
"""
_ROW, _BEFORE, _DELETE, _UPDATE, _TRUNCATE = 1, 2, 8, 16, 32
_EVENTS = {
    "update": _ROW | _BEFORE | _UPDATE,
    "delete": _ROW | _BEFORE | _DELETE,
    "truncate": _BEFORE | _TRUNCATE,
}


class Difference(NamedTuple):
    """Something that is not as it was made. `name`: of the table, view or function."""

    name: str
    what: str


def differences(connection: Connection) -> Iterator[Difference]:
    """What is defined otherwise than frame defines it, what is missing, and what is none of frame's."""
    yield from _relations(connection)
    yield from _columns(connection)
    yield from _constraints(connection)
    yield from _triggers(connection)
    yield from _functions(connection)
    for table, rule in connection.exec_driver_sql(_RULES).all():
        yield Difference(table, f"there is a rule {rule} on {table}, which is none of frame's")
    yield from _views(connection)


def _partitions(table: Table) -> list[str]:
    return [partition(table, number) for number in range(PARTITIONS)] if table.name in PARTITIONED else []


def _relations(connection: Connection) -> Iterator[Difference]:
    expected = {table.name: "p" if table.name in PARTITIONED else "r" for table in TABLES}
    expected |= {name: "r" for table in TABLES for name in _partitions(table)}
    expected |= dict.fromkeys(views.VIEWS, "v")
    found = {name: (kind, hides) for name, kind, hides in connection.exec_driver_sql(_RELATIONS).all()}
    for name in sorted({*found, *expected}):
        if name not in found:
            yield Difference(name, f"{name} is missing")
        elif name not in expected:
            yield Difference(name, f"there is a table or view {name}, which is none of frame's")
        elif found[name] != (expected[name], False):
            yield Difference(name, f"{name} is another kind of table, or hides rows")


def _columns(connection: Connection) -> Iterator[Difference]:
    dialect = connection.dialect
    expected = {
        (name, column.name): (column.type.compile(dialect).lower(), not column.nullable)
        for table in TABLES
        for name in (table.name, *_partitions(table))
        for column in table.columns
    }
    rows = connection.exec_driver_sql(_COLUMNS).all()
    found = {(table, column): (kind, required) for table, column, kind, required in rows}
    for table, column in sorted({key for key in {*found, *expected} if found.get(key) != expected.get(key)}):
        yield Difference(table, f"column {column} of {table} is not defined as frame defines it")


def _constraints(connection: Connection) -> Iterator[Difference]:
    rows = connection.exec_driver_sql(_CONSTRAINTS).all()
    found = {(table, said.replace(f"{SCHEMA}.", "").replace('"', "")) for table, said, valid in rows if valid}
    for table in TABLES:
        for constraint in table.constraints:
            for name, said in _said(table, constraint):
                if (name, said) not in found:
                    yield Difference(name, f"{name} lacks: {said}")


def _said(table: Table, constraint: object) -> Iterator[tuple[str, str]]:
    """A constraint in PostgreSQL's words, and the tables that have to have it."""
    match constraint:
        case PrimaryKeyConstraint() | UniqueConstraint():
            kind = "PRIMARY KEY" if isinstance(constraint, PrimaryKeyConstraint) else "UNIQUE"
            said = f"{kind} ({', '.join(constraint.columns.keys())})"
            for name in (table.name, *_partitions(table)):
                yield name, said
        case ForeignKeyConstraint():
            theirs = ", ".join(element.column.name for element in constraint.elements)
            said = f"FOREIGN KEY ({', '.join(constraint.column_keys)}) REFERENCES "
            referred = constraint.referred_table
            if {table.name, referred.name} <= PARTITIONED:
                for number in range(PARTITIONS):
                    yield partition(table, number), f"{said}{partition(referred, number)}({theirs})"
            else:
                for name in (table.name, *_partitions(table)):
                    yield name, f"{said}{referred.name}({theirs})"


def _triggers(connection: Connection) -> Iterator[Difference]:
    facts = {table.name for table in schema.FACTS}
    expected = {
        (name, f"{table.name}_no_{action}"): (_function(table, action), kind, "O")
        for table in TABLES
        if table.name in facts
        for name in (table.name, *_partitions(table))
        for action, kind in _EVENTS.items()
    }
    rows = connection.exec_driver_sql(_TRIGGERS).all()
    found = {
        (table, name): (function, kind, enabled)
        for table, name, function, kind, enabled, internal in rows
        if not internal
    }
    for table, name in sorted({key for key in {*found, *expected} if found.get(key) != expected.get(key)}):
        yield Difference(table, f"trigger {name} of {table} is missing, switched off, or none of frame's")
    for table in sorted({row.relname for row in rows if row.tgisinternal and row.tgenabled != "O"}):
        yield Difference(table, f"the references of {table} are not checked: their triggers are switched off")


def _function(table: Table, action: str) -> str:
    return "refuse_unless_purged" if (table.name, action) == ("payload_data", "delete") else "refuse_change"


def _functions(connection: Connection) -> Iterator[Difference]:
    found: dict[str, str] = {row.proname: row.prosrc for row in connection.exec_driver_sql(_FUNCTIONS)}
    for name in sorted({name for name in {*found, *FUNCTIONS} if found.get(name) != FUNCTIONS.get(name)}):
        yield Difference(name, f"the function {name} is missing, changed, or none of frame's")


def _views(connection: Connection) -> Iterator[Difference]:
    """Definitions are compared as the server words them, so ours are handed to it under other names for a moment."""
    asked = (
        f"SELECT pg_get_viewdef(to_regclass('{SCHEMA}.{{}}')), pg_get_viewdef('pg_temp.made_{{}}'::regclass)"
    )
    try:
        with connection.engine.connect() as other, other.begin() as transaction:
            for name, query in views.VIEWS.items():
                other.exec_driver_sql(
                    f"CREATE TEMP VIEW made_{name} AS {query}", execution_options={"no_parameters": True}
                )
                found, expected = other.exec_driver_sql(asked.format(name, name)).one()
                if found != expected:
                    yield Difference(name, f"the view {name} is not defined as frame defines it")
            transaction.rollback()
    except DBAPIError:
        return  # who may not make temporary views has to do without this comparison
