"""What a process that was killed has left beside a store that it was building, and how the next one takes it away.

    .audit.db.3f1c09aa.4711.18236.new      the store's name, its host, its process, a number

The host is in the name because processes of different containers may share a folder: who cannot see a process must
not take it for gone.
"""

import hashlib
import os
import re
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from frame.audit.leases import is_alive

_STARTS = (b"", b"SQLite format 3\x00")
"""What a store that was begun starts with: nothing yet, or the header of its file."""


def place_beside(path: Path) -> Path:
    """Where this process builds the store that is to stand at `path`."""
    return path.with_name(f".{path.name}.{_here()}.{os.getpid()}.{time.monotonic_ns()}.new")


def remove_leftovers(path: Path, alive: Callable[[int], bool] = is_alive) -> None:
    """Remove what processes of this host that are gone have left of building a store at `path`, and nothing else."""
    for left in list(_leftovers(path, alive)):
        for each in (Path(f"{left}-journal"), left):
            with suppress(OSError):
                each.unlink(missing_ok=True)


def _leftovers(path: Path, alive: Callable[[int], bool]) -> Iterator[Path]:
    named = re.compile(rf"\.{re.escape(path.name)}\.{_here()}\.([1-9][0-9]*)\.[0-9]+\.new")
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            found = named.fullmatch(entry.name)
            if found and not alive(int(found[1])) and _was_begun(Path(entry.path)):
                yield Path(entry.path)


def _was_begun(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(16) in _STARTS
    except OSError:
        return False


def _here() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
