"""Receipts: what is kept of a run outside the store, so that nobody can write its record anew, or cut its end off.

A receipt is a signed note, or the bare text of one where there is no key. Its text says how far the run had come and
what its chain was (docs/reference/export-format.md), and how long the log of the whole store was:

    frame/RUN_ID
    SIZE
    ROOT of the tree over the hashes of the first SIZE blocks, Base64
    head HASH of block SIZE - 1
    time WHEN
    log SIZE HASH

The checkpoints inside a store are the same without the last line.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frame.audit.chain import Head
from frame.audit.durable import write
from frame.audit.key_files import read_note
from frame.audit.notes import Note
from frame.clock import as_datetime
from frame.errors import UsageError

ORIGIN = "frame/"
SUFFIX = ".receipt"
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LogHead:
    """How many records the log of a store has, and the hash of the newest."""

    size: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Statement:
    """What a checkpoint or a receipt says. `log` is None in a checkpoint; `time` is None where it is not told."""

    run_id: str
    blocks: int
    tree_root: bytes
    head: bytes
    time: str | None
    log: LogHead | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was read from the file at `where`."""

    where: str
    said: Statement
    note: Note


def text_of(head: Head, at_us: int, log: LogHead | None = None) -> str:
    """The text of a checkpoint, or, with the head of the log, of a receipt."""
    time = as_datetime(at_us).isoformat(timespec="microseconds").replace("+00:00", "Z")
    text = f"{statement_of(head)}time {time}\n"
    return text if log is None else f"{text}log {log.size} {log.hash.hex()}\n"


def statement_of(head: Head) -> str:
    """What both have in common: the run and its chain."""
    root = base64.b64encode(head.tree_root).decode("ascii")
    return f"{ORIGIN}{head.run_id}\n{head.blocks}\n{root}\nhead {head.hash.hex()}\n"


def read_text(text: str) -> Statement:
    """What such a text says; lines with words that are not known are passed over. Raises ValueError."""
    lines = text.split("\n")
    if len(lines) < 5 or lines[-1] or not lines[0].startswith(ORIGIN):
        raise ValueError(f"it does not begin with {ORIGIN}RUN_ID, a size, a root and a head")
    words: dict[str, str] = {}
    for line in lines[3:-1]:
        word, _, rest = line.partition(" ")
        if word in words:
            raise ValueError(f"it says {word!r} twice")
        words[word] = rest
    log = None
    if "log" in words:
        size, _, hashed = words["log"].partition(" ")
        log = LogHead(_size(size), _hash(hashed))
    run_id = lines[0].removeprefix(ORIGIN)
    head = _hash(words.get("head", ""))
    return Statement(run_id, _size(lines[1]), _root(lines[2]), head, words.get("time"), log)


def _size(text: str) -> int:
    if not (
        text.isascii() and text.isdigit() and len(text) < 16 and str(int(text)) == text and int(text) > 0
    ):
        raise ValueError(f"{text!r} is no number of records")
    return int(text)


def _root(text: str) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != 32 or base64.b64encode(root).decode("ascii") != text:
        raise ValueError("its root is not 32 bytes in Base64")
    return root


def _hash(text: str) -> bytes:
    if _HASH.fullmatch(text) is None:
        raise ValueError("a hash in it is not 64 hexadecimal digits")
    return bytes.fromhex(text)


def path_of(folder: Path, run_id: str) -> Path:
    """Where the receipt of a run stands in a folder of them."""
    return folder / f"{run_id}{SUFFIX}"


def keep(folder: Path, run_id: str, note: Note) -> Path:
    """Write a receipt, in place of an earlier one of the same run, and say where. Raises Refused."""
    path = path_of(folder, run_id)
    write(path, str(note))
    return path


def read(path: Path) -> Receipt:
    """The receipt in the file at `path`. Raises UsageError if it is none."""
    note = read_note(path)
    try:
        return Receipt(str(path), read_text(note.text), note)
    except ValueError as why:
        raise UsageError(f"{path} is no receipt: {why}") from None


def read_all(path: Path) -> Iterator[Receipt]:
    """The receipt at `path`, or all that are in a folder of them. Raises UsageError if there is none."""
    if not path.is_dir():
        yield read(path)
        return
    found = sorted(path.glob(f"*{SUFFIX}"))
    if not found:
        raise UsageError(f"there is no receipt (RUN_ID{SUFFIX}) in {path}")
    for each in found:
        yield read(each)
