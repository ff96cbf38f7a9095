"""The recorder in a thread of its own: in order, bounded, and silent after its first error."""

from pathlib import Path as FilePath

import pytest
from frame.audit import database as store
from frame.audit.database import Database
from frame.audit.decoding import read_chunks
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.audit.threaded import ThreadedRecorder
from frame.errors import AuditError
from frame.events import Chunk, RowsRead, RunStatus, Visited

OPENING = RunOpening("one", "any", b"{}", [NodeOpening(0, "in", "source")], [], started_us=0, lease_s=1.0)


@pytest.fixture
def database(tmp_path: FilePath) -> Database:
    return store.open(f"sqlite:///{tmp_path}/audit.db")


def rows_read(number: int) -> Chunk:
    return Chunk(number, 0, [RowsRead(number, range(number, number + 1), bytes(32))])


def test_chunks_become_durable_in_the_order_of_submission(database: Database) -> None:
    with ThreadedRecorder(Recorder(database).begin(OPENING)) as recorder:
        futures = [recorder.submit(rows_read(number)) for number in range(20)]
        recorder.flush()

        assert all(future.done() for future in futures)
        with database.reading() as connection:
            assert [chunk.number for chunk in read_chunks(connection, 1)] == list(range(20))


def test_the_first_error_sticks(database: Database) -> None:
    with ThreadedRecorder(Recorder(database).begin(OPENING)) as recorder:
        Recorder(database).resume("one", now_us=2_000_000)

        lost = recorder.submit(rows_read(0))

        with pytest.raises(AuditError, match="another process has taken over"):
            lost.result()
        for act in (
            lambda: recorder.submit(rows_read(1)),
            recorder.flush,
            lambda: recorder.finish(RunStatus.FAILED, {}, 1),
        ):
            with pytest.raises(AuditError, match="another process has taken over"):
                act()


def test_a_chunk_that_refers_to_an_unknown_node_is_refused_whole(database: Database) -> None:
    with ThreadedRecorder(Recorder(database).begin(OPENING)) as recorder:
        wrong = Chunk(0, 0, [*rows_read(0).events, Visited(9, 0, range(1), None, 1, 2)])

        with pytest.raises(AuditError, match="FOREIGN KEY"):
            recorder.commit(wrong)

        with database.reading() as connection:
            assert list(read_chunks(connection, 1)) == []
