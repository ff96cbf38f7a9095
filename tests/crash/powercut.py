"""What a disk may hold after a power cut, built from a trace of what a process had asked it to do.

A file is its synced content, and the writes since then, each of which may be lost, kept, or torn: only some of its
sectors of 512 bytes are there. A name is durable once its folder was synced; what was done to the names of a folder
since then may be lost from some point on, or (`ordered`, as ext4 does) up to one point for all folders together.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from tests.crash.shim import Call, calls_in

SECTOR = 512
NAMES = frozenset({"open-create", "open-truncate", "mkdir", "rename", "link", "unlink"})
HAS_DATA = frozenset({"write", "pwrite", "writev", "pwritev", "send"})


@dataclass(slots=True)
class Inode:
    """A file: what is durable of it, and what was done since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[str, int, bytes]] = field(default_factory=list)
    is_folder: bool = False

    def sync(self) -> None:
        for change in self.pending:
            apply(self.durable, *change)
        self.pending.clear()

    def after_cut(self, rng: random.Random, mood: str) -> bytes:
        """The content that may be found; `mood`: lost, kept, torn or mixed."""
        content = bytearray(self.durable)
        for kind, offset, data in self.pending:
            fate = rng.choice(("lost", "kept", "torn")) if mood == "mixed" else mood
            if fate == "torn" and kind == "write":
                for at, sector in sectors(offset, data):
                    if rng.random() < 0.5:
                        apply(content, kind, at, sector)
            elif fate != "lost":
                apply(content, kind, offset, data)
        return bytes(content)


def apply(content: bytearray, kind: str, offset: int, data: bytes) -> None:
    if kind == "truncate":
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    else:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data


def sectors(offset: int, data: bytes) -> Iterable[tuple[int, bytes]]:
    """`data` cut where sectors begin."""
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (offset + start) % SECTOR)
        yield offset + start, data[start:end]
        start = end


@dataclass(slots=True)
class Naming:
    """A change to the names of a folder: `name` now means `inode` (None: nothing), and `old` nothing."""

    folder: str
    name: str
    inode: Inode | None
    old: str = ""
    old_folder: str = ""


class Disk:
    """Folders and files under a root. Folders that are there at the beginning are durable, as are their files."""

    def __init__(self, root: Path, present: dict[str, bytes]) -> None:
        self.names: dict[str, Inode] = {path: Inode(bytearray(data)) for path, data in present.items()}
        for folder in {folder_of(path) for path in present} | {str(root)}:
            self._has_folder(folder, str(root))
        self._durable: dict[str, Inode] = dict(self.names)
        self._pending: list[Naming] = []

    def _has_folder(self, path: str, root: str) -> None:
        self.names[path] = Inode(is_folder=True)
        if path != root:
            self._has_folder(folder_of(path), root)

    def do(self, call: Call, data: bytes) -> None:
        """Take in the next call of the trace."""
        path = call.path.removesuffix(" (deleted)")
        if call.kind in NAMES:
            self._rename(call, path)
        elif path not in self.names:
            return  # a file without a name any more
        elif call.kind in ("fsync", "fdatasync"):
            self._sync(path)
        elif call.kind == "ftruncate":
            self.names[path].pending.append(("truncate", call.offset, b""))
        elif call.kind != "send":
            self.names[path].pending.append(("write", call.offset, data))

    def _rename(self, call: Call, path: str) -> None:
        match call.kind:
            case "open-create" | "open-truncate" if path not in self.names:
                self._name(path, Inode())
            case "open-truncate":
                self.names[path].pending.append(("truncate", 0, b""))
            case "mkdir":
                self._name(path, Inode(is_folder=True))
            case "rename":
                self._move(path, call.second)
            case "link":
                self._name(call.second, self.names[path])
            case "unlink":
                self.names.pop(path, None)
                self._pending.append(Naming(folder_of(path), path, None))

    def _name(self, path: str, inode: Inode) -> None:
        self.names[path] = inode
        self._pending.append(Naming(folder_of(path), path, inode))

    def _move(self, path: str, to: str) -> None:
        inode = self.names.pop(path)
        self.names[to] = inode
        self._pending.append(Naming(folder_of(to), to, inode, path, folder_of(path)))

    def _sync(self, path: str) -> None:
        if not self.names[path].is_folder:
            self.names[path].sync()
            return
        left = []
        for change in self._pending:
            if path in (change.folder, change.old_folder):
                take_place(self._durable, change)
            else:
                left.append(change)
        self._pending = left

    def after_cut(self, rng: random.Random, mood: str, ordered: bool) -> dict[str, bytes]:
        """Path -> content of what may be found."""
        names = dict(self._durable)
        kept = self._pending
        if mood != "kept":
            until = 0 if mood == "lost" else rng.randrange(len(self._pending) + 1)
            kept = self._pending[:until] if ordered else self._each_from_some_point(rng)
        for change in kept:
            take_place(names, change)
        return {
            path: inode.after_cut(rng, mood)
            for path, inode in names.items()
            if not inode.is_folder and folder_of(path) in names and not path.endswith("-shm")
        }

    def _each_from_some_point(self, rng: random.Random) -> list[Naming]:
        folders = sorted({change.folder for change in self._pending})
        until = {folder: rng.randrange(len(self._pending) + 1) for folder in folders}
        return [change for at, change in enumerate(self._pending) if at < until[change.folder]]


def take_place(names: dict[str, Inode], change: Naming) -> None:
    if change.old:
        names.pop(change.old, None)
    if change.inode is None:
        names.pop(change.name, None)
    else:
        names[change.name] = change.inode


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Trace:
    """What a process did, with the data of its writes, and what was there before it."""

    root: Path
    present: dict[str, bytes]
    calls: Sequence[Call]
    data: bytes
    ends: Sequence[int]

    def disk_after(self, count: int) -> Disk:
        """The disk after the first `count` calls."""
        disk = Disk(self.root, self.present)
        for index, call in enumerate(self.calls[:count]):
            data = (
                self.data[self.ends[index] - call.size : self.ends[index]] if call.kind in HAS_DATA else b""
            )
            disk.do(call, data)
        return disk


def read_trace(root: Path, present: dict[str, bytes], log: Path) -> Trace:
    """The trace that the shim has written."""
    calls = calls_in(log)
    ends = list(accumulate(call.size if call.kind in HAS_DATA else 0 for call in calls))
    data = log.with_name(log.name + ".data").read_bytes()
    assert not ends or len(data) == ends[-1], "the trace and its data do not go together"
    return Trace(root, present, calls, data, ends)


def files_in(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def put(root: Path, image: dict[str, bytes]) -> None:
    """Make `root` hold `image` and nothing else, in the folders that it needs."""
    for path in root.rglob("*"):
        if path.is_file():
            path.unlink()
    for name, content in image.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
