"""Many writers on one store in PostgreSQL, and one that was thought dead."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from frame.audit import database as store
from frame.audit.recorder import Recorder
from frame.audit.verify.verification import verify_store
from frame.events import RunStatus

PROGRAM = """
import sys, threading, time
from frame.audit import database
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.canonical import digest
from frame.events import Chunk, Dropped, Payloads, PayloadKind, RowsRead, RunStatus

url, first, runs, chunks, pause = sys.argv[1], *map(int, sys.argv[2:6])
nodes = [NodeOpening(0, "in", "source"), NodeOpening(1, "drop", "transform")]

def record(number):
    with database.open(url) as store:
        opening = RunOpening(f"run-{number:04}", "any", b"{}", nodes, [], started_us=0, lease_s=0.2)
        recorder = Recorder(store).begin(opening)
        for chunk in range(chunks):
            tokens = range(10 * chunk, 10 * chunk + 10)
            kept = Payloads(PayloadKind.ROWS, 0, tokens, [b"{}"] * 10)
            events = [RowsRead(10 * chunk, tokens, digest(b"{}") * 10), Dropped(1, 0, tokens, "no", 1, 2)]
            recorder.commit(Chunk(chunk, 0, events, (kept,)))
            if pause:
                print(chunk, flush=True)
                time.sleep(pause / 1000)
        recorder.finish(RunStatus.COMPLETED, {"tokens": 10 * chunks}, 9)

threads = [threading.Thread(target=record, args=(first + n,)) for n in range(runs)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@contextmanager
def recording(url: str, *numbers: int) -> Iterator["subprocess.Popen[str]"]:
    arguments = [sys.executable, "-c", PROGRAM, url, *map(str, numbers)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_32_runs_at_once_all_finish_and_are_numbered_without_gaps(postgresql_store: str) -> None:
    with (
        recording(postgresql_store, 0, 8, 10, 0) as one,
        recording(postgresql_store, 8, 8, 10, 0) as two,
        recording(postgresql_store, 16, 8, 10, 0) as three,
        recording(postgresql_store, 24, 8, 10, 0) as four,
    ):
        said = [process.communicate(timeout=300)[1] for process in (one, two, three, four)]

    assert said == ["", "", "", ""]
    with store.open(postgresql_store) as database:
        with database.reading() as connection:
            runs = connection.exec_driver_sql("SELECT run, status FROM runs ORDER BY run").all()
        report = verify_store(database, None)
    assert [tuple(run) for run in runs] == [(number, "completed") for number in range(1, 33)]
    assert list(report.findings) == []
    assert [finding for run in report.runs for finding in run.findings] == []


@pytest.mark.parametrize("held_s", [0.0, 1.0], ids=["while it slept between commits", "long after its lease"])
def test_an_owner_that_was_paused_and_wakes_after_a_takeover_writes_nothing(
    store_url: str, held_s: float, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    store.open(store_url).close()
    with recording(store_url, 0, 1, 1_000, 20) as paused:
        assert paused.stdout is not None
        for _ in range(3):
            paused.stdout.readline()
        paused.send_signal(signal.SIGSTOP)
        with store.open(store_url) as database:
            wait_until(lambda: lease_is_over(database))
            time.sleep(held_s)
            heir = Recorder(database).resume("run-0000", time.time_ns() // 1000, host="elsewhere", lease_s=60)
            at = heir.next_chunk
            paused.send_signal(signal.SIGCONT)
            _, said = paused.communicate(timeout=60)

            assert "another process has taken over run run-0000" in said
            assert heir.next_chunk == at
            heir.finish(RunStatus.FAILED, {}, 5)
            with database.reading() as connection:
                count = connection.exec_driver_sql("SELECT count(*) FROM chunks").scalar_one()
    assert count == at


def lease_is_over(database: store.Database) -> bool:
    with database.reading() as connection:
        expires_us = connection.exec_driver_sql("SELECT expires_us FROM run_leases").scalar_one()
        return bool(expires_us < database.now_us(connection, time.time_ns() // 1000))


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(done: Callable[[], bool]) -> None:
        until = time.monotonic() + 30
        while not done():
            assert time.monotonic() < until
            time.sleep(0.02)

    return wait
