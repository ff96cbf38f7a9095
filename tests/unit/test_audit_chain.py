"""Blocks: what is hashed for a row and for a commit, and that it follows from the stored rows alone."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from frame.audit import chain, merkle, schema, store_log
from frame.audit import database as store
from frame.audit.chain import FIRST, block, canonical_leaf, digest_leaves
from frame.audit.database import Database
from frame.audit.opening import EdgeOpening, NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.canonical import canonical
from frame.errors import AuditError, TryAgainLater
from frame.events import Chunk, Path, PayloadKind, Payloads, RowsRead, RunStatus, SinkConfirmed, SinkIntended

RUN = "018bcfe5-6800-7000-8000-000000000000"


def opening(run_id: str = RUN, **changes: object) -> RunOpening:
    nodes = [NodeOpening(0, "in", "source"), NodeOpening(1, "out", "sink", delivery="file")]
    edges = [EdgeOpening(0, 1, "continue", "continue")]
    return RunOpening(run_id, "flights", b'{"frame":1}', nodes, edges, started_us=1_000_000, **changes)  # type: ignore[arg-type]


def chunk(number: int) -> Chunk:
    tokens = range(10 * number, 10 * number + 10)
    digests = b"".join(hashlib.sha256(bytes([number, token % 10])).digest() for token in tokens)
    read = RowsRead(tokens[0], tokens, digests)
    intended = SinkIntended(1, number, 1, tokens, [(Path.DEFAULT_FLOW, 10)], b"c" * 32, f"key-{number}")
    return Chunk(number, 9, [read, intended], (Payloads(PayloadKind.ROWS, 0, tokens, [b"{}"] * 10),))


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    with store.open(store_url) as opened:
        yield opened


def rows(database: Database, asked: str) -> list[tuple[object, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(asked)]


def test_a_leaf_is_the_canonical_form_of_the_stored_row() -> None:
    row = (7, 3, 0, "KeyError", 'says "\x01é\u2028😀', 1, 0, None)

    found = canonical_leaf(schema.errors, RUN, row)

    assert found == canonical(["errors", RUN, *row[1:]])


def test_bytes_go_into_a_leaf_as_hexadecimal_digits() -> None:
    row = (7, 3, 1, 2, 0, 10, "d10", b"\x00\xff", "key")

    assert canonical_leaf(schema.intents, RUN, row) == canonical(["intents", RUN, *row[1:7], "00ff", "key"])


def test_digests_go_into_a_leaf_as_the_root_of_their_tree() -> None:
    digests = bytes(range(256)) * 5  # 40 of them: two leaves
    leaves = [merkle.leaf(digests[:1024]), merkle.leaf(digests[1024:])]

    found = canonical_leaf(schema.segment_digests, RUN, (7, 3, 1, 0, digests))

    assert digest_leaves(digests) == leaves
    assert found == canonical(["segment_digests", RUN, 3, 1, 0, merkle.node(*leaves).hex()])


def test_a_block_covers_its_rows_in_order_and_the_block_before() -> None:
    late, early = (7, 3, 5, 1, 9, 1, "d1", b"c" * 32, "b"), (7, 3, 6, 1, 2, 1, "d1", b"c" * 32, "a")
    number = (7, 3, 4, 9, 2, 0, None, None)

    found = block(RUN, 4, {schema.intents: [late, early], schema.chunks: [number]}, b"p" * 32)

    leaves = [
        *chain.leaves(schema.chunks, RUN, [number]),
        *chain.leaves(schema.intents, RUN, [early, late]),
    ]
    said = canonical([1, RUN, 4, {"chunks": 1, "intents": 2}, 3, merkle.root(leaves).hex()])
    assert found.root == merkle.root(leaves)
    assert found.counts == '{"chunks":1,"intents":2}'
    assert found.hash == hashlib.sha256(b"\x02" + said + b"p" * 32).digest()


def test_every_commit_is_a_block_on_the_one_before(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    recorder.commit(chunk(0))
    recorder.commit(Chunk(1, 9, [SinkConfirmed(1, 0, None, 5, 6)]))
    recorder.finish(RunStatus.INTERRUPTED, {}, 77)

    blocks = rows(database, "SELECT n, counts, leaves, previous, hash FROM blocks ORDER BY n")
    (head,) = rows(database, "SELECT n, epoch, hash FROM heads")

    assert [one[1] for one in blocks] == [
        '{"edges":1,"nodes":2,"run_changes":1,"run_headers":1}',
        '{"chunks":1,"intents":1,"payload_blocks":1,"segment_digests":1,"segments":2}',
        '{"chunks":1,"confirmations":1}',
        '{"run_changes":1}',
    ]
    assert [one[2] for one in blocks] == [5, 6, 2, 1]
    assert [one[3] for one in blocks] == [FIRST, *(one[4] for one in blocks[:-1])]
    assert head == (4, 1, blocks[-1][4])


def test_the_head_of_a_run_is_that_of_the_tree_over_its_blocks(database: Database) -> None:
    recorder = Recorder(database).begin(opening(lease_s=-1.0))
    recorder.commit(chunk(0))
    before = recorder.head

    resumed = Recorder(database).resume(RUN, now_us=99_000_000)
    resumed.commit(chunk(1))

    hashes = [one[0] for one in rows(database, "SELECT hash FROM blocks ORDER BY n")]
    assert all(isinstance(hashed, bytes) for hashed in hashes)
    tree = merkle.root([merkle.leaf(hashed) for hashed in hashes])  # type: ignore[arg-type]
    assert resumed.head == chain.Head(RUN, 4, hashes[-1], tree)  # type: ignore[arg-type]
    assert before.tree_root == merkle.root([merkle.leaf(hashed) for hashed in hashes[:2]])  # type: ignore[arg-type]


def test_the_log_binds_runs_together(database: Database) -> None:
    for run_id in ("run-a", "run-b"):
        recorder = Recorder(database).begin(opening(run_id))
        recorder.finish(RunStatus.EMPTY, {}, 77)

    log = rows(database, "SELECT n, kind, at_us, detail, previous, hash FROM store_log ORDER BY n")
    (head,) = rows(database, "SELECT id, n, hash FROM store_head")

    kinds = [one[1] for one in log]
    assert kinds == ["migrated", "run_opened", "run_ended", "run_opened", "run_ended"]
    assert [one[4] for one in log] == [FIRST, *(one[5] for one in log[:-1])]
    assert [one[5] for one in log] == [store_log.record_hash(*one[:5]) for one in log]  # type: ignore[arg-type]
    assert head == (0, 5, log[-1][5])


def test_runs_are_numbered_one_after_the_other(database: Database) -> None:
    runs = [Recorder(database).begin(opening(run_id)).run for run_id in ("a", "b", "c")]

    assert runs == [1, 2, 3]


def test_a_run_that_has_ended_is_held_by_nobody(database: Database) -> None:
    recorder = Recorder(database).begin(opening(lease_s=3600.0))

    recorder.finish(RunStatus.INTERRUPTED, {}, 77)

    assert rows(database, "SELECT expires_us FROM run_leases") == [(0,)]


@pytest.mark.parametrize(
    ("host", "alive", "taken"),
    [("here", False, True), ("here", True, False), ("elsewhere", False, False), ("", False, False)],
    ids=["its process is gone", "its process is there", "another host", "a host that nobody knows"],
)
def test_a_lease_of_a_process_that_is_gone_from_this_host_is_free(
    database: Database, host: str, alive: bool, taken: bool
) -> None:
    Recorder(database).begin(opening(host="here", pid=4711, lease_s=3600.0))
    other = Recorder(database, alive=lambda pid: alive or pid != 4711)

    if taken:
        assert other.resume(RUN, now_us=2_000_000, host=host).next_chunk == 0
    else:
        with pytest.raises(TryAgainLater, match="held by process 4711 on here"):
            other.resume(RUN, now_us=2_000_000, host=host)


def test_a_head_that_stands_at_another_block_stops_the_writer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(database).begin(opening())
    really = database.engine.dialect.do_commit

    def commit_and_let_another_in(connection: Any) -> None:
        connection.execute("UPDATE heads SET epoch = epoch, hash = (SELECT previous FROM blocks WHERE n = 0)")
        really(connection)  # type: ignore[arg-type]
        raise database.engine.dialect.dbapi.OperationalError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(database.engine.dialect, "do_commit", commit_and_let_another_in)
        with pytest.raises(AuditError, match="another process has taken over"):
            recorder.commit(chunk(0))
