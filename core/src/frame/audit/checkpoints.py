"""Signed checkpoints: every so often, and at the end, the run's head is signed and put on record.

A checkpoint says: after so many blocks the chain was this. It goes into the log of the store, too, so that it cannot
be made later for another time, and tells which of its key's signatures were there before the key was revoked.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select

from frame.audit import schema
from frame.audit.chain import Head
from frame.audit.receipts import LogHead, text_of
from frame.audit.signing import PrivateKey, PublicKey
from frame.audit.store_log import LogKind, append
from frame.audit.text import from_json
from frame.clock import Clock
from frame.errors import AuditError, Refused
from frame.events import Chunk, Event, RunStatus

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.recorder import RunRecorder

_log = logging.getLogger("frame.pipeline")

INTERVAL_US = 10_000_000
RECORDS = 100_000
"""How many records may be without a signature, at most; the time above is what bounds a slow run."""


class SigningRecorder:
    """A run's recorder that signs the head, too: an engine `Recorder`."""

    def __init__(self, recorder: "RunRecorder", key: PrivateKey, clock: Clock) -> None:
        self._recorder, self._key, self._clock = recorder, key, clock
        self._signed_us, self._records = clock.monotonic_us(), 0

    @property
    def run_id(self) -> str:
        return self._recorder.run_id

    @property
    def lease_s(self) -> float:
        return self._recorder.lease_s

    def commit(self, chunk: Chunk) -> None:
        """Make `chunk` durable, and sign the head if it is time. Raises AuditError; then it is not on record."""
        self._recorder.commit(chunk)
        self._records += sum(map(_records, chunk.events))
        if self._records >= RECORDS or self._clock.monotonic_us() - self._signed_us >= INTERVAL_US:
            self._sign()

    def renew_lease(self, now_us: int) -> None:
        """Stay the holder of the run for another lease. Raises AuditError if another process has taken over."""
        self._recorder.renew_lease(now_us)

    def finish(self, status: RunStatus, counters: Mapping[str, int], at_us: int) -> None:
        """End the run and sign its head. Raises AuditError."""
        self._recorder.finish(status, counters, at_us)
        self._sign()

    def _sign(self) -> None:
        """What was committed is on record whether or not this succeeds, so it is tried again with the next commit."""
        recorder = self._recorder
        try:
            write_checkpoint(recorder.database, recorder.run, recorder.head, self._key, self._clock.time_us())
        except AuditError as error:
            _log.warning("no checkpoint of run %s was signed: %s", recorder.run_id, error)
            return
        self._signed_us, self._records = self._clock.monotonic_us(), 0


def _records(event: Event) -> int:
    """How many records an event is, as an auditor counts them: one a token."""
    return max(1, len(getattr(event, "tokens", ())))


def write_checkpoint(database: "Database", run: int, head: Head, key: PrivateKey, at_us: int) -> None:
    """Sign `head` and put it on record, in the run and in the log. Raises AuditError."""
    note = key.sign(text_of(head, at_us))
    said = {"blocks": head.blocks, "tree_root": head.tree_root}
    signed = schema.checkpoints.c

    def write(connection: Connection) -> bool:
        connection.execute(
            insert(schema.checkpoints), {"run": run, **said, "note": str(note), "at_us": at_us}
        )
        log = {
            "run_id": head.run_id,
            "blocks": head.blocks,
            "hash": head.hash.hex(),
            "tree_root": head.tree_root.hex(),
            "key_id": key.public.key_id.hex(),
        }
        append(connection, LogKind.CHECKPOINT, at_us, log)
        return True

    def find(connection: Connection) -> bool | None:
        same = signed.run == run, signed.blocks == head.blocks, signed.at_us == at_us
        return connection.scalar(select(signed.note).where(*same)) == str(note) or None

    database.transact(write, find)


def log_head(connection: Connection) -> LogHead:
    """Where the log of the store stands."""
    head = schema.store_head
    size, hashed = connection.execute(select(head.c.n, head.c.hash)).one()
    return LogHead(int(size), bytes(hashed))


def announce(database: "Database", key: PublicKey, at_us: int) -> None:
    """Put on record that `key` signs in this store from now on. Raises Refused if it was revoked."""
    with database.writing() as connection:
        refuse_revoked(connection, key)
        if LogKind.KEY_ADDED not in key_records(connection, key):
            append(connection, LogKind.KEY_ADDED, at_us, _about(key))


def refuse_revoked(connection: Connection, key: PublicKey) -> None:
    """Raises Refused if `key` is on record as revoked in this store."""
    if LogKind.KEY_REVOKED in key_records(connection, key):
        raise Refused(
            f"the signing key {key.name} ({key.key_id.hex()}) was revoked in this store: make another one with "
            "`frame keys generate` or `frame keys rotate`"
        )


def revoke(database: "Database", key: PublicKey, reason: str, at_us: int) -> int:
    """Put on record that nothing is to be believed that `key` signs from now on; the number of that record.

    Raises Refused if it is on record already.
    """
    with database.writing() as connection:
        known = key_records(connection, key)
        if LogKind.KEY_REVOKED in known:
            raise Refused(
                f"key {key.name} was revoked before, by record {known[LogKind.KEY_REVOKED]} of the log"
            )
        return append(connection, LogKind.KEY_REVOKED, at_us, {**_about(key), "reason": reason}).n


def key_records(connection: Connection, key: PublicKey) -> dict[str, int]:
    """What the log says of `key`: kind to the number of the first record."""
    log = schema.store_log
    kinds = LogKind.KEY_ADDED.value, LogKind.KEY_REVOKED.value
    asked = select(log.c.n, log.c.kind, log.c.detail).where(log.c.kind.in_(kinds)).order_by(log.c.n)
    found: dict[str, int] = {}
    for row in connection.execute(asked):
        if from_json(row.detail)["key"] == str(key):
            found.setdefault(row.kind, row.n)
    return found


def _about(key: PublicKey) -> dict[str, str]:
    return {"key": str(key), "key_id": key.key_id.hex(), "name": key.name}
