"""The tables of the record in PostgreSQL: partitions, triggers, roles.

What grows with the rows of a run is partitioned by a hash of the run, so that each index stays small and runs that
write at once stay out of each other's way. A reference from one such table to another is kept partition by
partition: both rows are of one run, so they are in partitions of the same number.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, ForeignKeyConstraint, Index, MetaData, Table
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

from frame.audit import schema
from frame.audit.migrations import fresh
from frame.audit.postgresql import SCHEMA, type_of

PARTITIONS = 64
LOCK = 0x66726D65
"""The advisory lock that is held while tables are made or changed."""

FUNCTIONS = {
    "refuse_change": """
BEGIN
  RAISE EXCEPTION 'the audit record is append-only: % on %', TG_OP, TG_ARGV[0];
END
""",
    "refuse_unless_purged": """
BEGIN
  IF NOT EXISTS (SELECT 1 FROM frame.purges p WHERE p.run = OLD.run) THEN
    RAISE EXCEPTION 'the audit record is append-only: % on %', TG_OP, TG_ARGV[0];
  END IF;
  RETURN OLD;
END
""",
}
"""Name -> body of what the triggers call."""


def _grows_with_rows(table: Table) -> bool:
    if table.name in {"chunks", "blocks"}:
        return True
    return any(
        foreign.referred_table.name != table.name and _grows_with_rows(foreign.referred_table)
        for foreign in table.foreign_key_constraints
    )


def _tables() -> tuple[Table, ...]:
    """The tables with their types in PostgreSQL, those before that others refer to."""
    metadata = MetaData()
    for table in schema.metadata.sorted_tables:
        copied = table.to_metadata(metadata)
        for column in copied.columns:
            column.type = type_of(column)
    return tuple(metadata.sorted_tables)


TABLES = _tables()
PARTITIONED = frozenset(table.name for table in TABLES if _grows_with_rows(table))
"""Whatever belongs to a chunk, and the blocks."""


def build(connection: Connection) -> None:
    """Create schema, tables, numbers, triggers and views in a database that has none, in one transaction."""
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    connection.exec_driver_sql(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC")
    run_script(connection, statements(connection))
    fresh.fill_numbers(connection)
    fresh.begin_log(connection)
    fresh.create_views(connection)


def run_script(connection: Connection, script: Iterable[str]) -> None:
    """Run many statements in one go; a percent sign in them means nothing."""
    connection.exec_driver_sql(";\n".join(script), execution_options={"no_parameters": True})


def _create_index(index: Index) -> CreateIndex:
    """What creates `index`, over the same rows as in SQLite.

    The schema says nothing of PostgreSQL: SQLAlchemy imports a dialect as soon as an option names it, in 20 ms that
    a run with a store in SQLite need not take.
    """
    index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
    return CreateIndex(index)


def statements(connection: Connection) -> Iterator[str]:
    """What creates tables and triggers, in order."""
    dialect = connection.dialect
    for table in TABLES:
        own = [each for each in table.foreign_key_constraints if not _is_by_partition(table, each)]
        created = str(
            CreateTable(table, include_foreign_key_constraints=own).compile(dialect=dialect)
        ).strip()
        yield f"{created} PARTITION BY HASH (run)" if table.name in PARTITIONED else created
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(_create_index(index).compile(dialect=dialect)).strip()
        if table.comment:
            yield str(SetTableComment(table).compile(dialect=dialect)).strip()
        for column in table.columns:
            if column.comment:
                yield str(SetColumnComment(column).compile(dialect=dialect)).strip()
    for name, body in FUNCTIONS.items():
        yield f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body${body}$body$"
    yield from triggers().values()
    for table in TABLES:
        if table.name in PARTITIONED:
            yield from _partitions(table)


def _is_by_partition(table: Table, foreign: ForeignKeyConstraint) -> bool:
    return {table.name, foreign.referred_table.name} <= PARTITIONED


def _partitions(table: Table) -> Iterator[str]:
    by_partition = [each for each in table.foreign_key_constraints if _is_by_partition(table, each)]
    for number in range(PARTITIONS):
        name = partition(table, number)
        yield (
            f"CREATE TABLE {name} PARTITION OF {table.name} "
            f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
        )
        for foreign in by_partition:
            mine = ", ".join(foreign.column_keys)
            theirs = ", ".join(element.column.name for element in foreign.elements)
            yield (
                f"ALTER TABLE {name} ADD FOREIGN KEY ({mine}) "
                f"REFERENCES {partition(foreign.referred_table, number)} ({theirs})"
            )
        yield _trigger(name, table.name, "TRUNCATE")


def partition(table: Table, number: int) -> str:
    """The name of a table's partition."""
    return f"{table.name}_p{number:02d}"


def triggers() -> dict[str, str]:
    """The statements that make every table of facts append-only, by the trigger's name."""
    return {
        f"{table.name}_no_{action.lower()}": _trigger(table.name, table.name, action)
        for table in schema.FACTS
        for action in ("UPDATE", "DELETE", "TRUNCATE")
    }


def _trigger(on: str, table: str, action: str) -> str:
    each = "STATEMENT" if action == "TRUNCATE" else "ROW"
    purged = table == "payload_data" and action == "DELETE"
    function = "refuse_unless_purged" if purged else "refuse_change"
    return (
        f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {on} "
        f"FOR EACH {each} EXECUTE FUNCTION {function}('{table}')"
    )
