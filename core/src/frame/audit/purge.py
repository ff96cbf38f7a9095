"""Taking payload bytes out of the record, and nothing else: rows, outputs, requests and answers go, hashes stay.

    choose     which runs may lose their bytes, and why the others may not
    give_up    end a run that could be resumed, if that was asked for: without its bytes it cannot be
    put_down   one transaction: a record in the log of the store (who, when, why, what) and a row of `purges` for each
               run; only from then on do the triggers let bytes of these runs go
    remove     the bytes of a run that was put down, some megabytes a transaction, so that nobody waits long

Who is stopped in between leaves a purge that is on record and unfinished; `unfinished` finds it again.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, func, insert, select

from frame.audit import schema
from frame.audit.database import Database
from frame.audit.dead_letter_states import open_count
from frame.audit.leases import is_held
from frame.audit.linked_runs import is_over, origin_of
from frame.audit.payloads import same_block
from frame.audit.recorder import Recorder
from frame.audit.runs import RunSummary, describe_run
from frame.audit.store_log import LogKind, append
from frame.audit.text import from_json
from frame.clock import as_datetime
from frame.errors import AuditDenied
from frame.events import RunStatus

BYTES_AT_ONCE = 16_000_000
"""Bytes that one transaction removes, so that a run that wants to commit waits for less than a second."""

TOO_YOUNG = "it is not old enough"

_data, _blocks = schema.payload_data, schema.payload_blocks
_SAME = same_block(_data, _blocks)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run with payload bytes. `kept_because`: why they have to stay, "" if they may go.

    `given_up`: it could be resumed still, and is given up first.
    """

    run: int
    run_id: str
    pipeline: str
    status: RunStatus
    ended_us: int | None
    blocks: int
    stored_bytes: int
    kept_because: str = ""
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Purge:
    """What is on record about a purge of a run's bytes."""

    log_n: int
    at_us: int
    by: str
    reason: str

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"purged on {as_datetime(self.at_us):%Y-%m-%d %H:%M:%S}Z by {self.by}{why}"


def choose(
    connection: Connection,
    now_us: int,
    before_us: int | None = None,
    runs: Sequence[int] = (),
    give_up: bool = False,
) -> list[Candidate]:
    """Every run that has payload bytes, the oldest first, with whether they may go.

    `before_us`: leave out runs that had not ended before then. `runs`: look at these alone, and leave none out.
    `give_up`: those that could be resumed may go, too.
    """
    headers = schema.run_headers.c
    wanted = select(headers.run).where(exists().where(_data.c.run == headers.run)).order_by(headers.run)
    if runs:
        wanted = wanted.where(headers.run.in_(runs))
    asked = _Asked(now_us, before_us, give_up)
    found = [_candidate(connection, run, asked) for run in connection.scalars(wanted).all()]
    return [each for each in found if runs or each.kept_because != TOO_YOUNG]


@dataclass(frozen=True, slots=True)
class _Asked:
    now_us: int
    before_us: int | None
    give_up: bool


def _candidate(connection: Connection, run: int, asked: _Asked) -> Candidate:
    summary = describe_run(connection, run, asked.now_us).summary
    blocks, stored_bytes = connection.execute(
        select(func.count(), func.sum(_blocks.c.stored_bytes))
        .select_from(_data.join(_blocks, _SAME))
        .where(_data.c.run == run)
    ).one()
    found = summary.run_id, summary.pipeline, summary.status, summary.ended_us
    is_open = not is_over(connection, run)
    because = _why_not(connection, summary, asked, is_open=is_open)
    given_up = is_open and not because
    return Candidate(run, *found, int(blocks), int(stored_bytes or 0), because, given_up)


def _why_not(connection: Connection, summary: RunSummary, asked: _Asked, *, is_open: bool) -> str:
    run, ended_us = summary.run, summary.ended_us
    if summary.status is RunStatus.RUNNING:
        return "it has not ended"
    if asked.before_us is not None and (ended_us is None or ended_us >= asked.before_us):
        return TOO_YOUNG
    if is_open and not asked.give_up:
        return f"it is {summary.status.value} and can be resumed, unless it is given up for good (--give-up)"
    origin = origin_of(connection, run)
    if is_open and origin is not None:
        return (
            f"it is {summary.status.value} with dead letters of run {origin}: frame resume {summary.run_id}"
        )
    letters = open_count(connection, run, asked.now_us)
    if letters:
        return f"it has {letters} open dead letter{'s' * (letters != 1)}: retry or resolve them"
    heir = _unfinished_heir(connection, run)
    return f"run {heir} carries its rows on and has not ended" if heir else ""


def _unfinished_heir(connection: Connection, run: int) -> str:
    headers = schema.run_headers.c
    origin = select(headers.run_id).where(headers.run == run).scalar_subquery()
    heirs = connection.execute(select(headers.run, headers.run_id).where(headers.origin_run_id == origin))
    for heir, run_id in heirs.all():
        if not is_over(connection, heir):
            return str(run_id)
    return ""


def give_up(store: Database, run: Candidate, at_us: int, by: str, reason: str) -> None:
    """End a run that could be resumed. Raises TryAgainLater if somebody has begun to work on it."""
    mine = socket.gethostname(), os.getpid()
    Recorder(store).resume(run.run_id, at_us, *mine).give_up(at_us, by, reason)


def refuse_without_right(connection: Connection, where: str) -> None:
    """Raises AuditDenied for a role that may not remove data: a purge that it began would be on record, unfinished."""
    if connection.dialect.name != "postgresql":
        return
    asked = "SELECT current_user, has_table_privilege('payload_data', 'DELETE')"
    role, may = connection.exec_driver_sql(asked).one()
    if not may:
        raise AuditDenied(
            where,
            f"role {role} may not remove data. Its owner may grant it: GRANT DELETE ON frame.payload_data TO {role}",
        )


def put_down(
    connection: Connection,
    going: Sequence[Candidate],
    at_us: int,
    by: str,
    reason: str,
    before_us: int | None,
) -> int:
    """Put the purge of these runs on record, inside the caller's transaction; the number of the log record."""
    said = {
        "by": by,
        "reason": reason,
        "ended_before_us": before_us,
        "runs": [
            {"run_id": each.run_id, "blocks": each.blocks, "bytes": each.stored_bytes} for each in going
        ],
    }
    record = append(connection, LogKind.PURGED, at_us, said)
    rows = [{"run": each.run, "log_n": record.n, "at_us": at_us} for each in going]
    connection.execute(insert(schema.purges), rows)
    return record.n


def unfinished(connection: Connection) -> dict[int, str]:
    """The runs whose purge is on record and that have bytes nevertheless, with their ids."""
    purged, headers = schema.purges.c.run, schema.run_headers.c
    found = select(headers.run, headers.run_id).where(
        headers.run.in_(select(purged)), exists().where(_data.c.run == headers.run)
    )
    return {row.run: row.run_id for row in connection.execute(found.order_by(headers.run))}


def runs_under_way(connection: Connection, now_us: int) -> int:
    """How many runs some process is believed to work on."""
    here, leases = socket.gethostname(), connection.execute(select(schema.run_leases))
    return sum(is_held(lease, now_us, here) for lease in leases)


def portions(connection: Connection, run: int) -> Iterator[tuple[int, int]]:
    """First and last chunk of what one transaction removes, for all bytes of a run."""
    sizes = connection.execute(
        select(_data.c.chunk, func.sum(_blocks.c.stored_bytes))
        .select_from(_data.join(_blocks, _SAME))
        .where(_data.c.run == run)
        .group_by(_data.c.chunk)
        .order_by(_data.c.chunk)
    )
    chunks: list[int] = []
    total = 0
    for chunk, stored_bytes in sizes.all():
        if chunks and total + stored_bytes > BYTES_AT_ONCE:
            yield chunks[0], chunks[-1]
            chunks, total = [], 0
        chunks.append(chunk)
        total += stored_bytes
    if chunks:
        yield chunks[0], chunks[-1]


def remove(connection: Connection, run: int, first: int, last: int) -> int:
    """Remove the bytes of these chunks, inside the caller's transaction; how many blocks there were."""
    gone = delete(_data).where(_data.c.run == run, _data.c.chunk.between(first, last))
    return int(connection.execute(gone).rowcount)


def purge_of(connection: Connection, run: int) -> Purge | None:
    """The newest purge of a run, None if its bytes were never purged."""
    log, purges = schema.store_log.c, schema.purges.c
    row = connection.execute(
        select(log.n, log.at_us, log.detail)
        .join_from(schema.purges, schema.store_log, purges.log_n == log.n)
        .where(purges.run == run)
        .order_by(log.n.desc())
    ).first()
    if row is None:
        return None
    said = from_json(row.detail)
    return Purge(row.n, row.at_us, said["by"], said["reason"])
