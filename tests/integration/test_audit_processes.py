"""The record and real processes: several at once, and one that is killed while it commits."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from frame.audit import database as store
from frame.audit import queries
from frame.audit.chunks import read_chunks
from frame.audit.recorder import Recorder
from frame.events import Chunk, RowsRead, RunStatus

WRITER = """
import os, signal, sys
from frame.audit import database as store
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.events import Chunk, RowsRead

path, run_id, chunks, kill_at, when = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
database = store.open(f"sqlite:///{path}")
nodes = [NodeOpening(0, "in", "source")]
recorder = Recorder(database).begin(RunOpening(run_id, "any", b"{}", nodes, [], started_us=0, lease_s=1.0))
commit = database.engine.dialect.do_commit

def kill_myself(connection):
    if when == "after":
        commit(connection)
    os.kill(os.getpid(), signal.SIGKILL)

for number in range(chunks):
    if number == kill_at:
        database.engine.dialect.do_commit = kill_myself
    tokens = range(10 * number, 10 * number + 10)
    recorder.commit(Chunk(number, 0, [RowsRead(10 * number, tokens, bytes([number]) * 320)]))
"""


def writer(
    path: Path, run_id: str, chunks: int, kill_at: int = -1, when: str = ""
) -> subprocess.Popen[bytes]:
    arguments = [str(path), run_id, str(chunks), str(kill_at), when]
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stderr=subprocess.PIPE)


def chunk(number: int) -> Chunk:
    tokens = range(10 * number, 10 * number + 10)
    return Chunk(number, 0, [RowsRead(10 * number, tokens, bytes([number]) * 320)])


def test_two_processes_record_their_runs_in_one_store_that_neither_finds_there(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    processes = [writer(path, run_id, chunks=60) for run_id in ("run-a", "run-b", "run-c")]

    said = [process.communicate(timeout=60)[1] for process in processes]

    assert said == [b"", b"", b""]

    with store.open(f"sqlite:///{path}") as database, database.reading() as connection:
        for run_id in ("run-a", "run-b", "run-c"):
            run = queries.find_run(connection, run_id)
            assert list(read_chunks(connection, run)) == [chunk(number) for number in range(60)]


@pytest.mark.parametrize(("when", "durable"), [("before", 5), ("after", 6)])
def test_a_writer_killed_in_its_commit_leaves_whole_chunks_and_can_be_followed(
    tmp_path: Path, when: str, durable: int
) -> None:
    path = tmp_path / "audit.db"
    process = writer(path, "run-a", chunks=9, kill_at=5, when=when)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    with store.open(f"sqlite:///{path}") as database:
        with database.reading() as connection:
            assert list(read_chunks(connection, 1)) == [chunk(number) for number in range(durable)]
            (crashed,) = queries.list_runs(connection, now_us=5_000_000)
        assert crashed.status is RunStatus.CRASHED
        recorder = Recorder(database).resume("run-a", now_us=5_000_000)
        assert recorder.next_chunk == durable
        recorder.commit(chunk(durable))

        with database.reading() as connection:
            assert list(read_chunks(connection, 1)) == [chunk(number) for number in range(durable + 1)]
            assert [event.kind for event in queries.run_events(connection, 1)] == ["started", "resumed"]
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
