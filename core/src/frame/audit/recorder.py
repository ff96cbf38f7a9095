"""Writing the record: one transaction a commit, by the one process that holds the run.

Every transaction of a run adds a block to its chain and swaps its row of `heads` from `n` to `n + 1` and to the hash
of that block. A process that was thought dead and comes back finds another `n` or another epoch there, and stops
before it has written anything.

A commit that raised may have succeeded. So the head is read again: if it stands at the block that was to be written,
the commit is durable; if it stands where it stood, the commit is made once more where only the connection was lost
(`Database.transact`); anything else is a stop.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from frame.audit import chain, conservation, schema
from frame.audit.chain import Block, Head
from frame.audit.database import Database
from frame.audit.encoding import encode
from frame.audit.giving_up import SAID, given_up
from frame.audit.leases import FREE, expiry, extend_lease, holder, is_alive, is_held, write_lease
from frame.audit.merkle import Frontier
from frame.audit.opening import RunOpening
from frame.audit.opening_rows import Rows, change_row, opening_rows
from frame.audit.statements import Statements
from frame.audit.store_log import LogKind, append, next_run
from frame.errors import AuditError, FrameBug, Refused, TryAgainLater
from frame.events import Chunk, RunStatus

ENDED_WELL = frozenset({RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES, RunStatus.EMPTY})
"""No token is left open under these, and nothing is written after them."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where the chain of a run stands, as its writer knows it."""

    epoch: int
    n: int
    hash: bytes
    changes: int
    status: RunStatus
    tree: Frontier

    def is_at(self, head: tuple[int, int, bytes]) -> bool:
        """Whether `head` (epoch, n and hash) is where this stands."""
        return head == (self.epoch, self.n, self.hash)

    def after(self, block: Block, change: RunStatus | None = None) -> "_Standing":
        """Where it stands after a commit that changed the run's status to `change`, or did not."""
        tree = self.tree.grown(chain.tree_leaf(block.hash))
        moved = replace(self, n=block.n + 1, hash=block.hash, tree=tree)
        return moved if change is None else replace(moved, changes=self.changes + 1, status=change)


class _TakenOver(NamedTuple):
    """A run that has changed hands, where it stands since, and the number of its next chunk."""

    run: int
    stands: _Standing
    next_chunk: int


class Recorder:
    """Opens runs in an audit store. `alive`: whether a process of this host with that number is there."""

    def __init__(self, database: Database, alive: Callable[[int], bool] = is_alive) -> None:
        self._database, self._alive = database, alive
        self._statements = Statements(database)

    def begin(
        self, opening: RunOpening, beside: Callable[[Connection], None] = lambda _: None
    ) -> "RunRecorder":
        """Put a new run on record, and in the same transaction what `beside` writes; what that raises undoes it.

        Raises AuditError if the run's id is taken.
        """
        new = _Standing(1, 0, chain.FIRST, 0, RunStatus.RUNNING, Frontier())
        # The number of a run is no part of its blocks.
        block = chain.block(opening.run_id, 0, _first_rows(0, opening), chain.FIRST)

        def write(connection: Connection) -> int:
            run = next_run(connection)
            if find(connection) is not None:
                raise self._taken(opening.run_id)
            written = {**_first_rows(run, opening), schema.blocks: [block.row(run)]}
            self._statements.write(connection, written)
            connection.execute(insert(schema.heads), {"run": run, "n": 1, "epoch": 1, "hash": block.hash})
            expires_us = expiry(self._database.now_us(connection, opening.started_us), opening.lease_s)
            write_lease(connection, run, 1, opening.host, opening.pid, expires_us)
            said = {"run_id": opening.run_id, "block": 0, "hash": block.hash.hex()}
            append(connection, LogKind.RUN_OPENED, opening.started_us, said)
            beside(connection)
            return run

        def find(connection: Connection) -> int | None:
            headers, heads = schema.run_headers, schema.heads
            columns = headers.c.run, heads.c.epoch, heads.c.n, heads.c.hash
            on_record = select(*columns).join(heads, heads.c.run == headers.c.run)
            found = connection.execute(on_record.where(headers.c.run_id == opening.run_id)).one_or_none()
            if found is not None and found[1:] != (1, 1, block.hash):
                raise self._taken(opening.run_id)
            return None if found is None else int(found.run)

        run = self._database.transact(write, find)
        stands = new.after(block, RunStatus.RUNNING)
        return RunRecorder(
            self._database, (run, opening.run_id), stands, next_chunk=0, lease_s=opening.lease_s
        )

    def _taken(self, run_id: str) -> AuditError:
        return AuditError(self._database.where, f"run {run_id} is on record already")

    def resume(
        self,
        run_id: str,
        now_us: int,
        host: str = "",
        pid: int = 0,
        lease_s: float = 60.0,
        detail: Mapping[str, Any] | None = None,
    ) -> "RunRecorder":
        """Take over a run that has not ended well. `detail`: what else is to be on record about the resumption.

        Raises TryAgainLater while another process holds its lease, Refused if it ended well, AuditError if
        there is no such run.
        """
        tried: list[_TakenOver] = []

        def write(connection: Connection) -> _TakenOver:
            run, stands = self._take_over(connection, run_id, now_us, host)
            who = {**(detail or {}), "epoch": stands.epoch, "host": host, "pid": pid}
            said = "resumed", RunStatus.RUNNING, now_us
            rows: Rows = {schema.run_changes: [change_row(run, stands.changes, stands.n, said, who)]}
            block = chain.block(run_id, stands.n, rows, stands.hash)
            heads = schema.heads
            moved = {"n": stands.n + 1, "epoch": stands.epoch, "hash": block.hash}
            connection.execute(update(heads).where(heads.c.run == run).values(**moved))
            self._statements.write(connection, {**rows, schema.blocks: [block.row(run)]})
            expires_us = expiry(self._database.now_us(connection, now_us), lease_s)
            write_lease(connection, run, stands.epoch, host, pid, expires_us)
            log = {"run_id": run_id, "block": block.n, "hash": block.hash.hex()}
            append(connection, LogKind.RUN_RESUMED, now_us, log)
            stands = stands.after(block, RunStatus.RUNNING)
            tried.append(_TakenOver(run, stands, _next_chunk(connection, run)))
            return tried[-1]

        def find(connection: Connection) -> _TakenOver | None:
            written = tried and tried[-1].stands.is_at(read_head(connection, tried[-1].run))
            return tried[-1] if written else None

        run, stands, next_chunk = self._database.transact(write, find)
        return RunRecorder(self._database, (run, run_id), stands, next_chunk=next_chunk, lease_s=lease_s)

    def _take_over(
        self, connection: Connection, run_id: str, now_us: int, host: str
    ) -> tuple[int, _Standing]:
        headers, heads, leases = schema.run_headers, schema.heads, schema.run_leases
        found = connection.execute(
            select(headers.c.run, heads.c.n, heads.c.epoch, heads.c.hash, leases)
            .join(heads, heads.c.run == headers.c.run)
            .join(leases, leases.c.run == headers.c.run)
            .where(headers.c.run_id == run_id)
            .with_for_update(of=heads)
        ).one_or_none()
        if found is None:
            raise AuditError(self._database.where, f"there is no run {run_id}")
        run, n, epoch, hashed, *_ = found
        status = newest_status(connection, run)
        if status in ENDED_WELL:
            raise Refused(f"run {run_id} is {status.value}; there is nothing to resume")
        given = given_up(connection, run)
        if given is not None:
            raise Refused(f"run {run_id} was {given}; there is nothing to resume")
        at_us = self._database.now_us(connection, now_us)
        if status is RunStatus.RUNNING and is_held(found, at_us, host, self._alive):
            left_s = (found.expires_us - at_us) / 1e6
            raise TryAgainLater(f"run {run_id} is held by {holder(found)} for {left_s:.0f} s more")
        tree = Frontier(map(chain.tree_leaf, _block_hashes(connection, run)))
        return run, _Standing(epoch + 1, n, hashed, _count_changes(connection, run), status, tree)


class RunRecorder:
    """The one writer of one run."""

    def __init__(
        self,
        database: Database,
        named: tuple[int, str],
        stands: _Standing,
        *,
        next_chunk: int,
        lease_s: float,
    ) -> None:
        self.database, self.next_chunk = database, next_chunk
        self.run, self.run_id = named
        self._stands, self.lease_s = stands, lease_s
        self._statements = Statements(database)

    @property
    def head(self) -> Head:
        """Where the chain of the run stands."""
        stands = self._stands
        return Head(self.run_id, stands.tree.size, stands.hash, stands.tree.root())

    def commit(self, chunk: Chunk) -> None:
        """Make `chunk` durable, whole. Raises AuditError; then nothing of it is on record."""
        if chunk.number != self.next_chunk:
            raise FrameBug(f"chunk {chunk.number} was handed in where {self.next_chunk} is next")
        self._add(encode(self.run, self._stands.n, chunk))
        self.next_chunk += 1

    def finish(self, status: RunStatus, counters: Mapping[str, int], at_us: int) -> None:
        """Put the end of the run on record, once.

        Raises AuditError if it has ended already, or if `status` says that all is done and some token has no end,
        or two, or `counters` differ from what the record says.
        """
        if status in ENDED_WELL:
            self.database.ask(lambda connection: conservation.check(connection, self.run, counters))
        self.change("status", status, at_us, {"counters": dict(counters)})

    def change(self, kind: str, status: RunStatus, at_us: int, detail: Mapping[str, Any]) -> None:
        """Put a change of the run's status on record; under any but RUNNING nobody holds the run any longer."""
        stands = self._stands
        if stands.status is not RunStatus.RUNNING:
            said = f"run {self.run_id} has ended already: it is {stands.status.value}"
            raise AuditError(self.database.where, said)
        row = change_row(self.run, stands.changes, stands.n, (kind, status, at_us), detail)

        def end(connection: Connection, block: Block) -> None:
            if status is not RunStatus.RUNNING:
                extend_lease(connection, self.run, stands.epoch, FREE)
                log = {"run_id": self.run_id, "block": block.n, "hash": block.hash.hex()}
                append(connection, LogKind.RUN_ENDED, at_us, {**log, "status": status.value})

        self._add({schema.run_changes: [row]}, end, status)

    def give_up(self, at_us: int, by: str, reason: str) -> None:
        """End the run for good before all is done: nobody resumes it any more. Raises AuditError as `finish` does."""
        counters = self.database.ask(lambda connection: conservation.fold(connection, self.run).counters())
        detail = {"counters": counters, SAID: {"by": by, "reason": reason}}
        self.change("status", RunStatus.FAILED, at_us, detail)

    def renew_lease(self, now_us: int) -> None:
        """Stay the holder of the run for another lease. Raises AuditError if another process has taken over."""

        def write(connection: Connection) -> bool:
            expires_us = expiry(self.database.now_us(connection, now_us), self.lease_s)
            if not extend_lease(connection, self.run, self._stands.epoch, expires_us):
                raise self._fenced()
            return True

        self.database.transact(write, lambda _: None)

    def _add(
        self,
        rows: Rows,
        beside: Callable[[Connection, Block], None] | None = None,
        change: RunStatus | None = None,
    ) -> None:
        """Write `rows` and their block in one transaction, and what `beside` writes."""
        stands = self._stands
        block = chain.block(self.run_id, stands.n, rows, stands.hash)
        written = {**rows, schema.blocks: [block.row(self.run)]}

        after = stands.after(block, change)

        def write(connection: Connection) -> bool:
            if not self._statements.swap_head(connection, self.run, block.n, stands.epoch, block.hash):
                raise self._fenced()
            self._statements.write(connection, written)
            if beside is not None:
                beside(connection, block)
            return True

        def find(connection: Connection) -> bool | None:
            head = read_head(connection, self.run)
            if not after.is_at(head) and not stands.is_at(head):
                raise self._fenced()
            return after.is_at(head) or None

        self.database.transact(write, find)
        self._stands = after

    def _fenced(self) -> AuditError:
        return AuditError(
            self.database.where, f"another process has taken over run {self.run_id}; this one stops"
        )


def _first_rows(run: int, opening: RunOpening) -> Rows:
    """The rows of the first block."""
    started = "started", RunStatus.RUNNING, opening.started_us
    who = {"epoch": 1, "host": opening.host, "pid": opening.pid}
    return {**opening_rows(run, opening), schema.run_changes: [change_row(run, 0, 0, started, who)]}


def read_head(connection: Connection, run: int) -> tuple[int, int, bytes]:
    """Epoch, number of blocks and hash of the newest, as they stand now."""
    heads = schema.heads
    head = connection.execute(select(heads.c.epoch, heads.c.n, heads.c.hash).where(heads.c.run == run)).one()
    return int(head.epoch), int(head.n), bytes(head.hash)


def newest_status(connection: Connection, run: int) -> RunStatus:
    """The status that was put on record last."""
    changes = schema.run_changes
    newest = select(changes.c.status).where(changes.c.run == run).order_by(changes.c.number.desc()).limit(1)
    return RunStatus(connection.scalars(newest).one())


def _count_changes(connection: Connection, run: int) -> int:
    changes = schema.run_changes
    return int(connection.scalar(select(func.count()).select_from(changes).where(changes.c.run == run)) or 0)


def _next_chunk(connection: Connection, run: int) -> int:
    last = connection.scalar(select(func.max(schema.chunks.c.chunk)).where(schema.chunks.c.run == run))
    return 0 if last is None else int(last) + 1


def _block_hashes(connection: Connection, run: int) -> Iterable[bytes]:
    blocks = schema.blocks
    return connection.scalars(select(blocks.c.hash).where(blocks.c.run == run).order_by(blocks.c.n))
