"""The log of the store, and what the runs must say because of it: so a run that was taken out whole is missed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.key_ring import KeyRing
from frame.audit.store_log import FIRST, LogKind, record_hash
from frame.audit.text import from_json
from frame.audit.verify.report import RECEIPT, Anchor, Finding

_OF_RUNS = {
    LogKind.RUN_OPENED: "started",
    LogKind.RUN_RESUMED: "resumed",
    LogKind.RUN_ENDED: "status",
}
CUT = "records were changed, taken out, put in or reordered"


@dataclass(slots=True)
class Log:
    """What the log says. `turns`: run id -> (kind of change, commit, hash of the block) in the order of the log."""

    turns: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)
    purges: set[tuple[str, int, int]] = field(default_factory=set)
    """Run id, number of the record and time of every purge."""
    purged: Counter[str] = field(default_factory=Counter)
    """Run id -> payloads that were purged."""
    checkpoints: list[tuple[str, int, str, int]] = field(default_factory=list)
    """Run id, blocks, root and time of every checkpoint."""
    keys: list[str] = field(default_factory=list)
    """The lines of the public keys that sign in this store."""
    trusted: KeyRing | None = None
    """Whose signatures count; None: those of every key that the log names."""
    revoked: dict[str, int] = field(default_factory=dict)
    """The line of a public key -> the record from which on nothing counts that it signs."""
    signed: dict[tuple[str, int, int], int] = field(default_factory=dict)
    """Run id, blocks and time of a checkpoint -> the record that names it."""
    applied: list[list[Any]] = field(default_factory=list)
    wanted: frozenset[int] = frozenset()
    hashes: dict[int, bytes] = field(default_factory=dict)
    """The hash of the newest record when there were so many, for the numbers that are `wanted`."""
    runs_before: int = 0
    """Runs up to this number were recorded before frame chained them."""

    def take(self, row: Row[Any]) -> None:
        """Take in the next record."""
        detail = from_json(row.detail)
        if row.kind in _OF_RUNS:
            said = _OF_RUNS[LogKind(row.kind)], detail["block"], detail["hash"]
            self.turns.setdefault(detail["run_id"], []).append(said)
            if row.kind == LogKind.RUN_OPENED:
                self.opened[detail["run_id"]] = row.n
        elif row.kind == LogKind.PURGED:
            for purged in detail["runs"]:
                self.purges.add((purged["run_id"], row.n, row.at_us))
                self.purged[purged["run_id"]] += purged["blocks"]
        elif row.kind == LogKind.CHECKPOINT:
            self.checkpoints.append((detail["run_id"], detail["blocks"], detail["tree_root"], row.at_us))
            self.signed.setdefault((detail["run_id"], detail["blocks"], row.at_us), row.n)
        elif row.kind == LogKind.KEY_ADDED:
            self.keys.append(detail["key"])
        elif row.kind == LogKind.KEY_REVOKED:
            self.revoked.setdefault(detail["key"], row.n)
        elif row.kind == LogKind.MIGRATED:
            self.applied = detail["applied"]
            self.runs_before = max(self.runs_before, detail["runs_before"])


def read_log(connection: Connection, log: Log) -> Iterator[Finding]:
    """Read the log into `log`, checking its chain."""
    records, head = schema.store_log, schema.store_head
    n, previous = 0, FIRST
    asked = select(records).order_by(records.c.n)
    for row in connection.execution_options(yield_per=256).execute(asked):
        if row.n != n:
            yield _finding(row.n, f"record {n} is missing before this one", CUT)
        if row.previous != previous:
            yield _finding(row.n, "it does not name the hash of the record before it", CUT)
        if record_hash(row.n, row.kind, row.at_us, row.detail, previous) != row.hash:
            yield _finding(row.n, "its hash is not that of what it says", CUT)
        try:
            log.take(row)
        except (ValueError, LookupError, TypeError) as error:
            yield _finding(row.n, f"it cannot be read: {type(error).__name__}: {error}", CUT)
        n, previous = row.n + 1, row.hash
        if n in log.wanted:
            log.hashes[n] = previous
    heads = connection.execute(select(head)).all()
    if [(one.id, one.n, one.hash) for one in heads] != [(0, n, previous)]:
        said = f"it does not stand at record {n}, the newest one"
        yield Finding(
            "log", said, "records were cut off the end, or the head was changed", table="store_head"
        )


def _finding(n: int, what: str, means: str) -> Finding:
    return Finding("log", what, means, table="store_log", key=str(n))


def check_runs(connection: Connection, log: Log) -> Iterator[Finding]:
    """Whether every run that the log speaks of is there."""
    headers = schema.run_headers
    present = set(connection.scalars(select(headers.c.run_id)))
    for run_id, n in log.opened.items():
        if run_id not in present:
            said = f"run {run_id} was opened by record {n} of the log and is not in the store"
            yield Finding("log", said, "a whole run was taken out", table="run_headers", run_id=run_id)


def check_anchors(log: Log, anchors: Sequence[Anchor]) -> Iterator[Finding]:
    """Whether the log still begins as it stood when each receipt was given."""
    for anchor in anchors:
        if anchor.log is not None and log.hashes.get(anchor.log[0]) != anchor.log[1]:
            said = f"its first {anchor.log[0]} records are not those that {anchor.where} was given for"
            means = "the log was written anew, or cut off at its end"
            yield Finding("anchor", said, means, table="store_log", run_id=anchor.run_id)
        revoked = log.revoked.get(anchor.signer or "")
        if revoked is not None and (anchor.log is None or anchor.log[0] > revoked):
            said = f"{anchor.where} is signed by a key that record {revoked} of the log had revoked"
            yield Finding(RECEIPT, said, "it may be forged", run_id=anchor.run_id)


def check_migrations(connection: Connection, log: Log) -> Iterator[Finding]:
    """Whether the schema versions on record are those that the log names."""
    done = schema.migrations
    found = [list(row) for row in connection.execute(select(done).order_by(done.c.number))]
    if found != log.applied:
        said = f"the store says {found} of its versions, and its log {log.applied}"
        yield Finding("log", said, table="migrations")


def check_purges(connection: Connection, log: Log) -> Iterator[Finding]:
    """Whether the purges on record are those that the log names."""
    purges, headers = schema.purges, schema.run_headers
    joined = select(purges, headers.c.run_id).outerjoin(headers, headers.c.run == purges.c.run)
    stored = {(str(row.run_id), row.log_n, row.at_us) for row in connection.execute(joined)}
    for run_id, n, _ in sorted(stored ^ log.purges, key=lambda purge: (purge[1], purge[0])):
        said = f"record {n} of the log and the table do not agree that this run was purged"
        yield Finding("log", said, "bytes may have been removed", table="purges", run_id=run_id)
