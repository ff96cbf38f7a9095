"""Runs are found by what people type and described by what is on record."""

from collections.abc import Iterator

import pytest
from frame.audit import database as store
from frame.audit import queries
from frame.audit.opening import EdgeOpening, NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.canonical import canonical, digest
from frame.errors import AuditError, UsageError
from frame.events import Called, Chunk, Noted, PayloadKind, Payloads, RunStatus

CONFIG = {"frame": 1, "name": "flights"}
NODES = [
    NodeOpening(
        0, "in", "source", "csv", "files", "frame-files", "0.1", "ab", 1, "io_read", {"path": "x.csv"}
    ),
    NodeOpening(1, "out", "sink", "jsonl"),
]


def opening(run_id: str, started_us: int) -> RunOpening:
    edges = [EdgeOpening(0, 1, "continue", "continue")]
    what = {"settings": {"chunk_rows": 1000}, "seed": 7, "frame_version": "0.1.0", "host": "here", "pid": 42}
    return RunOpening(run_id, "flights", canonical(CONFIG), NODES, edges, started_us, **what)  # type: ignore[arg-type]


@pytest.fixture
def database(store_url: str) -> Iterator[store.Database]:
    database = store.open(store_url)
    for started, run_id in enumerate(("018b-aa-1", "018b-ab-2", "018c-aa-3"), 1):
        Recorder(database).begin(opening(run_id, started))
    yield database
    database.close()


@pytest.mark.parametrize(
    ("asked", "run"), [("latest", 3), ("018c", 3), ("018b-aa", 1), ("018B-AB", 2), ("018b-aa-1", 1)]
)
def test_a_run_is_found_by_id_prefix_or_latest(database: store.Database, asked: str, run: int) -> None:
    with database.reading() as connection:
        assert queries.find_run(connection, asked) == run


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("018b", "2 runs begin with '018b': 018b-aa-1, 018b-ab-2"),
        ("zz", "there is no run 'zz'"),
        ("", "there is no run ''"),
        ("018%", "there is no run '018%'"),
    ],
)
def test_a_run_that_is_not_there_or_not_clear_is_said_so(
    database: store.Database, asked: str, message: str
) -> None:
    with database.reading() as connection, pytest.raises(UsageError, match=message):
        queries.find_run(connection, asked)


def test_a_run_id_is_on_record_once(database: store.Database) -> None:
    with pytest.raises(AuditError, match="018b-aa-1 is on record already"):
        Recorder(database).begin(opening("018b-aa-1", 9))


def test_a_run_is_described_by_what_was_recorded(database: store.Database) -> None:
    with database.reading() as connection:
        details = queries.describe_run(connection, 1, now_us=0)
        nodes, edges = queries.nodes_of(connection, 1), queries.edges_of(connection, 1)

    assert details.summary == queries.RunSummary(1, "018b-aa-1", "flights", RunStatus.RUNNING, 1, None, {})
    assert (details.config, details.config_sha256) == (CONFIG, digest(canonical(CONFIG)))
    assert (details.settings, details.seed, details.host, details.pid) == (
        {"chunk_rows": 1000},
        7,
        "here",
        42,
    )
    assert [(node.name, node.plugin, node.options) for node in nodes] == [
        ("in", "csv", {"path": "x.csv"}),
        ("out", "jsonl", {}),
    ]
    assert edges == [queries.EdgeRecord(0, 1, "continue", "continue")]


def test_a_run_whose_lease_has_expired_is_crashed(database: store.Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE run_leases SET expires_us = 60000000 + run")
    with database.reading() as connection:
        statuses = [
            (run.run_id, run.status.value) for run in queries.list_runs(connection, now_us=60_000_002)
        ]

    assert statuses == [("018c-aa-3", "running"), ("018b-ab-2", "crashed"), ("018b-aa-1", "crashed")]


def test_a_run_that_has_ended_carries_its_counters(database: store.Database) -> None:
    recorder = Recorder(database).begin(opening("018d", 5))
    recorder.finish(RunStatus.EMPTY, {"tokens": 0}, 6)

    with database.reading() as connection:
        newest = next(queries.list_runs(connection, now_us=0))

    assert (newest.status, newest.ended_us, newest.counters) == (RunStatus.EMPTY, 6, {"tokens": 0})


def test_notes_stand_between_the_changes_of_a_run(database: store.Database) -> None:
    recorder = Recorder(database).begin(opening("018d", 5))
    recorder.commit(Chunk(0, 5, [Noted("breaker_opened", 6, 1, {"failures": 5})]))
    recorder.finish(RunStatus.EMPTY, {}, 7)

    with database.reading() as connection:
        events = queries.run_events(connection, recorder.run)

    assert [(event.kind, event.at_us, event.status, event.node) for event in events] == [
        ("started", 5, RunStatus.RUNNING, None),
        ("breaker_opened", 6, None, 1),
        ("status", 7, RunStatus.EMPTY, None),
    ]


def test_what_a_call_sent_and_got_is_found_by_digest(database: store.Database) -> None:
    recorder = Recorder(database).begin(opening("018d", 5))
    sent, got = digest(b"sent"), digest(b"got")
    call = Called(1, 0, 17, 0, "http", 0, sent, got, "ok", 5, 6)
    kept = Payloads(PayloadKind.CALLS, 1, [sent, got], [b"sent", b"got"])

    recorder.commit(Chunk(0, 5, [call], [kept]))
    recorder.commit(Chunk(1, 5, [], [kept]))

    with database.reading() as connection:
        assert [one.answer_sha256 for one in queries.calls_of(connection, recorder.run, 17)] == [got]
        assert queries.payload_with_digest(connection, recorder.run, got) == b"got"
        assert queries.payload_with_digest(connection, recorder.run, digest(b"other")) is None
