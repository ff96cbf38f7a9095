"""The recorder: what is committed comes back, and only its holder may write a run."""

from collections.abc import Iterator
from copy import copy
from typing import Any

import pytest
from frame.audit import database as store
from frame.audit.chunks import read_chunks
from frame.audit.database import Database
from frame.audit.opening import EdgeOpening, NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.errors import AuditError, FrameBug, Refused, TryAgainLater
from frame.events import (
    Chunk,
    Path,
    PayloadKind,
    Payloads,
    RowsRead,
    RunStatus,
    SinkConfirmed,
    SinkIntended,
    Visited,
)

RUN = "018bcfe5-6800-7000-8000-000000000000"


def opening(run_id: str = RUN, **changes: object) -> RunOpening:
    nodes = [
        NodeOpening(0, "in", "source", "csv", "files", "frame-files", "0.1", "ab", 1, "io_read"),
        NodeOpening(1, "gain", "transform", "compute", on_error=[None]),
        NodeOpening(2, "out", "sink", "csv"),
    ]
    edges = [EdgeOpening(0, 1, "continue", "continue"), EdgeOpening(1, 2, "continue", "continue")]
    return RunOpening(run_id, "flights", b'{"frame":1}', nodes, edges, started_us=1_000_000, **changes)  # type: ignore[arg-type]


def chunk(number: int, first: int, count: int, confirm: int | None = None) -> Chunk:
    tokens = range(first, first + count)
    digests = bytes(32) * count
    confirmed = [] if confirm is None else [SinkConfirmed(2, confirm, {"bytes": 7}, 5, 6)]
    return Chunk(
        number,
        9,
        [
            *confirmed,
            RowsRead(first, tokens, digests),
            Visited(1, 0, tokens, digests, 1, 2),
            SinkIntended(2, number, 1, tokens, [(Path.DEFAULT_FLOW, count)], b"c" * 32, f"key-{number}"),
        ],
        (Payloads(PayloadKind.ROWS, 0, tokens, [b"{}"] * count),),
        position={"row": first + count},
    )


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    with store.open(store_url) as opened:
        yield opened


def expire_leases(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE run_leases SET expires_us = 2")


def test_what_was_committed_comes_back(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    chunks = [chunk(0, 0, 3), chunk(1, 3, 2, confirm=0)]

    for one in chunks:
        recorder.commit(one)

    with database.reading() as connection:
        assert list(read_chunks(connection, recorder.run)) == chunks
        assert list(read_chunks(connection, recorder.run, 1)) == chunks[1:]


def test_a_run_whose_tokens_have_all_ended_can_be_completed_once(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    recorder.commit(chunk(0, 0, 3))
    recorder.commit(Chunk(1, 9, [SinkConfirmed(2, 0, None, 5, 6)]))

    recorder.finish(RunStatus.COMPLETED, {"succeeded": 3}, 77)

    with pytest.raises(AuditError, match="has ended already: it is completed"):
        recorder.finish(RunStatus.FAILED, {}, 78)


def test_a_run_with_a_token_in_flight_cannot_be_completed(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    recorder.commit(chunk(0, 0, 3))

    with pytest.raises(AuditError, match="token 0 has no end"):
        recorder.finish(RunStatus.COMPLETED, {"succeeded": 3}, 77)
    recorder.finish(RunStatus.INTERRUPTED, {"succeeded": 0}, 78)


def test_counters_that_differ_from_the_record_are_refused(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    recorder.commit(chunk(0, 0, 3))
    recorder.commit(Chunk(1, 9, [SinkConfirmed(2, 0, None, 5, 6)]))

    with pytest.raises(AuditError, match="counter 'succeeded' is 4 in the engine and 3 on record"):
        recorder.finish(RunStatus.COMPLETED, {"succeeded": 4}, 77)


def test_a_chunk_that_refers_to_an_unknown_node_is_refused_whole(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    wrong = Chunk(0, 0, [*chunk(0, 0, 3).events, Visited(9, 0, range(1), None, 1, 2)])

    with pytest.raises(AuditError, match=r"(?i)foreign key"):
        recorder.commit(wrong)

    with database.reading() as connection:
        assert list(read_chunks(connection, recorder.run)) == []


def test_a_chunk_out_of_turn_is_a_bug(database: Database) -> None:
    recorder = Recorder(database).begin(opening())

    with pytest.raises(FrameBug, match="chunk 1 was handed in where 0 is next"):
        recorder.commit(chunk(1, 0, 3))


def test_a_stale_writer_is_fenced_off(database: Database) -> None:
    stale = Recorder(database).begin(opening(lease_s=10.0))
    with pytest.raises(TryAgainLater, match="held by process 0"):
        Recorder(database).resume(RUN, now_us=2_000_000)

    expire_leases(database)
    holder = Recorder(database).resume(RUN, now_us=2_000_000)

    for act in (
        lambda: stale.commit(chunk(0, 0, 3)),
        lambda: stale.renew_lease(13_000_000),
        lambda: stale.finish(RunStatus.FAILED, {}, 1),
    ):
        with pytest.raises(AuditError, match="another process has taken over"):
            act()
    holder.commit(chunk(0, 0, 3))
    holder.renew_lease(13_000_000)


def test_a_run_that_ended_well_is_not_resumed(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    recorder.finish(RunStatus.EMPTY, {}, 5)

    with pytest.raises(Refused, match="is empty; there is nothing to resume"):
        Recorder(database).resume(RUN, now_us=99_000_000)


def test_a_commit_that_raised_and_took_place_is_not_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(database).begin(opening())
    really = database.engine.dialect.do_commit
    lost = iter([True])

    def commit_and_lose_the_answer(connection: Any) -> None:
        really(connection)
        if next(lost, False):
            raise database.engine.dialect.dbapi.OperationalError("the answer was lost")

    monkeypatch.setattr(database.engine.dialect, "do_commit", commit_and_lose_the_answer)

    recorder.commit(chunk(0, 0, 3))
    recorder.commit(chunk(1, 3, 3))

    with database.reading() as connection:
        assert [one.number for one in read_chunks(connection, recorder.run)] == [0, 1]


def test_a_commit_that_did_not_take_place_stops_the_run_and_can_be_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(database).begin(opening())

    def no_room(connection: Any) -> None:
        raise database.engine.dialect.dbapi.InternalError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(database.engine.dialect, "do_commit", no_room)
        with pytest.raises(AuditError, match="disk is full"):
            recorder.commit(chunk(0, 0, 3))
    recorder.commit(chunk(0, 0, 3))

    with database.reading() as connection:
        assert [one.number for one in read_chunks(connection, recorder.run)] == [0]


def test_of_two_writers_that_both_believe_to_be_next_one_is_stopped(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    twin = copy(recorder)

    recorder.commit(chunk(0, 0, 3))

    with pytest.raises(AuditError, match="another process has taken over"):
        twin.commit(chunk(0, 0, 3))


def test_a_new_epoch_stops_the_writer_of_the_old_one(database: Database) -> None:
    recorder = Recorder(database).begin(opening())

    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE heads SET epoch = 2")

    with pytest.raises(AuditError, match="another process has taken over"):
        recorder.commit(chunk(0, 0, 3))
