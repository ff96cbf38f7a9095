"""The log of a store: a chain of what happened to it as a whole, which binds its runs together.

A run that was deleted with everything that belongs to it is still named here. Writing is serialised by the one row
of `store_head`; the numbers of runs are given out under the same lock.

    record = SHA-256(0x03 || canonical([1, n, kind, at_us, detail]) || hash of the record before)
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from frame.audit import schema
from frame.audit.text import to_json
from frame.canonical import canonical

VERSION = 1
FIRST = bytes(32)
"""What stands for the record before the first one."""


class LogKind(StrEnum):
    """What the log speaks of."""

    MIGRATED = "migrated"
    RUN_OPENED = "run_opened"
    RUN_RESUMED = "run_resumed"
    RUN_ENDED = "run_ended"
    CHECKPOINT = "checkpoint"
    PURGED = "purged"
    KEY_ADDED = "key_added"
    KEY_REVOKED = "key_revoked"
    DEAD_LETTER_RESOLVED = "dead_letter_resolved"
    DEAD_LETTER_RETRIED = "dead_letter_retried"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of the log; `detail` is canonical JSON."""

    n: int
    kind: str
    at_us: int
    detail: str
    previous: bytes
    hash: bytes


def record_hash(n: int, kind: str, at_us: int, detail: str, previous: bytes) -> bytes:
    """The hash of a record. `detail` goes in as the text that it is stored as."""
    said = canonical([VERSION, n, kind, at_us])[:-1] + b"," + detail.encode() + b"]"
    return hashlib.sha256(b"\x03" + said + previous).digest()


def lock(connection: Connection) -> tuple[int, bytes]:
    """How many records there are, and the hash of the newest; nobody else adds one until the transaction ends."""
    head = schema.store_head
    n, hashed = connection.execute(select(head.c.n, head.c.hash).with_for_update()).one()
    return int(n), bytes(hashed)


def append(connection: Connection, kind: LogKind, at_us: int, detail: Mapping[str, Any]) -> LogRecord:
    """Add a record, inside the caller's transaction, and say what was added."""
    n, previous = lock(connection)
    text = to_json(dict(detail))
    hashed = record_hash(n, kind.value, at_us, text, previous)
    record = LogRecord(n, kind.value, at_us, text, previous, hashed)
    columns = {name: getattr(record, name) for name in LogRecord.__slots__}
    connection.execute(insert(schema.store_log), columns)
    connection.execute(update(schema.store_head).values(n=n + 1, hash=hashed))
    return record


def next_run(connection: Connection) -> int:
    """The number of the next new run; nobody else is given it until the transaction ends."""
    lock(connection)
    return int(connection.scalar(select(func.max(schema.run_headers.c.run))) or 0) + 1
