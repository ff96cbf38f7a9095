"""The world goes wrong while a run is under way: disks, signals, pipes, records; nothing is lost and nothing lies."""

import contextlib
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from frame.clock import SystemClock
from frame.operations import run

from tests.integration.attacked import FRAME, RESUMABLE, Ended, Place

SLOW = """
frame: 1
name: slow
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {id: int}}
nodes:
  - name: wait
    plugin: python
    options: {function: "slow:wait", determinism: deterministic}
settings: {chunk_rows: 5}
sinks:
  out: {plugin: jsonl, options: {path: out/out.jsonl}}
"""

WAIT = """
import pathlib, time

def wait(row):
    pathlib.Path("begun").touch()
    time.sleep(0.02)
    return dict(row)
"""

HANG = """
import pathlib, time

def wait(row):
    pathlib.Path("begun").touch()
    while True:
        time.sleep(1000)
"""


def slow(folder: Path, function: str = WAIT, rows: int = 1_000) -> Place:
    place = Place(folder)
    place.put("pipeline.yaml", SLOW)
    place.put("slow.py", function)
    place.put("in.csv", "id\n" + "".join(f"{n}\n" for n in range(rows)))
    return place


def conserved(place: Place) -> Mapping[str, int]:
    """The counters of the latest run, which lose no row."""
    counters: Mapping[str, int] = place.report()["counters"]
    assert counters["rows"] == counters["succeeded"] + counters["failed"] + counters["open"]
    return counters


# --- Signals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_after_the_chunk_in_hand(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    place = slow(tmp_path)
    started = place.start("run", "pipeline.yaml").until((tmp_path / "begun").exists)

    ended = started.signal(number).end().without_traceback()

    assert ended.code == code, ended.err
    ended.says("finishing the chunk in hand", "interrupted")
    assert place.json("runs", "list")["runs"][0]["status"] == "interrupted"
    counters = conserved(place)
    assert 0 < counters["rows"] < 1_000
    written = (tmp_path / "out" / "out.jsonl.part").read_text().splitlines()
    assert len(written) == counters["succeeded"] == counters["rows"]


def test_a_second_signal_ends_even_a_run_whose_plugin_hangs(tmp_path: Path) -> None:
    place = slow(tmp_path, HANG)
    started = place.start("run", "pipeline.yaml").until((tmp_path / "begun").exists)
    started.signal(signal.SIGINT)
    assert started.line() == "frame: finishing the chunk in hand; press again to stop at once"

    ended = started.signal(signal.SIGINT).end(timeout_s=10).without_traceback()

    assert ended.code == 130
    ended.says("what was committed is safe")
    assert place.json("runs", "list")["runs"][0]["status"] in ("running", "crashed")
    assert not (tmp_path / "out" / "out.jsonl").exists()


# --- Disks ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own at `folder`, of `size`; skips where nothing may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    if not shutil.which("mount") or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("no small disk may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


MANY = "id\n" + "".join(f"{'x' * 100}{n}\n" for n in range(3_000))


def full_sink_disk(place: Place) -> Ended:
    with small_disk(place.folder / "out", "64k"):
        return place.run()


def full_record_disk(place: Place) -> Ended:
    with small_disk(place.folder / "record", "400k"):
        ended = place.run("--audit", "sqlite:///record/audit.db")
        (place.folder / ".frame").mkdir()
        for file in (place.folder / "record").glob("audit.db*"):
            shutil.copy(file, place.folder / ".frame" / file.name)
    return ended


def test_a_full_disk_under_a_sink_stops_the_run_and_leaves_what_is_on_record(tmp_path: Path) -> None:
    place = Place(tmp_path).through(MANY)

    ended = full_sink_disk(place)

    assert ended.code == RESUMABLE, ended.err
    ended.says("sink 'out'", "No space left on device", "out.jsonl.part")
    report = place.report()
    assert report["status"] == "failed"
    assert conserved(place)["open"] > 0
    intended, confirmed = place.on_record(
        "SELECT sum(rows), sum(rows * (confirmed_chunk IS NOT NULL)) FROM sink_intents"
    )[0]
    assert intended > (confirmed or 0)


def test_a_full_disk_under_the_record_stops_the_run_before_a_sink_knows_more_than_it(tmp_path: Path) -> None:
    place = Place(tmp_path).through(MANY)

    ended = full_record_disk(place)

    assert ended.code == RESUMABLE, ended.err
    ended.says("record/audit.db", "disk is full", "Make room")
    ((intended,),) = place.on_record("SELECT coalesce(sum(rows), 0) FROM sink_intents")
    part = tmp_path / "out" / "out.jsonl.part"
    written = part.read_text().splitlines() if part.exists() else []
    assert len(written) <= intended
    assert place.on_record("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("limit_bytes", [30_000, 150_000, 400_000])
def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path: Path, limit_bytes: int) -> None:
    place = Place(tmp_path).through(MANY)

    ended = place.run(limits={resource.RLIMIT_FSIZE: limit_bytes})

    assert ended.code == RESUMABLE, ended
    assert "File too large" in ended.err or "disk" in ended.err or "full" in ended.err, ended.err


def test_a_read_only_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    place = Place(tmp_path).through("id\n1\n")

    with small_disk(tmp_path / "out", "64k") as out:
        subprocess.run(["mount", "-o", "remount,ro", str(out)], check=True)
        ended = place.run()

    assert ended.code == 3, ended.err
    ended.says("sinks.out.options.path", "read-only")
    assert place.files() == ["in.csv", "pipeline.yaml"]


def test_too_few_open_files_is_told_and_not_a_bug(tmp_path: Path) -> None:
    limits = (10, 14, 18, 32)
    places = {most: Place(tmp_path / str(most)).through("id\n1\n") for most in limits}

    ends = {most: place.run(limits={resource.RLIMIT_NOFILE: most}) for most, place in places.items()}

    assert ends[32].code == 0, ends[32].err
    assert {most: ended.code for most, ended in ends.items() if ended.code not in (0, 3, 4, 6)} == {}, ends


# --- Standard output ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [("run", "pipeline.yaml"), ("run", "pipeline.yaml", "--json"), ("--help",)]
)
def test_a_reader_that_goes_away_is_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    place = Place(tmp_path).through("id\n" + "x\n" * 50_000)
    if "--json" not in arguments:
        place.put("pipeline.yaml", (tmp_path / "pipeline.yaml").read_text().replace("out/out.jsonl", '"-"'))
    reading, writing = os.pipe()
    os.close(reading)

    ended = subprocess.run(
        [sys.executable, FRAME, *arguments],
        cwd=tmp_path,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)

    said = ended.stderr.decode()
    assert ended.returncode in (1, 6), said
    assert "Traceback" not in said
    assert "Exception ignored" not in said


TO_STDOUT = """
frame: 1
name: t
source: {plugin: csv, options: {path: in.csv}, schema: {mode: observed}}
sinks:
  out: {plugin: jsonl, options: {path: "-"}}
"""


@pytest.mark.parametrize(
    ("command", "code", "word"),
    [
        ("run pipeline.yaml >&-", 0, "completed"),
        ("run pipeline.yaml <&- >&- 2>&-", 0, ""),
        ("run pipeline.yaml -vv 2>/dev/full", 0, ""),
        ("run none.yaml 2>/dev/full", 3, ""),
        ("run none.yaml --json >/dev/full", 3, "no such file"),
        ("run to_stdout.yaml >&-", RESUMABLE, "sink 'out'"),
        ("run to_stdout.yaml >/dev/full", RESUMABLE, "No space left on device"),
        ("runs list --audit sqlite:///r.db >/dev/full", 2, "no audit store"),
        ("schema >/dev/full", 1, "standard output cannot be written: No space left on device"),
        ("schema >&-", 1, "standard output cannot be written"),
    ],
)
def test_closed_and_full_streams_are_told_where_they_are_needed(
    tmp_path: Path, command: str, code: int, word: str
) -> None:
    place = Place(tmp_path).through("id\n1\n")
    place.put("to_stdout.yaml", TO_STDOUT)

    ended = subprocess.run(
        f"{sys.executable} {FRAME} {command}", shell=True, cwd=tmp_path, stderr=subprocess.PIPE, check=False
    )

    said = ended.stderr.decode()
    assert ended.returncode == code, said
    assert word in said
    assert "Traceback" not in said
    assert "fault in frame" not in said


# --- The record -----------------------------------------------------------------------------------------------


def newer(path: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(path)
    names = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%migration%'")
    ]
    connection.execute("PRAGMA user_version=9999")
    for name in names:
        with contextlib.suppress(sqlite3.Error):
            connection.execute(f"INSERT INTO {name} SELECT 9999, name, applied_us FROM {name} LIMIT 1")
    connection.commit()
    connection.close()


RECORDS: Mapping[str, tuple[Any, tuple[int, ...], str]] = {
    "garbage": (lambda path: path.write_bytes(b"garbage" * 1000), (7, 8), "not an audit store"),
    "empty": (lambda path: path.write_bytes(b""), (7, 8), "empty"),
    "another database": (
        lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(84)),
        (7, 8),
        "not an audit store",
    ),
    "folder": (Path.mkdir, (8,), "directory"),
    "fifo": (os.mkfifo, (8,), "not an ordinary file"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_is_none_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    make, codes, word = RECORDS[name]
    place = Place(tmp_path).through("id\n1\n")
    (tmp_path / ".frame").mkdir()
    path = tmp_path / ".frame" / "audit.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None

    for command in (("run", "pipeline.yaml"), ("runs", "list")):
        ended = place.inside(*command)
        assert ended.code in codes, ended.err
        ended.says("audit.db", word)

    assert (path.read_bytes() if path.is_file() else None) == before
    assert not (tmp_path / "out").exists()


def test_a_record_of_a_newer_frame_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path).through("id\n1\n")
    assert place.run().code == 0
    newer(tmp_path / ".frame" / "audit.db")
    shutil.rmtree(tmp_path / "out")

    ended = place.run()

    assert ended.code == 8, ended.err
    ended.says("audit.db", "newer")
    assert not (tmp_path / "out").exists()


def test_a_damaged_record_stops_the_run_and_is_not_repaired(tmp_path: Path) -> None:
    place = Place(tmp_path).through("id\n1\n")
    assert place.run().code == 0
    path = tmp_path / ".frame" / "audit.db"
    data = bytearray(path.read_bytes())
    data[100:] = os.urandom(len(data) - 100)
    path.write_bytes(data)
    shutil.rmtree(tmp_path / "out")

    for ended in (place.run(), place.frame("runs", "list").without_traceback()):
        assert ended.code in (6, 7), ended.err
        ended.says("audit.db", "not repaired")

    assert path.read_bytes()[100:] == bytes(data[100:])


def test_two_runs_may_share_a_record(tmp_path: Path) -> None:
    places = [Place(tmp_path / name).through("id\n" + "1\n" * 5_000) for name in ("one", "two", "three")]
    arguments = ("run", "pipeline.yaml", "--audit", f"sqlite:///{tmp_path / 'audit.db'}")

    started = [place.start(*arguments) for place in places]
    ends = [each.end().without_traceback() for each in started]

    assert [ended.code for ended in ends] == [0, 0, 0], ends
    listed = places[0].json("runs", "list", "--audit", arguments[-1])["runs"]
    assert [(each["status"], each["counters"]["rows"]) for each in listed] == [("completed", 5_000)] * 3


def test_two_runs_on_one_output_end_with_one_of_them_whole(tmp_path: Path) -> None:
    place = slow(tmp_path, rows=50)

    started = [place.start("run", "pipeline.yaml") for _ in range(2)]
    ends = [each.end().without_traceback() for each in started]

    codes = sorted(ended.code for ended in ends)
    assert codes[0] == 0
    assert codes[1] in (3, 6, 75), ends
    assert len(place.rows()) == 50


# --- Time -----------------------------------------------------------------------------------------------------

DAY_US, YEAR_US = 86_400_000_000, 365 * 86_400_000_000


class Unsteady(SystemClock):
    """A wall clock that somebody turns: each time it is read it is off by the next of `offsets_us`."""

    def __init__(self, offsets_us: Sequence[int | None]) -> None:
        super().__init__()
        self._offsets_us = itertools.cycle(offsets_us)

    def time_us(self) -> int:
        offset_us = next(self._offsets_us)
        return 1_700_000_000_000_000 if offset_us is None else super().time_us() + offset_us


@pytest.mark.parametrize(
    "offsets_us",
    [(0, -DAY_US), (0, 0, 10 * YEAR_US, 0), (None,)],
    ids=["back a day", "forward ten years", "frozen"],
)
def test_a_clock_that_is_turned_changes_nothing_in_the_sinks(
    tmp_path: Path, offsets_us: Sequence[int | None]
) -> None:
    place = Place(tmp_path).through("id\n" + "".join(f"{n}\n" for n in range(3_000)))

    result = run(tmp_path / "pipeline.yaml", clock=Unsteady(offsets_us))

    assert (result.error, result.status) == (None, "completed")
    assert [row["id"] for row in place.rows()] == list(range(3_000))
