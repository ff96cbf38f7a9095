"""A small store that holds something in every table: what the tampering is done to."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml
from frame.audit import database as stores
from frame.audit.checkpoints import log_head
from frame.audit.notes import Note
from frame.audit.opening import EdgeOpening, NodeOpening, RunOpening
from frame.audit.receipts import keep, text_of
from frame.audit.recorder import Recorder
from frame.audit.verify import Finding, Report
from frame.errors import Refused
from frame.events import (
    Chunk,
    Noted,
    Path,
    PayloadKind,
    Payloads,
    RowsRead,
    RunStatus,
    SinkConfirmed,
    SinkIntended,
)
from frame.operations import purge, run, verify
from frame.operations.keys import generate_key
from frame.plugin import Context, Determinism, Transform
from frame.plugin.registry import Registry
from frame.rows import Row

from tests.integration.explain_pipelines import PLUGINS, SHELF


def _answer(request: Any) -> str:
    return f"number {request}"


class Phone(Transform):
    """Asks somebody outside what `n` is called."""

    name = "phone"
    determinism = Determinism.EXTERNAL_CALL

    def process(self, row: Row, context: Context) -> Any:
        return {**row, "said": context.call("phone", row["n"], _answer)}


JOINED = {
    "source": {
        "plugin": "given",
        "options": {"rows": [{"n": n} for n in (0, 1, 2, 13, 5, 6)] + [{"raw": "torn"}]},
        "on_invalid": "rejected",
    },
    "nodes": [
        {"name": "flaky", "plugin": "flaky", "retry": {"attempts": 3, "wait": 0}, "on_error": "rejected"},
        {"name": "phone", "plugin": "phone"},
        {"name": "size", "plugin": "size", "routes": {"big": ["left", "right"], "small": "out"}},
        {"name": "left", "plugin": "double", "to": "joined"},
        {"name": "right", "plugin": "dice", "to": "joined"},
        {"name": "joined", "coalesce": {"merge": "union"}, "to": "out"},
    ],
    "sinks": {
        "out": {"plugin": "jsonl", "options": {"path": "out.jsonl"}},
        "rejected": {"plugin": "jsonl", "options": {"path": "rejected.jsonl"}},
    },
    "settings": {"chunk_rows": 3},
}
SUMMED = {
    "source": {"plugin": "given", "options": {"rows": [{"n": n} for n in (3, 1, 2, 4)]}},
    "nodes": [
        {"name": "split", "plugin": "split"},
        {"name": "count", "plugin": "count"},
        {
            "name": "enough",
            "gate": "row.n > 4",
            "routes": {"true": "sum", "false": {"to": "count", "max": 2}},
        },
        {"name": "sum", "aggregate": {"plugin": "total"}, "trigger": {"count": 2}, "to": "out"},
    ],
    "sinks": {"out": {"plugin": "shelf", "options": {"most": 9}, "on_error": "rejected"}, "rejected": SHELF},
    "settings": {"chunk_rows": 2},
}


@dataclass(frozen=True)
class Original:
    """The store as it was written: the bytes of its file, and the receipts that were kept of its runs."""

    data: bytes
    receipts: FilePath
    run_ids: tuple[str, ...]


def build(folder: FilePath) -> Original:
    """A store with four runs: one that joins, one that sums and is purged, one of those again, one that crashed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "audit.db"
    generate_key(folder / "frame.key")
    os.environ["FRAME_SIGNING_KEY"] = str(folder / "frame.key")
    try:
        ids = [_run(folder, path, name, said) for name, said in _pipelines()]
    finally:
        del os.environ["FRAME_SIGNING_KEY"]
    purge(runs=[ids[1]], audit=f"sqlite:///{path}", reason="asked for")
    ids.append(_resumed(path, folder / "receipts"))
    return Original(_checkpointed(path), folder / "receipts", tuple(ids))


def _pipelines() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "joined", JOINED
    yield "purged", SUMMED
    yield "summed", SUMMED


def _run(folder: FilePath, path: FilePath, name: str, said: dict[str, Any]) -> str:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"frame": 1, "name": name, **said, "audit": {"receipts": "receipts"}}))
    registry = Registry.discover().with_plugins(*PLUGINS, Phone)
    return run(file, audit=f"sqlite:///{path}", registry=registry).run_id


def _resumed(path: FilePath, receipts: FilePath) -> str:
    """A run that crashed after its first commit, was taken over, and ended interrupted."""
    run_id = "018bcfe5-6800-7000-8000-000000000000"
    nodes = [NodeOpening(0, "in", "source"), NodeOpening(1, "out", "sink", delivery="at_least_once")]
    opening = RunOpening(
        run_id, "crashed", b"{}", nodes, [EdgeOpening(0, 1, "continue", "continue")], 1, lease_s=1
    )
    forms = [b'{"n":1}', b'{"n":2}']
    content = hashlib.sha256(b"".join(form + b"\n" for form in forms)).digest()
    digests = b"".join(hashlib.sha256(form).digest() for form in forms)
    intended = SinkIntended(1, 0, 0, range(2), [(Path.DEFAULT_FLOW, 2)], content, "key")
    kept = (Payloads(PayloadKind.ROWS, 0, range(2), forms), Payloads(PayloadKind.OUTBOX, 1, range(2), forms))
    with stores.open(f"sqlite:///{path}") as store:
        Recorder(store).begin(opening).commit(
            Chunk(0, 2, [RowsRead(0, range(2), digests), intended], kept, 2)
        )
        recorder = Recorder(store).resume(run_id, 9_000_000, host="here", pid=7)
        again = Noted("possible_duplicate", 3, 1, {"intent": 0, "rows": 2})
        recorder.commit(Chunk(1, 3, [again, SinkConfirmed(1, 0, None, 4, 5)]))
        recorder.finish(RunStatus.INTERRUPTED, {}, 9_000_009)
        with store.reading() as connection:
            keep(receipts, run_id, Note(text_of(recorder.head, 9_000_010, log_head(connection))))
    return run_id


def _checkpointed(path: FilePath) -> bytes:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


def put_back(original: Original, path: FilePath) -> None:
    """Write the store as it was to `path`."""
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    path.write_bytes(original.data)


def verified(path: FilePath, receipts: FilePath | None) -> Report:
    """What `frame verify --all` says of the store at `path`, with or without receipts at hand."""
    anchors = [] if receipts is None else [receipts]
    return verify(all_runs=True, audit=f"sqlite:///{path}", anchors=anchors)


def findings_of(path: FilePath, receipts: FilePath) -> list[Finding]:
    """What is found with receipts at hand; that frame takes the file for none of its stores counts, too."""
    try:
        return verified(path, receipts).all_findings
    except Refused as refusal:
        return [Finding("refused", str(refusal), key="opening")]


def without_triggers(connection: sqlite3.Connection, table: str) -> list[str]:
    """Take the triggers of a table away, as one does who wants to change a fact; the statements to put them back."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", [table]
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP TRIGGER {name}")
    return [sql for _, sql in found]
