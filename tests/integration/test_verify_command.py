"""`frame verify` from the outside: what it says, where, and with which exit code."""

import gzip
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from frame.audit import database as stores
from frame.operations import generate_key, run, verify

PIPELINE = """\
frame: 1
name: small
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {n: int, word: str}}
  on_invalid: rejected
nodes:
  - name: half
    plugin: compute
    options: {set: {half: "100 / row.n"}, types: {half: int}}
    on_error: rejected
    to: out
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl, on_existing: overwrite}}
  rejected: {plugin: jsonl, options: {path: rejected.jsonl, on_existing: overwrite}}
"""
STORES = Path(__file__).parents[1] / "golden" / "stores"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.csv").write_text("n,word\n1,a\n0,b\nx,c\n4,d\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    run(tmp_path / "pipeline.yaml")
    return tmp_path


def asked(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of `frame verify`."""
    command = [sys.executable, "-m", "frame", "verify", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder}/.frame/audit.db"


def tamper(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / ".frame" / "audit.db")
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()


def test_an_intact_run_is_called_so_and_not_anchored(folder: Path) -> None:
    code, said = asked(folder)

    assert code == 0
    assert "intact, 5 commits, 4 rows, 4 tokens\n  note: not anchored" in said
    assert said.endswith("nothing was found\n")


def test_a_receipt_anchors_a_run(folder: Path) -> None:
    code, said = asked(folder, "latest", "--anchor", ".frame/receipts")

    assert code == 0
    assert "anchored up to commit 5" in said


def test_a_changed_row_is_named_and_ends_with_seven(folder: Path) -> None:
    tamper(
        folder, "UPDATE errors SET message = 'nothing' WHERE position = (SELECT min(position) FROM errors)"
    )

    code, said = asked(folder, "--json")

    report = json.loads(said)
    (finding,) = report["runs"][0]["findings"]
    assert code == 7
    assert (report["schema_version"], report["ok"], report["findings"]) == (1, False, [])
    assert (finding["check"], finding["block"], finding["chunk"]) == ("chain", 1, 0)
    assert (finding["table"], finding["key"].split("=")[0]) == ("errors", "position")


@pytest.mark.parametrize(
    ("statement", "check", "said"),
    [
        (
            "DELETE FROM errors WHERE type = 'ExpressionError'",
            "chain",
            "1 rows are in errors where the commit wrote 3",
        ),
        ("UPDATE payload_data SET data = zeroblob(9) WHERE number = 0", "H1", "its bytes have another hash"),
        (
            "DELETE FROM payload_data WHERE number = 0",
            "G25",
            "1 payloads are gone, and 0 were purged on record",
        ),
        ("UPDATE heads SET n = n - 1", "derived", "the head stands at commit 4"),
        ("UPDATE run_leases SET expires_us = 7", "derived", "it runs until 7"),
        ("UPDATE blocks SET leaves = leaves + 1 WHERE n = 2", "chain", "it speaks of"),
        ("DELETE FROM blocks WHERE n = 2", "chain", "there is no block for this commit"),
        ("UPDATE store_log SET at_us = at_us + 1 WHERE n = 1", "log", "its hash is not that of what it says"),
        ("DELETE FROM store_log WHERE n = 2", "log", "it does not stand at record 2"),
        ("UPDATE migrations SET applied_us = 1", "log", "the store says"),
        ("DELETE FROM numbers WHERE n = 7", "derived", "it does not hold the numbers"),
        ("DROP VIEW token_outcomes", "schema", "the view token_outcomes is missing"),
        ("CREATE TABLE extra (x)", "schema", "there is a table extra"),
        ("DELETE FROM run_headers", "F6", "a row refers to one of run_headers that is not there"),
    ],
)
def test_each_way_to_tamper_has_its_finding(folder: Path, statement: str, check: str, said: str) -> None:
    tamper(folder, statement)

    found = verify("latest", all_runs=True, audit=store_of(folder)).all_findings

    assert [finding for finding in found if finding.check == check and said in finding.what]


def test_a_published_file_that_was_changed_is_named(folder: Path) -> None:
    (folder / "out.jsonl").write_text("{}\n")

    code, said = asked(folder)

    assert code == 7
    assert "out.jsonl has 3 bytes, and" in said
    assert asked(folder, "--no-artifacts")[0] == 0


def test_a_file_that_a_later_run_wrote_again_is_said_and_not_held_against_the_first(folder: Path) -> None:
    (folder / "in.csv").write_text("n,word\n5,e\n")
    run(folder / "pipeline.yaml")

    report = verify(all_runs=True, audit=store_of(folder))

    assert report.all_findings == []
    first, second = report.runs
    assert [note for note in first.notes if "was written again by run" in note]
    assert not [note for note in second.notes if "was written again by run" in note]


def test_a_run_under_way_is_verified_as_far_as_it_is(folder: Path) -> None:
    tamper(
        folder,
        "DELETE FROM run_changes WHERE number = 1",
        "DELETE FROM store_log WHERE kind = 'run_ended'",
        "UPDATE store_head SET n = 2, hash = (SELECT hash FROM store_log WHERE n = 1)",
        "DELETE FROM blocks WHERE n = 4",
        "UPDATE heads SET n = 4, hash = (SELECT hash FROM blocks WHERE n = 3)",
        "UPDATE run_leases SET expires_us = 99",
    )

    report = verify(audit=store_of(folder))

    assert report.all_findings == []
    assert report.runs[0].status == "running"


def test_runs_of_an_old_store_are_verified_without_blocks(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    path.write_bytes(gzip.decompress((STORES / "v1.db.gz").read_bytes()))

    report = verify(all_runs=True, audit=f"sqlite:///{path}", artifacts=False)

    assert report.all_findings == []
    assert [run.unchained for run in report.runs] == [6, 2]
    assert all(any("did not chain them" in note for note in run.notes) for run in report.runs)


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE segment_digests SET digests = zeroblob(length(digests))", "H1"),
        ("UPDATE run_headers SET config = x'7b7d'", "H3"),
        ("UPDATE nodes SET version = '2'", "H3"),
        ("UPDATE segments SET first_row = first_row + 1 WHERE kind = 'rows_read'", "G1"),
        ("UPDATE segments SET visit = visit + 1 WHERE kind = 'visited'", "T8"),
        ("UPDATE segments SET members = members + 1 WHERE kind = 'batch_flushed'", "F4"),
        ("UPDATE segments SET size = 2000000000 WHERE kind = 'rows_read'", "F6"),
        ("DELETE FROM confirmations WHERE intent = 0", "G1"),
    ],
)
def test_an_old_record_that_does_not_fit_together_is_found_out(
    tmp_path: Path, statement: str, check: str
) -> None:
    (tmp_path / ".frame").mkdir()
    path = tmp_path / ".frame" / "audit.db"
    path.write_bytes(gzip.decompress((STORES / "v1.db.gz").read_bytes()))
    stores.open(f"sqlite:///{path}").close()

    tamper(tmp_path, statement)

    found = verify(all_runs=True, audit=f"sqlite:///{path}", artifacts=False).all_findings
    assert check in {finding.check for finding in found}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (
            lambda path: path.write_bytes(
                path.read_bytes()[:4096] + b"\xff" * 4096 + path.read_bytes()[8192:]
            ),
            7,
        ),
        (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), 7),
        (lambda path: path.write_bytes(b"garbage" * 100), 8),
    ],
    ids=["a page shredded", "cut short", "something else"],
)
def test_a_damaged_file_is_reported_and_never_a_crash(
    folder: Path, spoil: Callable[[Path], object], code: int
) -> None:
    spoil(folder / ".frame" / "audit.db")

    done = subprocess.run(
        [sys.executable, "-m", "frame", "verify"], cwd=folder, capture_output=True, text=True, check=False
    )

    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr


def test_a_receipt_that_nobody_trusted_has_signed_is_not_used(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "frame", "keys", "generate", "--out", "a.key"], cwd=folder, check=True
    )

    code, said = asked(folder, "--anchor", ".frame/receipts", "--key", "a.key.pub")

    assert code == 7
    assert "is not signed by a key that was named" in said
    assert said.startswith("not every receipt that was brought can be relied on\n")
    assert "not as it was written" not in said


def test_receipts_of_other_runs_neither_spoil_nor_anchor_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_key(folder / "a.key", "a")
    monkeypatch.setenv("FRAME_SIGNING_KEY", str(folder / "a.key"))
    unsigned = next((folder / ".frame" / "receipts").iterdir())
    run(folder / "pipeline.yaml")

    among_others = asked(folder, "latest", "--anchor", ".frame/receipts", "--key", "a.key.pub")
    of_another = asked(folder, "latest", "--anchor", str(unsigned))

    assert among_others[0] == 0
    assert "anchored up to commit" in among_others[1]
    assert of_another[0] == 0
    assert "no receipt that was named is of a run that was verified, so none was anchored" in of_another[1]
