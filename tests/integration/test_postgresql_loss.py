"""A server that goes away at any moment, COMMIT included: nothing is lost, nothing is there twice."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
from frame.audit import database as store
from frame.audit.chunks import read_chunks
from frame.audit.database import Database
from frame.audit.patience import Patience
from frame.audit.recorder import Recorder
from frame.audit.verify.verification import verify_store
from frame.canonical import digest
from frame.errors import AuditError
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
from frame.operations import generate_key, run, verify

from tests.postgresql_proxy import Loss, Proxy
from tests.postgresql_server import Server
from tests.unit.test_audit_recorder import opening

CHUNKS = 12
SIGNED = """
frame: 1
name: signed
source: {plugin: csv, options: {path: in.csv}}
nodes: [{name: keep, gate: "row.n != 3", routes: {"true": continue, "false": discard}}]
sinks: {out: {plugin: jsonl, options: {path: out.jsonl, on_existing: overwrite}}}
settings: {chunk_rows: 5}
audit: {sign: frame.key}
"""


@pytest.fixture
def proxy(postgresql: Server) -> Iterator[Proxy]:
    proxy = Proxy(postgresql.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def database(proxy: Proxy, postgresql_store: str) -> Iterator[Database]:
    eager = Patience(60.0, sleep=lambda _: time.sleep(0.01))
    with store.open(proxy.url(postgresql_store), patience=eager) as opened:
        yield opened


def chunk(number: int, confirm: int | None = None) -> Chunk:
    tokens = range(3 * number, 3 * number + 3)
    digests = digest(b"{}") * 3
    confirmed = [] if confirm is None else [SinkConfirmed(2, confirm, {"bytes": 7}, 5, 6)]
    written = SinkIntended(2, number, 1, tokens, [(Path.DEFAULT_FLOW, 3)], b"c" * 32, f"key-{number}")
    events = [*confirmed, RowsRead(tokens[0], tokens, digests), Visited(1, 0, tokens, None, 1, 2), written]
    kept = Payloads(PayloadKind.ROWS, 0, tokens, [b"{}"] * 3)
    return Chunk(number, 9, events, (kept,), position={"row": tokens[-1]})


def record(database: Database, run_id: str, chunks: int = CHUNKS) -> None:
    recorder = Recorder(database).begin(opening(run_id))
    for number in range(chunks):
        recorder.commit(chunk(number, number - 1 if number else None))
        recorder.renew_lease(number)
    recorder.commit(Chunk(chunks, 9, [SinkConfirmed(2, chunks - 1, None, 5, 6)]))
    recorder.finish(RunStatus.COMPLETED, {"succeeded": 3 * chunks}, 77)


def assert_whole(url: str, run_ids: list[str], chunks: int = CHUNKS) -> None:
    with store.open(url) as database:
        with database.reading() as connection:
            runs = connection.exec_driver_sql("SELECT run_id, run FROM run_headers ORDER BY run").all()
            assert sorted(run_id for run_id, _ in runs) == sorted(run_ids)
            assert [run for _, run in runs] == list(range(1, len(runs) + 1))
            for _, run in runs:
                numbers = [each.number for each in read_chunks(connection, run)]
                assert numbers == list(range(chunks + 1))
        report = verify_store(database, None)
        assert list(report.findings) == []
        assert [finding for run in report.runs for finding in run.findings] == []


@pytest.mark.parametrize("loss", Loss)
def test_every_commit_of_a_run_may_be_lost(
    database: Database, proxy: Proxy, postgresql_store: str, loss: Loss
) -> None:
    chance = random.Random(11)
    proxy.lose = lambda _: loss if chance.random() < 0.5 else None

    record(database, "one")

    assert proxy.lost >= CHUNKS
    proxy.lose = lambda _: None
    assert_whole(postgresql_store, ["one"])


@pytest.mark.parametrize("loss", Loss)
def test_a_takeover_may_be_lost(database: Database, proxy: Proxy, postgresql_store: str, loss: Loss) -> None:
    first = Recorder(database).begin(opening(lease_s=0.001))
    first.commit(chunk(0))
    at = proxy.commits
    proxy.lose = lambda number: loss if number == at else None

    second = Recorder(database).resume(opening().run_id, 5, lease_s=60)

    assert proxy.lost == 1
    with pytest.raises(AuditError, match="another process has taken over"):
        first.commit(chunk(1))
    second.commit(chunk(1))
    with store.open(postgresql_store) as direct, direct.reading() as connection:
        kinds = connection.exec_driver_sql("SELECT kind FROM run_changes ORDER BY number").scalars()
        assert list(kinds) == ["started", "resumed"]


def test_a_run_waits_while_the_server_is_restarted(postgresql: Server, postgresql_store: str) -> None:
    chance = random.Random(7)
    with store.open(postgresql_store, patience=Patience(60.0)) as database:
        recording = threading.Thread(target=record, args=(database, "one", 150))
        recording.start()
        for _ in range(5):
            recording.join(chance.uniform(0.0, 0.3))
            postgresql.restart()
        recording.join(120)
        assert not recording.is_alive()

    assert_whole(postgresql_store, ["one"], 150)


def test_a_server_that_stays_away_stops_the_run_which_can_be_resumed(
    postgresql: Server, postgresql_store: str
) -> None:
    waits: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    patience = Patience(300.0, lambda: now[0], sleep)
    with store.open(postgresql_store, patience=patience) as database:
        recorder = Recorder(database).begin(opening(lease_s=0.001))
        postgresql.crash()
        try:
            with pytest.raises(
                AuditError, match=r"could not be reached for 300 s: .* the run can be resumed"
            ):
                recorder.commit(chunk(0))
        finally:
            postgresql.start()
        resumed = Recorder(database).resume(opening().run_id, 5)
        resumed.commit(chunk(0))

    assert round(sum(waits)) == 300
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(waits) == 10.0


def test_a_session_that_the_server_ends_is_opened_again(postgresql: Server, postgresql_store: str) -> None:
    with store.open(postgresql_store) as database:
        recorder = Recorder(database).begin(opening())
        with postgresql.superuser() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'frame'"
            )
        recorder.commit(chunk(0))

    with store.open(postgresql_store) as database, database.reading() as connection:
        assert [each.number for each in read_chunks(connection, 1)] == [0]


def test_a_commit_that_the_server_refuses_is_no_reason_to_wait(postgresql_store: str) -> None:
    patience = Patience(300.0, sleep=lambda _: pytest.fail("it waited"))
    with store.open(postgresql_store, patience=patience) as database:
        recorder = Recorder(database).begin(opening())
        with database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE segments ADD CHECK (size < 3)")

        with pytest.raises(AuditError, match="violates check constraint"):
            recorder.commit(chunk(0))


@pytest.mark.parametrize("loss", Loss)
def test_a_signed_run_may_lose_the_commits_of_its_signatures(
    proxy: Proxy, postgresql_store: str, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, loss: Loss
) -> None:
    monkeypatch.setattr("frame.audit.checkpoints.RECORDS", 1)
    (tmp_path / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(40)), encoding="utf-8")
    (tmp_path / "pipeline.yaml").write_text(SIGNED, encoding="utf-8")
    public = generate_key(tmp_path / "frame.key").public_file
    assert public is not None
    url, chance = proxy.url(postgresql_store), random.Random(3)
    really = store.open

    def opened_undisturbed(url: str, **options: Any) -> Database:
        opened = really(url, **options)
        proxy.lose = lambda _: loss if chance.random() < 0.3 else None
        return opened

    # The key is announced before the run begins, by a command that may fail and be said again.
    assert run(tmp_path / "pipeline.yaml", audit=postgresql_store).status is RunStatus.COMPLETED
    monkeypatch.setattr("frame.audit.database.open", opened_undisturbed)
    monkeypatch.setattr("frame.audit.checkpoints.announce", lambda *_: None)
    result = run(tmp_path / "pipeline.yaml", audit=url)

    monkeypatch.undo()
    assert result.status is RunStatus.COMPLETED
    assert proxy.lost > 2
    checked = verify(audit=postgresql_store, keys=[public])
    assert checked.ok, checked.all_findings
    with store.open(postgresql_store) as database, database.reading() as connection:
        counted = "SELECT run, count(*) FROM checkpoints GROUP BY run ORDER BY run"
        (_, undisturbed), (_, disturbed) = connection.exec_driver_sql(counted).all()
    assert disturbed == undisturbed
