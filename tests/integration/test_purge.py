"""Data goes, proof stays: what a purge removes, what it leaves, and what it refuses to touch."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from frame.audit import database
from frame.clock import SystemClock
from frame.operations import explain, purge, run, run_info
from frame.operations.explanation import DataState

from tests.integration.attacked import FRAME, Place

DAY_US = 86_400_000_000
PIPELINE = """
frame: 1
name: people
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {id: int, name: str}}
nodes:
  - name: stamp
    plugin: python
    options: {function: "people:stamp", determinism: non_deterministic}
  - {name: group, aggregate: {plugin: collect}, trigger: {count: 100}}
settings: {chunk_rows: 30}
sinks:
  out: {plugin: jsonl, options: {path: out/OUT.jsonl}}
"""
STAMP = """
import os

def stamp(row):
    if row["name"] == "bad":
        raise ValueError("bad")
    return {**row, "stamp": os.urandom(40).hex()}
"""


class DaysAgo(SystemClock):
    """The time that it was some days ago."""

    def __init__(self, days: int) -> None:
        super().__init__()
        self._back_us = days * DAY_US

    def time_us(self) -> int:
        return super().time_us() - self._back_us


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "people", raising=False)
    place = Place(tmp_path)
    place.put("people.py", STAMP)
    return place


def run_days_ago(place: Place, days: int, names: list[str], out: str = "out") -> str:
    place.put("in.csv", "id,name\n" + "".join(f"{n},{name}\n" for n, name in enumerate(names)))
    path = place.put(f"{out}.yaml", PIPELINE.replace("OUT", out))
    return run(path, clock=DaysAgo(days)).run_id


def store_of(place: Place) -> str:
    return f"sqlite:///{place.folder}/.frame/audit.db"


def pieces(place: Place) -> list[bytes]:
    """A piece from the middle of each block of bytes that is on record."""
    blobs = [data for (data,) in place.on_record("SELECT data FROM payload_data")]
    return [blob[len(blob) // 2 - 12 : len(blob) // 2 + 12] for blob in blobs]


def count_in_files(place: Place, wanted: list[bytes]) -> int:
    data = b"".join(path.read_bytes() for path in (place.folder / ".frame").glob("audit.db*"))
    return sum(piece in data for piece in wanted)


def facts(place: Place) -> Mapping[str, list[tuple[Any, ...]]]:
    """Every table but those that a purge writes to or deletes from."""
    tables = [name for (name,) in place.on_record("SELECT name FROM sqlite_master WHERE type = 'table'")]
    left_out = {"payload_data", "purges", "store_log", "store_head"}
    return {name: place.on_record(f"SELECT * FROM {name}") for name in tables if name not in left_out}


NAMES = [f"name {n}" for n in range(300)]


def test_a_purge_removes_every_byte_and_no_hash(place: Place) -> None:
    old = run_days_ago(place, 100, NAMES)
    young = run_days_ago(place, 10, ["young"] * 50, out="young")
    before, size = facts(place), (place.folder / ".frame" / "audit.db").stat().st_size
    blobs = dict(place.on_record("SELECT run, group_concat(hex(data)) FROM payload_data GROUP BY run"))
    everything = pieces(place)
    assert count_in_files(place, everything) == len(everything) > 20

    done = purge(timedelta(days=90), reason="nobody needs it", audit=store_of(place))

    assert [each.run_id for each in done.purged] == [old]
    assert done.kept == ()
    assert facts(place) == before
    left = place.on_record("SELECT run, group_concat(hex(data)) FROM payload_data GROUP BY run")
    assert left == [(2, blobs[2])]
    assert count_in_files(place, everything) == len(pieces(place)) > 0
    assert (place.folder / ".frame" / "audit.db").stat().st_size < size
    assert run_info(young, store_of(place)).counters["rows"] == 50


def test_a_purge_is_on_record_with_who_and_why_and_is_told_by_explain(place: Place) -> None:
    run_id = run_days_ago(place, 100, NAMES[:200])

    done = purge(timedelta(days=90), reason="Art. 17", audit=store_of(place), clock=DaysAgo(1))

    ((kind, detail),) = place.on_record(f"SELECT kind, detail FROM store_log WHERE n = {done.log_n}")
    said = json.loads(detail)
    blocks = sum(each.blocks for each in done.purged)
    assert (kind, said["by"], said["reason"]) == ("purged", done.by, "Art. 17")
    assert said["runs"] == [{"run_id": run_id, "blocks": blocks, "bytes": done.purged[0].stored_bytes}]
    assert place.on_record("SELECT run, log_n FROM purges") == [(1, done.log_n)]
    for question in ({"row": 7}, {"token": 7}, {"sink": "out", "index": 0}):
        explanation = explain(run_id, audit=store_of(place), **question)
        data = [story.data for story in explanation.stories]
        assert {each.state for each in data} == {DataState.NOT_KEPT}
        assert all(each.sha256 for each in data)
    ended = place.frame("explain", run_id, "--row", "7")
    assert ended.code == 0
    assert f"by {done.by} (Art. 17)" in ended.out
    assert "not kept: purged on " in ended.out


def test_a_purged_run_is_verified_and_graded_and_cannot_be_replayed(place: Place) -> None:
    run_id = run_days_ago(place, 100, NAMES)
    before = place.json("runs", "show", run_id)["grade"]
    verified = place.frame("verify", run_id)

    purge(timedelta(days=90), audit=store_of(place))

    after = place.json("runs", "show", run_id)["grade"]
    assert (before, after) == ("replayable", "attributable")
    assert "purged on " in place.frame("runs", "show", run_id).out
    assert (verified.code, place.frame("verify", run_id).code) == (0, 0)
    refused = place.frame("replay", run_id, "--pipeline", "out.yaml").without_traceback()
    assert refused.code == 8, refused
    refused.says("purged on ")


def test_a_run_whose_dead_letters_are_resolved_can_be_purged(place: Place) -> None:
    run_id = run_days_ago(place, 100, ["good", "bad", "good"])
    resolved = place.frame("dead-letters", "resolve", run_id, "--all", "--reason", "known", "--json")

    done = purge(timedelta(days=90), audit=store_of(place))

    assert resolved.code == 0, resolved.err
    assert [each.run_id for each in done.purged] == [run_id]


def interrupted(place: Place) -> None:
    with closing(sqlite3.connect(place.folder / ".frame" / "audit.db")) as store:
        store.execute("DROP TRIGGER run_changes_no_update")
        store.execute("UPDATE run_changes SET status = 'interrupted' WHERE status = 'completed'")
        store.commit()


def nothing(place: Place) -> None:
    """The run is as it is."""


@pytest.mark.parametrize(
    ("names", "spoil", "because"),
    [
        (["good", "bad", "good"], nothing, "it has 1 open dead letter: retry or resolve them"),
        (
            ["good"],
            interrupted,
            "it is interrupted and can be resumed, unless it is given up for good (--give-up)",
        ),
    ],
)
def test_a_run_that_still_needs_its_data_keeps_it(
    place: Place, names: list[str], spoil: Any, because: str
) -> None:
    run_id = run_days_ago(place, 100, names)
    spoil(place)
    kept = place.on_record("SELECT count(*) FROM payload_data")

    done = purge(timedelta(days=90), audit=store_of(place))
    named = place.frame("purge", "--run", run_id, "--json")

    assert [(each.run_id, each.kept_because) for each in done.kept] == [(run_id, because)]
    assert (done.purged, done.log_n) == ((), None)
    assert named.code == 8
    assert json.loads(named.out)["kept"][0]["because"] == because
    assert place.on_record("SELECT count(*) FROM payload_data") == kept


def crashed(place: Place) -> str:
    """A run whose process ended after some commits."""
    place.put("in.csv", "id,name\n" + "".join(f"{n},x\n" for n in range(200)))
    path = place.put("ends.yaml", PIPELINE.replace("OUT", "ends"))
    place.put("people.py", STAMP + ENDS)
    assert place.frame("run", str(path), "--quiet").code == -signal.SIGKILL
    ((run_id,),) = place.on_record("SELECT run_id FROM run_headers ORDER BY run DESC LIMIT 1")
    return str(run_id)


ENDS = """
quick = stamp

def stamp(row):
    if row["id"] == 140:
        os.kill(os.getpid(), 9)
    return quick(row)
"""


def test_a_run_that_could_be_resumed_is_given_up_by_name_and_on_record(place: Place) -> None:
    run_id = crashed(place)
    everything = pieces(place)
    kept = place.frame("purge", "--run", run_id)
    assert (kept.code, "it is crashed and can be resumed, unless" in kept.out) == (8, True)
    assert len(pieces(place)) == len(everything) > 0

    planned = place.frame("purge", "--run", run_id, "--give-up", "--dry-run")
    done = place.frame("purge", "--run", run_id, "--give-up", "--reason", "case 18")
    resumed = place.frame("resume", run_id).without_traceback()

    assert f"{run_id} could have been resumed and would be given up for good" in planned.out
    assert (done.code, f"{run_id} could have been resumed and was given up for good" in done.out) == (0, True)
    assert count_in_files(place, everything) == 0
    assert resumed.code == 8
    resumed.says(f"run {run_id} was given up for good on", "(case 18); there is nothing to resume")
    assert place.json("runs", "show", run_id)["status"] == "failed"
    assert place.frame("verify", run_id).code == 0
    assert place.frame("explain", run_id, "--row", "7").code == 0


def test_a_run_that_has_crashed_lets_the_file_be_written_anew(place: Place) -> None:
    run_days_ago(place, 100, NAMES)
    crashed(place)

    done = purge(timedelta(days=90), audit=store_of(place))

    assert len(done.purged) == 1
    assert not any("no run is under way" in note for note in done.notes)


WAITS = """
import time
from pathlib import Path

quick = stamp

def stamp(row):
    if row["id"] == 50:
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.01)
    return quick(row)
"""


def test_a_run_that_is_worked_on_cannot_be_given_up(place: Place) -> None:
    place.put("in.csv", "id,name\n" + "".join(f"{n},x\n" for n in range(100)))
    place.put("slow.yaml", PIPELINE.replace("OUT", "slow").replace("chunk_rows: 30", "chunk_rows: 5"))
    place.put("people.py", STAMP + WAITS)
    started = place.start("run", "slow.yaml").until((place.folder / "begun").exists)

    refused = place.frame("purge", "--run", "latest", "--give-up")
    place.put("go", "")
    ended = started.end().without_traceback()

    assert (refused.code, "since it has not ended" in refused.out) == (8, True)
    assert ended.code == 0, ended.err


def test_a_run_of_which_every_row_failed_cannot_be_resumed_and_needs_no_giving_up(place: Place) -> None:
    run_id = run_days_ago(place, 100, ["bad", "bad"])
    assert place.frame("dead-letters", "resolve", run_id, "--all", "--reason", "known").code == 0

    done = purge(timedelta(days=90), audit=store_of(place))

    assert [(each.run_id, each.status, each.given_up) for each in done.purged] == [(run_id, "failed", False)]


def test_a_run_that_is_named_and_too_young_is_kept_and_said_so(place: Place) -> None:
    run_id = run_days_ago(place, 10, ["one"])

    by_age = place.frame("purge", "--older-than", "90d", "--json")
    by_name = place.frame("purge", "--older-than", "90d", "--run", run_id[:20])
    alone = place.frame("purge", "--run", "latest")

    assert (by_age.code, json.loads(by_age.out)["kept"]) == (0, [])
    assert (by_name.code, "since it is not old enough" in by_name.out) == (8, True)
    assert (alone.code, "data of 1 run removed" in alone.out) == (0, True)


def test_a_dry_run_changes_nothing(place: Place) -> None:
    run_days_ago(place, 100, NAMES[:100])
    before = (place.folder / ".frame" / "audit.db").read_bytes()

    ended = place.frame("purge", "--older-than", "90d", "--dry-run")

    assert "of 1 run would be removed" in ended.out
    assert (place.folder / ".frame" / "audit.db").read_bytes() == before
    assert place.on_record("SELECT count(*) FROM purges") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("purge",), "say which runs"),
        (("purge", "--older-than", "soon"), "write a number and a unit"),
        (("purge", "--older-than", "90"), "'90' has no unit: write a number and a unit"),
        (("purge", "--run", "none"), "there is no run 'none'"),
        (("purge", "--run", "0"), "'0' is too little of an id to remove data by: it means run 0"),
        (("purge", "--run", "0", "--dry-run"), "type at least 6 characters of it"),
        (("purge", "--older-than", "90d", "--give-up"), "runs are given up by name alone"),
    ],
)
def test_a_purge_of_nothing_in_particular_is_a_wrong_use(
    place: Place, arguments: tuple[str, ...], words: str
) -> None:
    run_days_ago(place, 100, ["one"])

    place.frame(*arguments).without_traceback().says(words)

    assert place.frame(*arguments).code == 2


def test_bytes_of_a_run_that_was_not_purged_cannot_be_deleted(place: Place) -> None:
    run_days_ago(place, 100, ["one"])

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        place.on_record("DELETE FROM payload_data")


# --- Killed -------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from datetime import timedelta
from frame.audit import erasure, purge as steps
from frame.operations import purge

where, after, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
module = steps if hasattr(steps, where) else erasure
original, calls = getattr(module, where), 0
steps.BYTES_AT_ONCE = 1

def killing(*arguments):
    global calls
    calls += 1
    if calls > after:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)

setattr(module, where, killing)
purge(timedelta(days=90), audit=url)
"""


@pytest.mark.parametrize(
    ("where", "after", "recorded", "left"),
    [
        ("put_down", 0, 0, "all"),
        ("portions", 0, 1, "all"),
        ("remove", 0, 1, "all"),
        ("remove", 4, 1, "some"),
        ("rewrite", 0, 1, "none"),
        ("empty_log", 0, 1, "none"),
    ],
)
def test_a_purge_that_is_killed_is_finished_by_the_next_one(
    place: Place, where: str, after: int, recorded: int, left: str
) -> None:
    run_id = run_days_ago(place, 100, NAMES)
    everything = pieces(place)

    ended = subprocess.run(
        [sys.executable, "-c", KILLED, where, str(after), store_of(place)], check=False, cwd=place.folder
    )

    assert ended.returncode == -signal.SIGKILL
    assert place.on_record("SELECT count(*) FROM purges") == [(recorded,)]
    ((count,),) = place.on_record("SELECT count(*) FROM payload_data")
    assert {"all": count == len(everything), "some": 0 < count < len(everything), "none": count == 0}[left]
    assert place.frame("explain", run_id, "--row", "299").code == 0

    done = purge(timedelta(days=90), audit=store_of(place))

    assert [each.run_id for each in done.purged] == ([] if recorded else [run_id])
    assert done.finished == ((run_id,) if recorded and left != "none" else ())
    assert count_in_files(place, everything) == 0
    assert place.on_record("SELECT count(*) FROM store_log WHERE kind = 'purged'") == [(1,)]
    assert place.on_record("PRAGMA integrity_check") == [("ok",)]


# --- Beside others ------------------------------------------------------------------------------------------------


def test_a_purge_beside_a_run_keeps_nobody_waiting_and_says_what_is_left_to_do(place: Place) -> None:
    run_days_ago(place, 100, NAMES)
    everything = pieces(place)
    place.put("in.csv", "id,name\n" + "".join(f"{n},x\n" for n in range(400)))
    place.put("slow.yaml", PIPELINE.replace("OUT", "slow").replace("chunk_rows: 30", "chunk_rows: 5"))
    place.put(
        "people.py",
        STAMP + "\nimport time, pathlib\nquick = stamp\n\ndef stamp(row):\n"
        "    pathlib.Path('begun').touch()\n    time.sleep(0.005)\n    return quick(row)\n",
    )
    started = place.start("run", "slow.yaml").until((place.folder / "begun").exists)

    beside = purge(timedelta(days=90), audit=store_of(place))
    ended = started.end().without_traceback()
    after = purge(timedelta(days=90), audit=store_of(place))

    assert len(beside.purged) == 1
    assert any("no run is under way" in note for note in beside.notes)
    assert ended.code == 0, ended.err
    assert [len(row["items"]) for row in place.rows("slow.jsonl")] == [100, 100, 100, 100]
    assert not any("no run is under way" in note for note in after.notes)
    assert count_in_files(place, everything) == 0
    with database.open(store_of(place)) as store, store.reading() as connection:
        assert list(store.damages(connection)) == []


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 130, True), (b"y\n", 0, False)])
def test_on_a_terminal_a_purge_asks_first(place: Place, answer: bytes, code: int, left: bool) -> None:
    run_days_ago(place, 100, ["one"])
    ours, theirs = pty.openpty()

    process = subprocess.Popen(
        [sys.executable, FRAME, "purge", "--older-than", "90d"],
        cwd=place.folder,
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
    )
    os.close(theirs)
    said = b""
    while b"Remove it?" not in said:
        said += os.read(ours, 1_000)
    os.write(ours, answer)
    process.communicate(timeout=30)
    os.close(ours)

    assert b"would be removed" in said
    assert process.returncode == code
    assert place.on_record("SELECT count(*) > 0 FROM payload_data") == [(left,)]
