"""The shim counts what happens, and what it is told to do happens."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.crash.shim import COUNT, Fault, calls_in
from tests.crash.world import Frame

_TRACED = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)")
_KINDS = {
    "pwrite64": "pwrite",
    "renameat": "rename",
    "linkat": "link",
    "unlinkat": "unlink",
    "sendto": "send",
}

WORKLOAD = """
import os, sqlite3, threading
def work(name):
    for n in range(20):
        with open(f"{name}{n}", "wb", buffering=0) as file:
            file.write(b"x" * n)
            os.fsync(file.fileno())
        os.rename(f"{name}{n}", f"{name}{n}.done")
threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
connection = sqlite3.connect("some.db")
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE t (x)")
connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
connection.commit()
connection.close()
os.mkdir("folder")
os.link("some.db", "folder/other.db")
os.unlink("some.db")
with open("folder/other.db", "rb+") as file:
    file.truncate(10)
"""


def kind_of(name: str, arguments: str) -> str | None:
    """What the shim calls a system call, if it counts it."""
    if name in ("open", "openat"):
        return (
            "open-truncate" if "O_TRUNC" in arguments else "open-create" if "O_CREAT" in arguments else None
        )
    return _KINDS.get(name, name)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_shim_counts_the_calls_that_strace_sees(frame: Frame, tmp_path: Path) -> None:
    log, trace = tmp_path.with_suffix(".log"), tmp_path.with_suffix(".strace")
    wanted = "write,pwrite64,fsync,fdatasync,rename,link,unlink,mkdir,openat,ftruncate"

    subprocess.run(
        ["strace", "-ff", "-y", "-e", f"trace={wanted}", "-o", str(trace), sys.executable, "-c", WORKLOAD],
        cwd=tmp_path,
        env={**frame.environment, **COUNT.environment(tmp_path, log)},
        check=True,
    )

    counted = Counter(call.kind for call in calls_in(log))
    seen: Counter[str] = Counter()
    texts = [
        path.read_text(errors="replace") for path in trace.parent.glob(f"{trace.name}.*")
    ]  # one a thread
    for line in "".join(texts).splitlines():
        found = _TRACED.match(line)
        if not found or not is_ours(found[1], found[2], tmp_path):
            continue
        kind = kind_of(found[1], found[2])
        if kind is not None:
            seen[kind] += 1
    assert counted == seen
    assert sum(counted.values()) > 200


def is_ours(name: str, arguments: str, folder: Path) -> bool:
    """Whether a traced call is about the folder: by the path behind its descriptor, or as an argument."""
    if name in ("openat", "rename", "link", "unlink", "mkdir"):
        path = re.search(r'"([^"]*)"', arguments)
        return path is not None and (path[1].startswith(f"{folder}/") or not path[1].startswith("/"))
    return f"<{folder}/" in arguments or f"<{folder}>" in arguments


@pytest.mark.parametrize(("fault", "ends"), [(Fault("kill", 4), -9), (Fault("kill-after", 4), -9)])
def test_a_process_is_killed_at_the_call(frame: Frame, tmp_path: Path, fault: Fault, ends: int) -> None:
    """Each round makes three calls: open, write, sync."""
    code = "import os\nfor n in range(3):\n f = os.open(str(n), 65); os.write(f, b'1234'); os.fsync(f)"

    done = under(frame, tmp_path, code, fault)

    assert done.returncode == ends
    assert sorted(path.name for path in tmp_path.iterdir()) == (["0"] if fault.mode == "kill" else ["0", "1"])


def test_a_call_fails_once_or_for_good_and_a_write_is_cut_short(frame: Frame, tmp_path: Path) -> None:
    code = """
import os
f = os.open("file", 65)
for n in range(4):
    try:
        print(os.write(f, b"12345678"), end=" ")
    except OSError as error:
        print(error.errno, end=" ")
"""

    once = under(frame, tmp_path, code, Fault("fail", 2, 28, kinds="write"))
    for_good = under(frame, tmp_path, code, Fault("fail", 2, 28, persists=True, kinds="write"))
    short = under(frame, tmp_path, code, Fault("short", 2, kinds="write"))

    assert once.stdout == "8 28 8 8 "
    assert for_good.stdout == "8 28 28 28 "
    assert short.stdout == "8 4 8 8 "


def under(frame: Frame, folder: Path, code: str, fault: Fault) -> Any:
    environment = {**frame.environment, **fault.environment(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
