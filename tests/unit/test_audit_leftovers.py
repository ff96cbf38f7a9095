"""What a killed process leaves beside a store goes with the next open, and nothing else does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from frame.audit import database as store
from frame.audit.leftovers import place_beside

KILLED = """
import os, signal, sys
from frame.audit import database, migrations, sqlite

def killed(*arguments, **named):
    original(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

where, name = {"building": (migrations, "migrate"), "publishing": (sqlite, "_publish")}[sys.argv[1]]
original = getattr(where, name)
setattr(where, name, killed)
database.open(f"sqlite:///{sys.argv[2]}")
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("when", ["building", "publishing"])
def test_what_a_killed_process_left_is_removed_by_the_next_open(tmp_path: Path, when: str) -> None:
    path = tmp_path / "audit.db"
    ended = subprocess.run([sys.executable, "-c", KILLED, when, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert any(name.endswith(".new") for name in names(tmp_path))
    assert path.exists() == (when == "publishing")

    store.open(f"sqlite:///{path}").close()

    assert names(tmp_path) == ["audit.db"]


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_is_no_leftover_of_ours_stays(tmp_path: Path, gone: int) -> None:
    path = tmp_path / "audit.db"
    left = place_beside(path).name.replace(f".{os.getpid()}.", f".{gone}.")
    host = left.split(".")[3]
    of_a_process_that_lives = left.replace(f".{gone}.", f".{os.getpid()}.")
    kept = [
        of_a_process_that_lives,
        left.replace(host, "00000000"),
        left.replace("audit.db", "other.db"),
        left.replace("audit.db", "auditxdb"),
        f"{left}.txt",
        left.replace(f".{gone}.", ".0."),
        left[1:],
    ]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / left.replace(".new", "1.new")).write_text("a text of somebody else")
    (tmp_path / left.replace(".new", "2.new")).mkdir()
    (tmp_path / left.replace(".new", "3.new")).symlink_to(tmp_path / of_a_process_that_lives)
    (tmp_path / left).touch()
    before = names(tmp_path)

    store.open(f"sqlite:///{path}").close()

    assert names(tmp_path) == sorted({*before, "audit.db"} - {left})


def test_who_only_reads_removes_nothing(tmp_path: Path, gone: int) -> None:
    path = tmp_path / "audit.db"
    store.open(f"sqlite:///{path}").close()
    left = tmp_path / place_beside(path).name.replace(f".{os.getpid()}.", f".{gone}.")
    left.touch()

    store.open(f"sqlite:///{path}", create=False).close()

    assert left.exists()
