"""A backup is the store as it was at one moment, whole, or there is none."""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from frame.errors import AuditError, Refused
from frame.operations import backup, explain, runs
from frame.testing import ManualClock

from tests.integration.attacked import RESUMABLE, Place
from tests.integration.test_attacks_runtime import slow, small_disk

ROWS = "id\n" + "".join(f"{n}\n" for n in range(2_000))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path).through(ROWS)
    assert place.run_inside().code == 0
    return place


def store_of(place: Place) -> str:
    return f"sqlite:///{place.folder}/.frame/audit.db"


def everything(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: store.execute(f"SELECT * FROM {name}").fetchall() for name in tables}


def test_a_backup_is_a_store_with_everything_in_it(place: Place) -> None:
    target = place.folder / "kept" / "copy.db"

    made = backup(target, audit=store_of(place))

    assert everything(target) == everything(place.folder / ".frame" / "audit.db")
    assert (made.copy.path, made.copy.runs) == (target, 1)
    assert made.copy.sha256 == hashlib.sha256(target.read_bytes()).digest()
    assert made.copy.size_bytes == target.stat().st_size
    assert sorted(path.name for path in target.parent.iterdir()) == ["copy.db"]
    assert target.stat().st_mode == (place.folder / ".frame" / "audit.db").stat().st_mode
    assert explain(audit=f"sqlite:///{target}", row=1_999).stories[0].data.row == {"id": 1999}


def test_a_backup_in_a_folder_is_named_after_the_store_and_the_time(place: Place) -> None:
    at = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
    clock = ManualClock(at.timestamp())

    beside = backup(audit=store_of(place), clock=clock)
    elsewhere = backup(place.folder, audit=store_of(place), clock=clock)

    assert beside.copy.path == place.folder / ".frame" / "audit-20261121T123000Z.db"
    assert elsewhere.copy.path == place.folder / "audit-20261121T123000Z.db"


def test_backups_of_a_store_that_a_run_writes_to_are_whole(tmp_path: Path) -> None:
    place = slow(tmp_path, rows=300)
    started = place.start("run", "pipeline.yaml").until((tmp_path / "begun").exists)

    made = [backup(tmp_path / f"copy{n}.db", audit=store_of(place)) for n in range(5)]
    ended = started.end().without_traceback()

    assert ended.code == 0, ended.err
    sizes = []
    for each in made:
        tables = everything(each.copy.path)
        (head,) = tables["heads"]
        assert len(tables["blocks"]) == head[1], "the head is that of the newest block"
        assert len(tables["payload_blocks"]) == len(tables["payload_data"])
        sizes.append(head[1])
    assert sizes == sorted(sizes)
    assert place.on_record("SELECT n FROM heads")[0][0] > sizes[-1]
    (copied,) = runs(f"sqlite:///{made[-1].copy.path}").runs
    assert copied.status in ("running", "crashed")


def a_file(path: Path) -> None:
    path.write_text("kept")


def a_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("occupy", [a_file, a_link])
def test_a_backup_overwrites_nothing(place: Place, occupy: Callable[[Path], None]) -> None:
    target = place.folder / "copy.db"
    occupy(target)
    before = place.files()

    with pytest.raises(Refused, match="exists already"):
        backup(target, audit=store_of(place))

    assert place.files() == before


def test_a_backup_that_finds_no_room_leaves_nothing(place: Place) -> None:
    with small_disk(place.folder / "small", "32k") as small:
        with pytest.raises(AuditError, match="full"):
            backup(small / "copy.db", audit=store_of(place))

        assert list(small.iterdir()) == []


def test_a_backup_of_a_damaged_store_is_none(place: Place) -> None:
    path = place.folder / ".frame" / "audit.db"
    data = bytearray(path.read_bytes())
    data[40_960:49_152] = b"\xff" * 8_192
    path.write_bytes(data)

    ended = place.frame("audit", "backup", "--to", "copy.db")

    assert ended.code in (RESUMABLE, 7), ended.err
    assert not (place.folder / "copy.db").exists()
    assert [name for name in place.files() if "copy" in name] == []


def test_the_command_says_what_it_has_made(place: Place) -> None:
    told = place.frame("audit", "backup", "--to", "copy.db")
    made = place.json("audit", "backup", "--to", "other.db")

    assert told.code == 0
    assert told.out.startswith("copy.db: 1 run, ")
    assert (made["path"], made["runs"]) == ("other.db", 1)


def test_a_store_in_postgresql_is_left_to_its_own_tools(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:hunter2@db.example/audit"

    ended = Place(tmp_path).frame("audit", "backup", environment={"FRAME_AUDIT": url})

    assert ended.code == 2
    ended.says(
        "pg_dump --format=custom --file=audit.dump 'postgresql://", "@db.example/audit'", "pg_basebackup"
    )
    assert "hunter2" not in ended.err
