"""Opening an audit store: what is no store is refused and left alone, what is one is durable."""

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from frame.audit import database as store
from frame.audit import schema
from frame.audit.migrations import NEWEST
from frame.audit.sqlite import APPLICATION_ID
from frame.errors import AuditError, Refused, UsageError
from sqlalchemy import insert, text


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    connection.close()


def truncated_store(path: Path) -> None:
    store.open(url(path)).close()
    os.truncate(path, 60)


def store_of_a_newer_frame(path: Path) -> None:
    with store.open(url(path)) as database, database.writing() as connection:
        connection.execute(insert(schema.migrations), {"number": 99, "name": "future", "applied_us": 0})


def shredded_store(path: Path) -> None:
    store.open(url(path)).close()
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff" * (len(data) - 100))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (Path.touch, Refused, "is empty, and an audit store never is"),
        (lambda path: path.write_bytes(b"garbage" * 100), Refused, "not a SQLite file"),
        (other_database, Refused, "is a SQLite file, but not an audit store"),
        (truncated_store, Refused, "is a SQLite file, but not an audit store"),
        (Path.mkdir, Refused, "is a directory"),
        (shredded_store, AuditError, "damaged: restore it from a copy"),
        (store_of_a_newer_frame, Refused, f"has schema version 99, and this frame knows {NEWEST}"),
    ],
    ids=["zero bytes", "garbage", "another database", "cut short", "directory", "shredded", "newer"],
)
def test_what_is_no_store_of_ours_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], object], error: type[Exception], message: str
) -> None:
    path = tmp_path / "audit.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(error, match=message):
        store.open(url(path))

    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_store_that_may_not_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.db"
    store.open(url(path)).close()
    path.chmod(stat.S_IRUSR)
    # The superuser may write everywhere, so the permission that the test took away has to be asked differently.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)

    with pytest.raises(Refused, match=r"read-only\. Make the file and its folder writable"):
        store.open(url(path))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("audit.db", "not a database URL"),
        ("sqlite://", "has to be a file"),
        ("sqlite:///:memory:", "has to be a file"),
        ("mysql://me:hunter22@host/db", r"not in mysql \(mysql://[^:]+@host/db\)"),
    ],
)
def test_a_url_that_makes_no_sense_is_named(asked: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        store.open(asked)


def test_no_store_is_made_when_one_is_only_to_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no audit store at"):
        store.open(url(tmp_path / "absent" / "audit.db"), create=False)

    assert list(tmp_path.iterdir()) == []


def test_a_new_store_comes_with_its_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    store.open(url(tmp_path / "a" / "b" / "audit.db")).close()

    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["audit.db"]


def test_commits_are_durable_and_references_checked(tmp_path: Path) -> None:
    with store.open(url(tmp_path / "audit.db")) as database, database.reading() as connection:
        asked = (
            "journal_mode",
            "synchronous",
            "foreign_keys",
            "busy_timeout",
            "application_id",
            "user_version",
        )
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]

    assert found == ["wal", 2, 1, 60_000, APPLICATION_ID, NEWEST]


def test_a_reference_to_nothing_is_refused(tmp_path: Path) -> None:
    with (
        store.open(url(tmp_path / "audit.db")) as database,
        pytest.raises(AuditError, match="FOREIGN KEY constraint failed"),
        database.writing() as connection,
    ):
        connection.execute(insert(schema.edges), [{**_EDGE, "run": 7}])


_EDGE = {"edge": 0, "origin": 0, "target": 1, "label": "x", "mode": "route"}


@pytest.mark.parametrize("table", [table.name for table in schema.FACTS])
@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_facts_are_neither_changed_nor_deleted(filled: store.Database, table: str, statement: str) -> None:
    first = next(iter(schema.metadata.tables[table].columns)).name

    with pytest.raises(AuditError, match="the audit record is append-only"), filled.writing() as connection:
        connection.execute(text(statement.format(table, first)))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> store.Database:
    """A store with a row in every table, put there with the references unchecked."""
    path = tmp_path_factory.mktemp("audit") / "audit.db"
    store.open(url(path)).close()
    connection = sqlite3.connect(path)
    for table in schema.FACTS:
        if table.name not in ("migrations", "numbers", "purges"):
            values = ", ".join("1" for _ in table.columns)
            connection.execute(f"INSERT OR IGNORE INTO {table.name} VALUES ({values})")
    connection.execute("INSERT INTO purges VALUES (2, 1, 1)")
    connection.commit()
    connection.close()
    return store.open(url(path))


def test_only_heads_and_leases_can_change() -> None:
    assert frozenset({"heads", "run_leases", "store_head"}) == schema.MUTABLE
    assert {table.name for table in schema.FACTS} | schema.MUTABLE == set(schema.metadata.tables)
