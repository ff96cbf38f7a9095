"""Writing the record: one transaction a chunk, by the one process that holds the run.

Every transaction of a run swaps its row of `heads` from `n` to `n + 1`. A process that was thought dead and
comes back finds another `n` or another epoch there, and stops before it has written anything.

A commit that raised may have succeeded. So the head is read again: if it has moved on, the chunk is durable;
if it has not, the chunk is written once more where only the connection was lost; anything else is a stop.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from frame.audit import conservation, schema
from frame.audit.database import Database, explain
from frame.audit.encoding import encode
from frame.audit.opening import RunOpening
from frame.audit.text import to_json
from frame.errors import AuditError, FrameBug, Refused, TryAgainLater
from frame.events import Chunk, RunStatus

ENDED_WELL = frozenset({RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES, RunStatus.EMPTY})
"""No token is left open under these, and nothing is written after them."""


class Recorder:
    """Opens runs in an audit store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, opening: RunOpening) -> "RunRecorder":
        """Put a new run on record. Raises AuditError if its id is taken."""
        with self._database.writing() as connection:
            taken = select(schema.run_headers.c.run).where(schema.run_headers.c.run_id == opening.run_id)
            if connection.scalar(taken) is not None:
                raise AuditError(self._database.where, f"run {opening.run_id} is on record already")
            run = _write_opening(connection, opening)
            _write_lease(
                connection, run, 1, opening.host, opening.pid, _expiry(opening.started_us, opening.lease_s)
            )
            detail = {"epoch": 1, "host": opening.host, "pid": opening.pid}
            started = "started", RunStatus.RUNNING, opening.started_us
            _write_change(connection, run, 0, started, detail)
            connection.execute(insert(schema.heads), {"run": run, "n": 1, "epoch": 1})
        return RunRecorder(
            self._database, run, opening.run_id, epoch=1, n=1, next_chunk=0, lease_s=opening.lease_s
        )

    def resume(
        self, run_id: str, now_us: int, host: str = "", pid: int = 0, lease_s: float = 60.0
    ) -> "RunRecorder":
        """Take over a run that has not ended well.

        Raises TryAgainLater while another process holds its lease, Refused if it ended well, AuditError if
        there is no such run.
        """
        with self._database.writing() as connection:
            run, n, epoch, next_chunk = self._take_over(connection, run_id, now_us)
            swap = update(schema.heads).where(schema.heads.c.run == run)
            connection.execute(swap.values(n=n + 1, epoch=epoch))
            _write_lease(connection, run, epoch, host, pid, _expiry(now_us, lease_s))
            detail = {"epoch": epoch, "host": host, "pid": pid}
            _write_change(connection, run, n, ("resumed", RunStatus.RUNNING, now_us), detail)
        return RunRecorder(
            self._database, run, run_id, epoch=epoch, n=n + 1, next_chunk=next_chunk, lease_s=lease_s
        )

    def _take_over(self, connection: Connection, run_id: str, now_us: int) -> tuple[int, int, int, int]:
        headers, heads, leases = schema.run_headers, schema.heads, schema.run_leases
        found = connection.execute(
            select(headers.c.run, heads.c.n, heads.c.epoch, leases.c.expires_us, leases.c.host, leases.c.pid)
            .join(heads, heads.c.run == headers.c.run)
            .join(leases, leases.c.run == headers.c.run)
            .where(headers.c.run_id == run_id)
        ).one_or_none()
        if found is None:
            raise AuditError(self._database.where, f"there is no run {run_id}")
        status = newest_status(connection, found.run)
        if status in ENDED_WELL:
            raise Refused(f"run {run_id} is {status.value}; there is nothing to resume")
        if status is RunStatus.RUNNING and found.expires_us > now_us:
            holder = f"process {found.pid} on {found.host or 'this host'}"
            raise TryAgainLater(
                f"run {run_id} is held by {holder} for {(found.expires_us - now_us) / 1e6:.0f} s more"
            )
        last = connection.scalar(
            select(func.max(schema.chunks.c.chunk)).where(schema.chunks.c.run == found.run)
        )
        return found.run, found.n, found.epoch + 1, 0 if last is None else last + 1


class RunRecorder:
    """The one writer of one run."""

    def __init__(
        self,
        database: Database,
        run: int,
        run_id: str,
        *,
        epoch: int,
        n: int,
        next_chunk: int,
        lease_s: float,
    ) -> None:
        self.database, self.run, self.run_id = database, run, run_id
        self.next_chunk = next_chunk
        self._epoch, self._n, self._lease_s = epoch, n, lease_s
        self._inserts = _Inserts(database.engine)

    def commit(self, chunk: Chunk) -> None:
        """Make `chunk` durable, whole. Raises AuditError; then nothing of it is on record."""
        if chunk.number != self.next_chunk:
            raise FrameBug(f"chunk {chunk.number} was handed in where {self.next_chunk} is next")
        rows = encode(self.run, self._n, chunk)
        self._transact(lambda connection: self._inserts.write(connection, rows))
        self.next_chunk += 1

    def finish(self, status: RunStatus, counters: Mapping[str, int], at_us: int) -> None:
        """Put the end of the run on record, once.

        Raises AuditError if it has ended already, or if `status` says that all is done and some token has no end,
        or two, or `counters` differ from what the record says.
        """
        if status in ENDED_WELL:
            with self.database.reading() as connection:
                conservation.check(connection, self.run, counters)
        self.change("status", status, at_us, {"counters": dict(counters)})

    def change(self, kind: str, status: RunStatus, at_us: int, detail: Mapping[str, Any]) -> None:
        """Put a change of the run's status on record."""

        def write(connection: Connection) -> None:
            now = newest_status(connection, self.run)
            if now is not RunStatus.RUNNING:
                raise AuditError(
                    self.database.where, f"run {self.run_id} has ended already: it is {now.value}"
                )
            _write_change(connection, self.run, self._n, (kind, status, at_us), detail)

        self._transact(write)

    def renew_lease(self, now_us: int) -> None:
        """Stay the holder of the run for another lease. Raises AuditError if another process has taken over."""
        leases = schema.run_leases
        mine = leases.c.run == self.run, leases.c.epoch == self._epoch
        with self.database.writing() as connection:
            expires_us = _expiry(now_us, self._lease_s)
            if connection.execute(update(leases).where(*mine).values(expires_us=expires_us)).rowcount != 1:
                raise self._fenced()

    def _transact(self, write: Callable[[Connection], None]) -> None:
        try:
            self._attempt(write)
        except DBAPIError as error:
            if self._is_committed(error):
                self._n += 1
                return
            if not error.connection_invalidated:
                raise AuditError(self.database.where, explain(error)) from error
            with self.database.explained():
                self._attempt(write)
        self._n += 1

    def _attempt(self, write: Callable[[Connection], None]) -> None:
        with self.database.connect() as connection, connection.begin():
            self._swap_head(connection)
            write(connection)

    def _swap_head(self, connection: Connection) -> None:
        swapped = connection.exec_driver_sql(
            "UPDATE heads SET n = n + 1 WHERE run = ? AND n = ? AND epoch = ?",
            (self.run, self._n, self._epoch),
        )
        if swapped.rowcount != 1:
            raise self._fenced()

    def _is_committed(self, error: DBAPIError) -> bool:
        """Whether the transaction that ended in `error` took place. Raises AuditError if nobody can tell."""
        heads = schema.heads
        self.database.engine.dispose()
        try:
            with self.database.engine.connect() as connection:
                head = connection.execute(
                    select(heads.c.n, heads.c.epoch).where(heads.c.run == self.run)
                ).one()
        except DBAPIError:
            raise AuditError(self.database.where, explain(error)) from error
        if head.epoch != self._epoch or head.n not in (self._n, self._n + 1):
            raise self._fenced() from error
        return bool(head.n == self._n + 1)

    def _fenced(self) -> AuditError:
        return AuditError(
            self.database.where, f"another process has taken over run {self.run_id}; this one stops"
        )


class _Inserts:
    """The INSERT statements, compiled once: tuples go to the driver as they are.

    1,000 segments take 4 ms so and 13 ms through `insert()` with dictionaries.
    """

    def __init__(self, engine: Engine) -> None:
        self._statements = {table: _insert_text(table, engine) for table in schema.FACTS}

    def write(self, connection: Connection, rows: Mapping[Table, list[tuple[object, ...]]]) -> None:
        for table in schema.FACTS:
            if table in rows:
                connection.exec_driver_sql(self._statements[table], rows[table])


def _insert_text(table: Table, engine: Engine) -> str:
    names = ", ".join(column.name for column in table.columns)
    places = ", ".join("?" for _ in table.columns)
    repeats = " ON CONFLICT DO NOTHING" if table is schema.payload_digests else ""
    return f"INSERT INTO {table.name} ({names}) VALUES ({places}){repeats}"


def newest_status(connection: Connection, run: int) -> RunStatus:
    """The status that was put on record last."""
    changes = schema.run_changes
    newest = select(changes.c.status).where(changes.c.run == run).order_by(changes.c.number.desc()).limit(1)
    return RunStatus(connection.scalars(newest).one())


def _expiry(now_us: int, lease_s: float) -> int:
    return now_us + int(lease_s * 1_000_000)


def _next_change(connection: Connection, run: int) -> int:
    changes = schema.run_changes
    return int(connection.scalar(select(func.count()).select_from(changes).where(changes.c.run == run)) or 0)


def _write_opening(connection: Connection, opening: RunOpening) -> int:
    header = {
        "run_id": opening.run_id,
        "pipeline": opening.pipeline,
        "config": opening.config,
        "config_sha256": opening.config_sha256,
        "graph_sha256": opening.graph_sha256,
        "settings": to_json(dict(opening.settings)),
        "seed": opening.seed,
        "frame_version": opening.frame_version,
        "python_version": opening.python_version,
        "host": opening.host,
        "pid": opening.pid,
        "started_us": opening.started_us,
    }
    key = connection.execute(insert(schema.run_headers), header).inserted_primary_key
    assert key is not None
    run = int(key[0])
    _write_graph(connection, run, opening)
    return run


def _write_graph(connection: Connection, run: int, opening: RunOpening) -> None:
    for node in opening.nodes:
        columns = {column.name: getattr(node, column.name, None) for column in schema.nodes.columns}
        columns |= {"run": run, "node": node.number, "options": to_json(dict(node.options))}
        connection.execute(insert(schema.nodes), columns)
    for number, edge in enumerate(opening.edges):
        ends = {"origin": edge.origin, "target": edge.target, "label": edge.label, "mode": edge.mode}
        connection.execute(insert(schema.edges), {"run": run, "edge": number, **ends})
    for node in opening.nodes:
        for clause, target in enumerate(node.on_error):
            way = {"run": run, "node": node.number, "clause": clause, "target": target}
            connection.execute(insert(schema.error_clauses), way)


def _write_lease(connection: Connection, run: int, epoch: int, host: str, pid: int, expires_us: int) -> None:
    leases = schema.run_leases
    values = {"epoch": epoch, "host": host, "pid": pid, "expires_us": expires_us}
    if connection.execute(update(leases).where(leases.c.run == run).values(**values)).rowcount == 0:
        connection.execute(insert(leases), {"run": run, **values})


def _write_change(
    connection: Connection,
    run: int,
    block: int,
    said: tuple[str, RunStatus, int],
    detail: Mapping[str, Any],
) -> None:
    """`block`: number of the commit that this is a part of; `said`: kind, status and time."""
    kind, status, at_us = said
    number = _next_change(connection, run)
    row = {"run": run, "number": number, "block": block, "kind": kind, "status": status.value, "at_us": at_us}
    connection.execute(insert(schema.run_changes), {**row, "detail": to_json(dict(detail))})
