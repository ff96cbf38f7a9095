"""Schema versions: an old store becomes what a new one is, and keeps all that it held."""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from frame.audit import database as store
from frame.audit import migrations, queries
from frame.audit.chunks import read_chunks
from frame.audit.migrations import v0001_packed_record, v0002_chained_record, v0003_places_in_batches
from frame.audit.recorder import Recorder
from frame.audit.verify import verify_store
from frame.errors import AuditError
from frame.events import Chunk, PayloadKind, RunStatus, SinkConfirmed
from sqlalchemy import create_engine

STORES = Path(__file__).parents[1] / "golden" / "stores"
CRASHED = "018bcfe5-6800-7000-8000-000000000000"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as schema version 1 wrote it: a run with failures, forks and batches, and one that crashed."""
    return of_version(1, tmp_path)


def of_version(number: int, folder: Path) -> Path:
    path = folder / f"v{number}.db"
    path.write_bytes(gzip.decompress((STORES / f"v{number}.db.gz").read_bytes()))
    return path


def schema_texts(path: Path) -> dict[tuple[str, str], str]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {(kind, name): " ".join(sql.split()) for kind, name, sql in found}


def counted(path: Path, tables: list[str]) -> dict[str, int]:
    connection = sqlite3.connect(path)
    counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    connection.close()
    return counts


def test_a_migrated_store_has_the_schema_of_a_new_one(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"

    store.open(f"sqlite:///{old}").close()
    store.open(f"sqlite:///{new}").close()

    assert schema_texts(old) == schema_texts(new)


def test_step_by_step_from_nothing_leads_to_the_schema_of_a_new_store(tmp_path: Path) -> None:
    new, stepped = tmp_path / "new.db", tmp_path / "stepped.db"
    store.open(f"sqlite:///{new}").close()

    engine = create_engine(f"sqlite:///{stepped}")
    with engine.begin() as connection:
        v0001_packed_record.apply(connection)
        v0002_chained_record.apply(connection)
        v0003_places_in_batches.apply(connection)
    engine.dispose()

    assert schema_texts(stepped) == schema_texts(new)


def test_what_an_old_store_held_is_all_there(old: Path) -> None:
    kept = ["run_headers", "nodes", "segments", "segment_digests", "errors", "intents", "payload_blocks"]
    before = counted(old, kept)

    with store.open(f"sqlite:///{old}") as database, database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == migrations.NEWEST
        chunks = list(read_chunks(connection, 1))
        small, crashed = sorted(queries.list_runs(connection, now_us=9**18), key=lambda run: run.run)
        assert queries.payload_of(connection, 1, PayloadKind.ROWS, 0) == b'{"n":1,"word":"a"}'

    assert counted(old, kept) == before
    assert sum(len(payloads.items) for chunk in chunks for payloads in chunk.payloads) == 23
    assert (small.status, small.counters["succeeded"]) == (RunStatus.COMPLETED_WITH_FAILURES, 10)
    assert crashed.status is RunStatus.CRASHED


def test_a_run_that_an_old_store_left_open_can_be_gone_on_with(old: Path) -> None:
    with store.open(f"sqlite:///{old}") as database:
        recorder = Recorder(database).resume(CRASHED, now_us=99_000_000)
        recorder.commit(Chunk(recorder.next_chunk, 9, [SinkConfirmed(1, 0, None, 5, 6)]))
        recorder.finish(RunStatus.COMPLETED, {"succeeded": 2}, 100_000_000)

        # The two commits before were made without blocks.
        assert recorder.head.blocks == 3


def test_an_old_store_is_migrated_once(old: Path) -> None:
    store.open(f"sqlite:///{old}").close()

    with store.open(f"sqlite:///{old}") as database, database.reading() as connection:
        applied = connection.exec_driver_sql("SELECT number, name FROM migrations ORDER BY number").all()
        logged = connection.exec_driver_sql("SELECT kind FROM store_log").scalars().all()

    names = "packed record", "chained record", "places in batches"
    assert [tuple(row) for row in applied] == list(enumerate(names, 1))
    assert logged == ["migrated"]


def test_an_old_store_that_cannot_be_migrated_stays_as_it_was(old: Path) -> None:
    connection = sqlite3.connect(old)
    connection.execute("CREATE TABLE blocks (stands INTEGER, inthe INTEGER, way INTEGER)")
    connection.commit()
    connection.close()
    before = schema_texts(old)

    with pytest.raises(AuditError, match="table blocks already exists"):
        store.open(f"sqlite:///{old}")

    assert schema_texts(old) == before


def test_members_are_counted_from_the_beginning_of_a_batch_since_version_3(tmp_path: Path) -> None:
    """The store was kept by schema version 2: a batch that took in two rows a commit."""
    path, new = of_version(2, tmp_path), tmp_path / "new.db"
    asked = "SELECT chunk, token, place FROM batch_members ORDER BY token"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(asked).fetchall() == [(0, 0, 0), (0, 1, 1), (1, 2, 0), (1, 3, 1), (2, 4, 0)]

    store.open(f"sqlite:///{new}").close()
    with store.open(f"sqlite:///{path}") as database, database.reading() as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(asked)]
        report = verify_store(database, None)

    assert found == [(0, 0, 0), (0, 1, 1), (1, 2, 2), (1, 3, 3), (2, 4, 4)]
    assert schema_texts(path) == schema_texts(new)
    assert report.all_findings == []


def test_a_store_whose_runs_are_chained_excuses_none_when_it_is_migrated(tmp_path: Path) -> None:
    path = of_version(2, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("blocks", "checkpoints"):
            connection.execute(f"DROP TRIGGER {table}_no_delete")
            connection.execute(f"DELETE FROM {table}")
        connection.commit()

    with store.open(f"sqlite:///{path}") as database:
        said = [finding.what for finding in verify_store(database, None).all_findings]

    assert "the run has no blocks, and was recorded when every commit had one" in said
