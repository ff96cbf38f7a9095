"""The database itself: its own check of its file, its schema, and references that lead nowhere (F6)."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, create_engine, select

from frame.audit import schema
from frame.audit.database import Database
from frame.audit.migrations import fresh
from frame.audit.packing import SEGMENT
from frame.audit.verify.report import Finding

MOST_DAMAGES = 20
_SPACES = re.compile(r"[ \t\n]+")
DAMAGED = "the file was damaged, or changed by other means than SQL"
LOOSENED = "somebody may have changed or removed facts while it was so"


def check_database(database: Database, connection: Connection) -> Iterator[Finding]:
    """What is wrong with the database as such, whatever it holds."""
    for number, said in enumerate(database.damages(connection)):
        if number < MOST_DAMAGES:
            yield Finding("database", said, DAMAGED)
    if connection.dialect.name == "sqlite":
        yield from _check_header(Path(database.where))
        yield from _check_schema(connection)
        yield from _check_references(connection)
    else:
        yield from _check_definitions(connection)
    yield from _check_numbers(connection)


# --- SQLite ---------------------------------------------------------------------------------------


def _check_schema(connection: Connection) -> Iterator[Finding]:
    found, expected = _schema_texts(connection), _schema_of_a_new_store()
    for kind, name in sorted({*found, *expected}):
        stands, should = found.get((kind, name)), expected.get((kind, name))
        if stands == should:
            continue
        if stands is None:
            what = f"the {kind} {name} is missing"
        elif should is None:
            what = f"there is a {kind} {name}, which is none of frame's"
        else:
            what = f"the {kind} {name} is not defined as frame defines it"
        yield Finding("schema", what, LOOSENED, table=name)


def _schema_texts(connection: Connection) -> dict[tuple[str, str], str]:
    asked = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
    rows = connection.exec_driver_sql(asked).all()
    return {
        (kind, name): f"{table}: {_SPACES.sub(' ', sql or '').strip()}" for kind, name, table, sql in rows
    }


@cache
def _schema_of_a_new_store() -> dict[tuple[str, str], str]:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            fresh.build(connection)
            return _schema_texts(connection)
    finally:
        engine.dispose()


def _check_references(connection: Connection) -> Iterator[Finding]:
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    for table, rowid, target, _ in dangling[:MOST_DAMAGES]:
        what = f"a row refers to one of {target} that is not there ({len(dangling)} such rows in all)"
        key = None if rowid is None else f"rowid {rowid}"
        yield Finding("F6", what, "rows were removed, or put in from elsewhere", table=table, key=key)


_HEADER = (
    ("page format", 18, b"\x02\x02"),
    ("reserved bytes and payload fractions", 20, b"\x00\x40\x20\x20"),
    ("schema format and cache", 44, b"\x00\x00\x00\x04\x00\x00\x00\x00"),
    ("vacuum mode, encoding", 52, b"\x00\x00\x00\x00\x00\x00\x00\x01"),
    ("vacuum flag, application", 64, b"\x00\x00\x00\x00frme"),
    ("reserved space", 72, bytes(20)),
)
"""Fields of the file's header that SQLite itself would not miss (sqlite.org/fileformat2.html, 1.3): where, and what
every store has there."""


def _check_header(path: Path) -> Iterator[Finding]:
    with path.open("rb") as file:
        header = file.read(100)
    for name, at, expected in _HEADER:
        if header[at : at + len(expected)] != expected:
            yield Finding("database", f"the header of the file has another {name}", DAMAGED, key=f"byte {at}")
    if header[24:28] != header[92:96]:
        said = "the header of the file has two change counters that differ"
        yield Finding("database", said, DAMAGED, key="byte 24")
    if not 3_000_000 <= int.from_bytes(header[96:100], "big") < 4_000_000:
        yield Finding("database", "the header names no version of SQLite 3", DAMAGED, key="byte 96")


# --- PostgreSQL -----------------------------------------------------------------------------------


def _check_definitions(connection: Connection) -> Iterator[Finding]:
    from frame.audit.postgresql_definitions import differences

    for found in differences(connection):
        yield Finding("schema", found.what, LOOSENED, table=found.name)


# --- Every database -------------------------------------------------------------------------------


def _check_numbers(connection: Connection) -> Iterator[Finding]:
    numbers = schema.numbers
    found = connection.scalars(select(numbers.c.n).order_by(numbers.c.n)).all()
    if list(found) != list(range(SEGMENT)):
        said = f"it does not hold the numbers from 0 to {SEGMENT - 1}"
        yield Finding("derived", said, "the views show too little or too much", table="numbers")
