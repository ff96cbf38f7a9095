"""Keys that were replaced or revoked, seen by whoever verifies."""

from pathlib import Path

import orjson
import pytest
from frame.audit import database
from frame.audit.chain import Head, tree_leaf
from frame.audit.checkpoints import log_head, write_checkpoint
from frame.audit.key_files import read_private
from frame.audit.merkle import Frontier
from frame.audit.receipts import keep, read, text_of
from frame.errors import Refused
from frame.operations import export, generate_key, prove, revoke_key, rotate_key, run, verify, verify_proof
from sqlalchemy import text

PIPELINE = """
frame: 1
name: signed
source: {plugin: csv, options: {path: in.csv}}
sinks: {out: {plugin: jsonl, options: {path: out.jsonl, on_existing: overwrite}}}
"""


class Signed:
    """A run that was signed with a new key."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "in.csv").write_text("n\n1\n2\n3\n", encoding="utf-8")
        self.pipeline = folder / "pipeline.yaml"
        self.pipeline.write_text(PIPELINE, encoding="utf-8")
        self.folder, self.key = folder, folder / "old.key"
        self.audit = f"sqlite:///{folder / '.frame' / 'audit.db'}"
        generate_key(self.key)
        self._environment = monkeypatch
        self.run_id = self.run(self.key)

    def run(self, key: Path) -> str:
        self._environment.setenv("FRAME_SIGNING_KEY", str(key))
        return run(self.pipeline).run_id

    @property
    def public(self) -> Path:
        return self.folder / "old.key.pub"

    def receipt(self, run_id: str | None = None) -> Path:
        return self.folder / ".frame" / "receipts" / f"{run_id or self.run_id}.receipt"

    def head(self) -> Head:
        with database.open(self.audit) as store, store.reading() as connection:
            hashes = [
                row.hash
                for row in connection.execute(text("SELECT hash FROM blocks WHERE run = 1 ORDER BY n"))
            ]
        return Head(self.run_id, len(hashes), hashes[-1], Frontier(map(tree_leaf, hashes)).root())


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signed:
    return Signed(tmp_path, monkeypatch)


def test_what_was_signed_before_the_key_was_revoked_stays_good(signed: Signed) -> None:
    revoke_key(signed.key, "lost", signed.audit)

    report = verify(signed.run_id, audit=signed.audit, anchors=[signed.receipt()], keys=[signed.public])

    assert report.ok, report.all_findings
    assert report.runs[0].anchored_blocks == report.runs[0].blocks


def test_a_checkpoint_by_a_key_that_was_revoked_before_is_found(signed: Signed) -> None:
    revoked = revoke_key(signed.public, "stolen", signed.audit)
    with database.open(signed.audit) as store:
        write_checkpoint(store, 1, signed.head(), read_private(signed.key), 4_000_000_000_000_000)

    report = verify(signed.run_id, audit=signed.audit)

    (finding,) = report.all_findings
    after = signed.head().blocks
    revoked_by = f"by a key that record {revoked.record} of the log had revoked"
    assert finding.what == f"the checkpoint after {after} commits is signed {revoked_by}"


def test_a_receipt_by_a_key_that_was_revoked_before_is_found(signed: Signed) -> None:
    revoke_key(signed.public, "stolen", signed.audit)
    key = read_private(signed.key)
    with database.open(signed.audit) as store, store.reading() as connection:
        log = log_head(connection)
    for name, log_then in (("with", log), ("without", None)):
        path = keep(signed.folder / name, signed.run_id, key.sign(text_of(signed.head(), 7, log_then)))

        report = verify(signed.run_id, audit=signed.audit, anchors=[path], keys=[signed.public])

        assert ["had revoked" in finding.what for finding in report.all_findings] == [True]


def test_who_trusts_the_old_key_can_check_what_the_new_one_signs(signed: Signed) -> None:
    rotated = rotate_key(signed.key, signed.folder / "new.key")
    second = signed.run(signed.folder / "new.key")
    assert rotated.rotation_file is not None
    proof = signed.folder / "proof.json"
    proof.write_bytes(orjson.dumps(prove(second, row=1, audit=signed.audit)))

    with_record = verify(
        second,
        audit=signed.audit,
        anchors=[signed.receipt(second)],
        keys=[signed.public, rotated.rotation_file],
    )
    without = verify(second, audit=signed.audit, anchors=[signed.receipt(second)], keys=[signed.public])

    assert with_record.ok, with_record.all_findings
    doubts = [
        each.what.partition(" is not signed by a key that was named")[0] for each in without.all_findings
    ]
    assert doubts == [str(signed.receipt(second)), f"the checkpoint after {without.runs[0].blocks} commits"]
    assert verify_proof(proof, [signed.public, rotated.rotation_file]).ok
    assert not verify_proof(proof, [signed.public]).ok
    assert read(signed.receipt()).note.signatures[0].name == "frame"


def test_a_revoked_key_signs_no_export(signed: Signed) -> None:
    revoke_key(signed.public, "lost", signed.audit)

    with pytest.raises(Refused, match="was revoked in this store"):
        export(out=signed.folder / "run.jsonl", sign=signed.key, audit=signed.audit)

    assert not (signed.folder / "run.jsonl").exists()


def test_a_checkpoint_in_the_store_counts_only_if_a_named_key_has_signed_it(signed: Signed) -> None:
    other = generate_key(signed.folder / "other.key").public_file
    assert other is not None

    trusted = verify(signed.run_id, audit=signed.audit, keys=[signed.public])
    doubted = verify(signed.run_id, audit=signed.audit, keys=[other])

    assert trusted.ok
    assert trusted.runs[0].signed_blocks == trusted.runs[0].blocks
    assert doubted.runs[0].signed_blocks is None
    assert ["is not signed by a key that was named" in each.what for each in doubted.all_findings] == [True]


def test_a_run_that_nobody_has_signed_is_told(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAME_SIGNING_KEY")
    unsigned = run(signed.pipeline)

    report = verify(unsigned.run_id, audit=signed.audit, keys=[signed.public])

    assert report.ok
    said = f"none of its {report.runs[0].blocks} commits are under a checkpoint that is signed by a key that was named"
    assert said in report.runs[0].notes
