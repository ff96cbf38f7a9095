"""Receipts and checkpoints: what a run leaves behind, signed where there is a key."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from frame.audit import database
from frame.audit.chain import Head
from frame.audit.checkpoints import INTERVAL_US, log_head
from frame.audit.key_files import write_pair
from frame.audit.merkle import Frontier, leaf
from frame.audit.notes import Note, parse
from frame.audit.receipts import LogHead, Statement, read, read_all, read_text, text_of
from frame.audit.signing import PrivateKey
from frame.errors import ConfigError, Refused, UsageError
from frame.operations import resume, revoke_key, run
from frame.testing import ManualClock
from sqlalchemy import text

HEAD = Head("0192f5c8-0000-7000-8000-000000000001", 3, bytes(range(32)), bytes(range(32, 64)))
KEY = PrivateKey("test", bytes(range(32)))
TEXT = """\
frame/0192f5c8-0000-7000-8000-000000000001
3
ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=
head 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
time 1970-01-01T00:00:01.000000Z
log 7 abababababababababababababababababababababababababababababababab
"""
PIPELINE = """
frame: 1
name: anchored
source: {plugin: csv, options: {path: in.csv}}
sinks: {out: {plugin: jsonl, options: {path: out.jsonl, on_existing: overwrite}}}
settings: {chunk_rows: 100}
"""


def test_a_receipt_is_written_and_read_as_the_format_says() -> None:
    log = LogHead(7, b"\xab" * 32)

    assert text_of(HEAD, 1_000_000, log) == TEXT
    assert read_text(TEXT) == Statement(
        HEAD.run_id, 3, HEAD.tree_root, HEAD.hash, "1970-01-01T00:00:01.000000Z", log
    )
    assert read_text(TEXT.replace("time", "weather")).time is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("frame/", "other/"),
        ("\n3\n", "\n03\n"),
        ("\n3\n", "\n-3\n"),
        ("\n3\n", "\n0\n"),
        ("\n3\n", "\n٣\n"),
        ("\n3\n", f"\n{10**20}\n"),
        ("8=\n", "9=\n"),
        ("8=\n", "8\n"),
        ("ICEi", "ICE"),
        ("head ", "head  "),
        ("head ", "tail "),
        ("head 00", "head 0A"),
        ("time", "head"),
        ("log 7", "log 7.0"),
        ("time ", "time 1\ntime "),
        ("abab\n", "aba\n"),
        ("\n3\n", "\n"),
        ("abab\n", "abab"),
    ],
)
def test_what_is_not_exactly_a_receipt_is_refused(tmp_path: Path, old: str, new: str) -> None:
    assert old in TEXT
    broken = TEXT.replace(old, new, 1)
    path = tmp_path / "a.receipt"
    path.write_text(broken, encoding="utf-8")

    with pytest.raises(ValueError, match=r"."):
        read_text(broken)
    with pytest.raises(UsageError, match=r"a\.receipt"):
        read(path)


def pipeline_in(folder: Path, rows: int = 1_000, more: str = "") -> Path:
    (folder / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(rows)), encoding="utf-8")
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE + more, encoding="utf-8")
    return path


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder / '.frame' / 'audit.db'}"


def rows_of(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with database.open(store_of(folder)) as store, store.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def tree_root(folder: Path, size: int) -> bytes:
    hashes = rows_of(folder, f"SELECT hash FROM blocks WHERE n < {size} ORDER BY n")
    return Frontier(leaf(hashed) for (hashed,) in hashes).root()


def test_every_run_leaves_a_receipt_of_its_chain_and_of_the_log(tmp_path: Path) -> None:
    result = run(pipeline_in(tmp_path))

    assert result.receipt is not None
    assert result.receipt.key_id is None
    receipt = read(Path(result.receipt.path))
    (stored,) = rows_of(tmp_path, "SELECT n, hash FROM heads")
    (log,) = rows_of(tmp_path, "SELECT n, hash FROM store_head")
    assert receipt.where == str(tmp_path / ".frame" / "receipts" / f"{result.run_id}.receipt")
    assert receipt.said.run_id == result.run_id
    assert (receipt.said.blocks, receipt.said.head) == stored
    assert receipt.said.tree_root == tree_root(tmp_path, stored[0])
    assert receipt.said.log == LogHead(*log)
    assert receipt.note.signatures == ()
    assert list(read_all(tmp_path / ".frame" / "receipts")) == [receipt]


def test_a_run_without_a_key_does_not_load_what_signs(tmp_path: Path) -> None:
    program = (
        "import sys; from frame.operations import run; run(sys.argv[1]); print('cryptography' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(pipeline_in(tmp_path))],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False\n"


def with_key(folder: Path) -> Path:
    write_pair(folder / "frame.key", KEY)
    return pipeline_in(folder, more="audit: {sign: frame.key, receipts: kept}\n")


def test_with_a_key_the_end_of_the_run_is_signed_in_the_store_and_outside(tmp_path: Path) -> None:
    result = run(with_key(tmp_path))

    receipt = read(tmp_path / "kept" / f"{result.run_id}.receipt")
    ((blocks, root, note),) = rows_of(tmp_path, "SELECT blocks, tree_root, note FROM checkpoints")
    checkpoint = parse(note)
    assert KEY.public.has_signed(receipt.note)
    assert KEY.public.has_signed(checkpoint)
    assert (read_text(checkpoint.text).blocks, read_text(checkpoint.text).log) == (receipt.said.blocks, None)
    assert (blocks, root) == (receipt.said.blocks, receipt.said.tree_root)
    kinds = [kind for (kind,) in rows_of(tmp_path, "SELECT kind FROM store_log ORDER BY n")]
    assert kinds == ["migrated", "key_added", "run_opened", "run_ended", "checkpoint"]
    assert receipt.said.log is not None
    assert receipt.said.log.size == len(kinds)
    assert result.receipt is not None
    assert result.receipt.key_id == KEY.public.key_id.hex()


def test_the_private_key_is_nowhere_but_in_its_file(tmp_path: Path) -> None:
    secret = KEY.reveal().rpartition("+")[2].encode()

    result = run(with_key(tmp_path))

    holders = [path.name for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert holders == ["frame.key"]
    assert secret.decode() not in repr(result)


class Ticking(ManualClock):
    """A clock on which every look takes three seconds."""

    def monotonic_us(self) -> int:
        self.advance(3)
        return super().monotonic_us()


def test_a_long_run_is_signed_every_ten_seconds(tmp_path: Path) -> None:
    run(with_key(tmp_path), clock=Ticking())

    times = [at for (at,) in rows_of(tmp_path, "SELECT at_us FROM checkpoints ORDER BY at_us")]
    assert len(times) > 2
    assert all(later - earlier >= INTERVAL_US for earlier, later in pairwise(times[:-1]))


def test_a_fast_run_is_signed_every_hundred_thousand_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frame.audit.checkpoints.RECORDS", 500)

    run(with_key(tmp_path), clock=ManualClock())

    assert len(rows_of(tmp_path, "SELECT 1 FROM checkpoints")) > 3


def test_every_checkpoint_is_of_the_blocks_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frame.audit.checkpoints.RECORDS", 1)

    run(with_key(tmp_path))

    found = rows_of(tmp_path, "SELECT blocks, tree_root, note FROM checkpoints ORDER BY blocks")
    assert len(found) > 5
    for blocks, root, note in found:
        said = read_text(parse(note).text)
        assert (said.blocks, said.tree_root, root) == (blocks, root, tree_root(tmp_path, blocks))


def test_a_run_that_goes_on_replaces_its_receipt_by_one_that_extends_it(tmp_path: Path) -> None:
    import threading

    stop = threading.Event()
    stop.set()
    path = with_key(tmp_path)
    first = run(path, stop=stop)
    assert first.receipt is not None
    before = read(Path(first.receipt.path))

    second = resume(first.run_id, audit=store_of(tmp_path))

    assert second.receipt is not None
    after = read(Path(second.receipt.path))
    assert after.where == before.where
    assert after.said.blocks > before.said.blocks
    assert before.said.tree_root == tree_root(tmp_path, before.said.blocks)


def test_a_receipt_that_cannot_be_written_stops_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("a file", encoding="utf-8")

    result = run(pipeline_in(tmp_path, more="audit: {receipts: kept}\n"))

    assert (result.ok, result.receipt) == (True, None)
    assert "no receipt was kept of run" in caplog.text


def test_a_checkpoint_that_cannot_be_written_stops_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = with_key(tmp_path)
    run(path)
    with closing(sqlite3.connect(tmp_path / ".frame" / "audit.db")) as store:
        store.execute(
            "CREATE TRIGGER full BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )

    result = run(path)

    assert result.ok
    assert "no checkpoint of run" in caplog.text
    assert result.receipt is not None
    assert KEY.public.has_signed(read(Path(result.receipt.path)).note)


def test_the_key_of_the_environment_comes_before_that_of_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = PrivateKey("other", bytes(32))
    write_pair(tmp_path / "other.key", other)
    monkeypatch.setenv("FRAME_SIGNING_KEY", str(tmp_path / "other.key"))

    result = run(with_key(tmp_path))

    assert result.receipt is not None
    assert result.receipt.key_id == other.public.key_id.hex()


@pytest.mark.parametrize("fault", ["missing", "readable", "garbage"])
def test_a_key_that_cannot_be_used_is_told_before_anything_is_opened(tmp_path: Path, fault: str) -> None:
    path = with_key(tmp_path)
    key = tmp_path / "frame.key"
    if fault == "missing":
        key.unlink()
    elif fault == "readable":
        key.chmod(0o644)
    else:
        key.write_text("garbage\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"pipeline\.yaml:7:15: audit\.sign: .*frame\.key"):
        run(path)

    assert not (tmp_path / ".frame").exists()
    assert not (tmp_path / "out.jsonl").exists()


def test_a_key_that_stands_where_its_file_should_be_named_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pipeline_in(tmp_path, more=f"audit: {{sign: '{KEY.reveal()}'}}\n")
    with pytest.raises(ConfigError, match="here stands a key itself") as in_file:
        run(path)
    monkeypatch.setenv("FRAME_SIGNING_KEY", KEY.reveal())
    with pytest.raises(ConfigError, match="a key itself stands in it") as in_environment:
        run(pipeline_in(tmp_path))

    for refusal in (in_file, in_environment):
        assert KEY.reveal().rpartition("+")[2][:8] not in str(refusal.value)


def test_a_revoked_key_signs_no_further_run(tmp_path: Path) -> None:
    path = with_key(tmp_path)
    run(path)
    revoked = revoke_key(tmp_path / "frame.key.pub", "lost", store_of(tmp_path))

    with pytest.raises(Refused, match="was revoked"):
        run(path)
    with pytest.raises(Refused, match=f"by record {revoked.record}"):
        revoke_key(tmp_path / "frame.key", "again", store_of(tmp_path))

    assert len(rows_of(tmp_path, "SELECT 1 FROM run_headers")) == 1
    ((detail,),) = rows_of(tmp_path, "SELECT detail FROM store_log WHERE kind = 'key_revoked'")
    assert '"reason":"lost"' in detail
    with database.open(store_of(tmp_path)) as store, store.reading() as connection:
        assert log_head(connection).size == revoked.record + 1


def test_a_receipt_survives_whole_or_not_at_all(tmp_path: Path) -> None:
    result = run(pipeline_in(tmp_path))

    assert result.receipt is not None
    assert os.listdir(Path(result.receipt.path).parent) == [f"{result.run_id}.receipt"]  # noqa: PTH208


def test_a_folder_without_receipts_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no receipt"):
        list(read_all(tmp_path))


def test_a_note_without_a_signature_is_a_receipt_too(tmp_path: Path) -> None:
    path = tmp_path / "a.receipt"
    path.write_text(str(Note(TEXT)), encoding="utf-8")

    assert read(path).note == Note(TEXT)
