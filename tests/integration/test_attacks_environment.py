"""The machine gives no more, or somebody has been at the record: a clean stop, a cause in one line, nothing lost."""

import base64
import os
import pickle
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from frame.operations import resume, run

from tests.integration.attacked import RESUMABLE, Place
from tests.integration.test_attacks_runtime import conserved, slow, small_disk

ROWS = "id\n" + "".join(f"{n}\n" for n in range(2_000))


# --- The machine gives no more ------------------------------------------------------------------------------------


@contextmanager
def few_inodes(folder: Path, count: int) -> Iterator[None]:
    """A file system of its own at `folder` that has room for `count` inodes, its root among them."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"nr_inodes={count},size=10m"
    mounted = os.geteuid() == 0 and shutil.which("mount")
    if (
        not mounted
        or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=False).returncode
    ):
        pytest.skip("nothing may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("count", [1, 2])
def test_a_sink_that_finds_no_inode_stops_the_run_which_goes_on_later(tmp_path: Path, count: int) -> None:
    place = Place(tmp_path).through(ROWS)
    with few_inodes(tmp_path / "out", count):
        ended = place.run()
        kept = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for name, data in kept.items():
        place.put(f"out/{name}", data)

    assert ended.code == RESUMABLE, ended.err
    ended.says("sink 'out'", "No space left on device", "out.jsonl")
    conserved(place)
    assert resume("latest", audit=f"sqlite:///{tmp_path}/.frame/audit.db").status == "completed"
    assert [row["id"] for row in place.rows()] == list(range(2_000))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_record_that_finds_no_inode_is_told_before_a_sink_is_touched(tmp_path: Path, count: int) -> None:
    place = Place(tmp_path).through("id\n1\n")

    with few_inodes(tmp_path / ".frame", count):
        ended = place.run()

    assert ended.code == RESUMABLE, ended.err
    ended.says("audit.db")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("most", [6, 7, 8, 9, 12, 16])
def test_whatever_the_limit_on_open_files_the_cause_is_told(tmp_path: Path, most: int) -> None:
    place = Place(tmp_path).through("id\n1\n")

    ended = place.frame("run", "pipeline.yaml", limits={resource.RLIMIT_NOFILE: most})

    assert ended.code in (0, 3, 4, RESUMABLE), ended.err
    assert ended.code == 0 or "open" in ended.err, ended.err
    assert "fault in frame" not in ended.err
    assert (tmp_path / "out" / "out.jsonl").exists() == (ended.code == 0)


def test_a_run_that_can_have_no_event_loop_says_so_without_noise(tmp_path: Path) -> None:
    place = slow(tmp_path, rows=1)
    text = (tmp_path / "pipeline.yaml").read_text()
    place.put("pipeline.yaml", text.replace("    plugin: python", "    concurrency: 2\n    plugin: python"))

    ends = {}
    for most in range(10, 17):
        shutil.rmtree(tmp_path / ".frame", ignore_errors=True)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        ends[most] = place.run(limits={resource.RLIMIT_NOFILE: most})

    assert {most: ended.code for most, ended in ends.items() if ended.code not in (0, 3, 4, RESUMABLE)} == {}
    assert [ended.err for ended in ends.values() if "Exception ignored" in ended.err] == []
    without_loop = [ended for ended in ends.values() if "no event loop can be begun" in ended.err]
    assert [ended.code for ended in without_loop] == [RESUMABLE] * len(without_loop) != []
    assert ends[16].code == 0, ends[16].err


@pytest.mark.parametrize("most_mb", [110, 125, 140, 200])
def test_a_run_that_is_given_too_little_memory_ends_and_loses_nothing(tmp_path: Path, most_mb: int) -> None:
    place = Place(tmp_path).through(f"id\n{'x' * 5_000_000}\n" + "1\n" * 2_000)

    ended = place.frame(
        "run", "pipeline.yaml", limits={resource.RLIMIT_AS: most_mb * 1_000_000}, timeout_s=30
    )

    if (tmp_path / ".frame" / "audit.db").exists() and ended.code in (0, RESUMABLE):
        conserved(place)
    assert (tmp_path / "out" / "out.jsonl").exists() == (ended.code == 0), ended.err


# --- Somebody has been at the record --------------------------------------------------------------------------------


def killed(folder: Path) -> Place:
    """A run that was killed while the newest commits stood in the write-ahead log alone."""
    place = slow(folder, rows=100)
    part = folder / "out" / "out.jsonl.part"
    started = place.start("run", "pipeline.yaml").until(lambda: part.exists() and part.stat().st_size > 100)
    started.process.kill()
    started.end()
    return place


COMMANDS = [("runs", "list"), ("runs", "show", "latest"), ("resume", "latest"), ("run", "pipeline.yaml")]


def test_a_record_without_its_log_is_refused_and_is_well_again_when_the_log_is_back(tmp_path: Path) -> None:
    place = killed(tmp_path)
    log, kept = tmp_path / ".frame" / "audit.db-wal", tmp_path / "kept"
    log.rename(kept)
    before = (tmp_path / ".frame" / "audit.db").read_bytes()

    ends = [place.frame(*command).without_traceback() for command in COMMANDS]

    assert {ended.code for ended in ends} == {8}, ends
    for ended in ends:
        ended.says("audit.db-wal is missing", "put it back")
    assert (tmp_path / ".frame" / "audit.db").read_bytes() == before
    kept.rename(log)
    assert place.json("runs", "list")["runs"][0]["status"] == "crashed"


def test_a_record_on_a_read_only_disk_is_told_and_left_alone(tmp_path: Path) -> None:
    place = Place(tmp_path).through("id\n1\n")
    with small_disk(tmp_path / ".frame", "10m") as disk:
        assert place.run().code == 0
        shutil.rmtree(tmp_path / "out")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

        ended = place.run()

    assert ended.code == 8, ended.err
    ended.says("audit.db", "read-only")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["nfs4", "cifs"])
def test_a_record_on_a_network_file_system_is_refused_and_none_is_made_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What the system says of its mounts is all that is made up here: a test can mount no network."""
    home = tmp_path / "my home"
    place = Place(home / "work").through("id\n1\n")
    mounts = tmp_path / "mounts"
    lines = ["rootfs / rootfs rw 0 0", f"server:/x {str(home).replace(' ', chr(92) + '040')} {kind} rw 0 0"]
    mounts.write_text("\n".join(["none / ext4 rw 0 0", *lines, "tmp /tmp/elsewhere tmpfs rw 0 0"]) + "\n")
    monkeypatch.setattr("frame.audit.sqlite.MOUNTS", mounts)
    before = place.files()

    ended = place.run_inside()

    assert ended.code == 8, ended.err
    ended.says("audit.db", "network file system", kind, "local disk")
    assert place.files() == before
    assert not (home / "work" / "out").exists()


class Hacked:
    """A pickle that would make a file if anybody loaded it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (f"touch {self._file}",)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE chunks SET source_position = :text",
        "UPDATE chunks SET source_position = :bytes",
        "UPDATE confirmations SET sink_position = :text",
        "UPDATE payload_data SET data = :bytes",
        "UPDATE run_headers SET settings = :text",
    ],
)
def test_a_pickle_in_the_record_is_data_that_nobody_runs(tmp_path: Path, change: str) -> None:
    place = killed(tmp_path)
    hacked = pickle.dumps(Hacked(tmp_path / "hacked"))
    with closing(sqlite3.connect(tmp_path / ".frame" / "audit.db")) as store:
        for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            store.execute(f"DROP TRIGGER {name}")
        store.execute(change, {"bytes": hacked, "text": base64.b64encode(hacked).decode()})
        store.commit()

    ends = [
        place.frame(*command).without_traceback()
        for command in (("runs", "show", "latest"), ("explain", "latest", "--row", "0"), ("resume", "latest"))
    ]

    assert not (tmp_path / "hacked").exists()
    assert "fault in frame" not in "".join(ended.err for ended in ends), ends
    assert ends[-1].code in (6, 7, 8), ends[-1]
    assert not (tmp_path / "out" / "out.jsonl").exists()


def test_a_store_that_is_well_is_opened_beside_its_log_and_index(tmp_path: Path) -> None:
    place = Place(tmp_path).through("id\n1\n")
    run(tmp_path / "pipeline.yaml")
    with closing(sqlite3.connect(tmp_path / ".frame" / "audit.db")) as somebody:
        assert somebody.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        assert (tmp_path / ".frame" / "audit.db-shm").exists()

        assert len(place.json("runs", "list")["runs"]) == 1
