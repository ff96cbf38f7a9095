"""A tail that is cut off whole, with all that follows from it, shows against a receipt and in no other way."""

import sqlite3
from pathlib import Path

import pytest

from tests.tamper.tamper_chain import rewriting, without_protection
from tests.tamper.tamper_store import Original, build, put_back, verified


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return build(tmp_path_factory.mktemp("tail") / "store")


def cut(path: Path, run_id: str, commits: int) -> None:
    """Cut the newest commits off a run, and put everything that follows from them in order again."""
    connection = sqlite3.connect(path, isolation_level=None)
    triggers = without_protection(connection)
    (run,) = connection.execute("SELECT run FROM run_headers WHERE run_id = ?", [run_id]).fetchone()
    (n,) = connection.execute("SELECT n FROM heads WHERE run = ?", [run]).fetchone()
    left = n - commits
    chunks = connection.execute(
        "SELECT chunk FROM chunks WHERE run = ? AND block >= ?", [run, left]
    ).fetchall()
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
        if "chunk" in columns:
            for (chunk,) in chunks:
                connection.execute(f"DELETE FROM {table} WHERE run = ? AND chunk = ?", [run, chunk])
    connection.execute("DELETE FROM run_changes WHERE run = ? AND block >= ?", [run, left])
    connection.execute("DELETE FROM blocks WHERE run = ? AND n >= ?", [run, left])
    connection.execute(
        "UPDATE heads SET n = ?, hash = (SELECT hash FROM blocks WHERE run = ? AND n = ?) WHERE run = ?",
        [left, run, left - 1, run],
    )
    _cut_log(connection, run_id)
    for trigger in triggers:
        connection.execute(trigger)
    connection.close()


def _cut_log(connection: sqlite3.Connection, run_id: str) -> None:
    """The newest record of the log is that of the run's end."""
    n, kind, detail = connection.execute(
        "SELECT n, kind, detail FROM store_log ORDER BY n DESC LIMIT 1"
    ).fetchone()
    assert (kind, run_id in detail) == ("run_ended", True)
    connection.execute("DELETE FROM store_log WHERE n = ?", [n])
    connection.execute(
        "UPDATE store_head SET n = ?, hash = (SELECT hash FROM store_log WHERE n = ?)", [n, n - 1]
    )


@pytest.mark.parametrize("commits", [1, 2])
def test_a_cut_tail_shows_against_a_receipt_only(original: Original, tmp_path: Path, commits: int) -> None:
    path, newest = tmp_path / "audit.db", original.run_ids[-1]
    put_back(original, path)

    cut(path, newest, commits)

    alone = verified(path, None)
    assert alone.all_findings == []
    assert all(any("not anchored" in note for note in run.notes) for run in alone.runs)
    anchored = verified(path, original.receipts)
    found = [finding for finding in anchored.all_findings if finding.run_id == newest]
    assert [(finding.check, finding.means) for finding in found] == [
        ("anchor", "the log was written anew, or cut off at its end"),
        ("anchor", "commits were cut off the end"),
    ]


def test_a_whole_run_that_is_taken_out_is_missed_by_the_log_and_by_its_receipt(
    original: Original, tmp_path: Path
) -> None:
    path, gone = tmp_path / "audit.db", original.run_ids[0]
    put_back(original, path)
    connection = sqlite3.connect(path, isolation_level=None)
    triggers = without_protection(connection)
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if "run" in [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]:
            connection.execute(f"DELETE FROM {table} WHERE run = 1")
    for trigger in triggers:
        connection.execute(trigger)
    connection.close()

    report = verified(path, original.receipts)

    assert {finding.check for finding in report.all_findings if finding.run_id == gone} == {"log", "anchor"}


def test_a_chain_that_is_written_anew_shows_against_a_receipt(original: Original, tmp_path: Path) -> None:
    path, run_id = tmp_path / "audit.db", original.run_ids[-1]
    put_back(original, path)
    with rewriting(path, run_id) as (connection, run):
        connection.execute("UPDATE run_headers SET pipeline = 'another' WHERE run = ?", [run])

    assert verified(path, None).all_findings == []
    report = verified(path, original.receipts)
    assert {finding.check for finding in report.all_findings} == {"anchor"}
    assert run_id in {finding.run_id for finding in report.all_findings}
