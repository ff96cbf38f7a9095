"""The runs of a store: found by what people type, listed, described."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from socket import gethostname
from typing import Any

from sqlalchemy import Connection, Row, column, func, select, table

from frame.audit import schema
from frame.audit.conservation import fold
from frame.audit.leases import is_held
from frame.audit.text import from_json
from frame.errors import UsageError
from frame.events import RunStatus

LATEST = "latest"

_HEADER = (
    *(
        "run",
        "run_id",
        "pipeline",
        "status",
        "started_us",
        "ended_us",
        "config",
        "config_sha256",
        "graph_sha256",
    ),
    *("settings", "seed", "frame_version", "python_version", "host", "pid", "lease_expires_us", "detail"),
)
_EVENT = ("run", "block", "chunk", "position", "kind", "status", "at_us", "node", "detail")
_RUNS = table("runs", *map(column, _HEADER))
_RUN_EVENTS = table("run_events", *map(column, _EVENT))


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list. `run` is its number in the store; `counters` are those it ended with, if it has ended."""

    run: int
    run_id: str
    pipeline: str
    status: RunStatus
    started_us: int
    ended_us: int | None
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run and everything that is on record about it as a whole."""

    summary: RunSummary
    config: Any
    config_sha256: bytes
    graph_sha256: bytes
    settings: dict[str, Any]
    seed: int
    frame_version: str
    python_version: str
    host: str
    pid: int
    chunks: int


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A place in the graph of a run and the code that stood there."""

    node: int
    name: str
    kind: str
    plugin: str | None
    package: str | None
    distribution: str | None
    version: str | None
    record_sha256: str | None
    api: int | None
    determinism: str | None
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EdgeRecord:
    origin: int
    target: int
    label: str
    mode: str


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something about a run as a whole: started, resumed, a status, or a note from within a chunk."""

    kind: str
    at_us: int
    status: RunStatus | None
    chunk: int | None
    node: int | None
    detail: dict[str, Any]


def find_run(connection: Connection, asked: str) -> int:
    """The number of the run that `asked` names: a run id, an unambiguous beginning of one, or "latest".

    Raises UsageError if there is none, or more than one.
    """
    headers = schema.run_headers
    if asked == LATEST:
        newest = select(headers.c.run).order_by(headers.c.started_us.desc(), headers.c.run.desc()).limit(1)
        found = connection.scalar(newest)
        if found is None:
            raise UsageError("there is no run on record yet")
        return int(found)
    beginning = headers.c.run_id.startswith(asked.lower(), autoescape=True)
    rows = connection.execute(
        select(headers.c.run, headers.c.run_id).where(beginning).order_by(headers.c.run_id)
    ).all()
    if not asked or not rows:
        raise UsageError(f"there is no run {asked!r} on record (`frame runs list` shows what there is)")
    if len(rows) > 1 and rows[0].run_id != asked.lower():
        near = ", ".join(row.run_id for row in rows[:5])
        raise UsageError(f"{len(rows)} runs begin with {asked!r}: {near}; type more of it")
    return int(rows[0].run)


def run_ids(connection: Connection, runs: Sequence[int]) -> set[str]:
    """The run ids of these runs."""
    headers = schema.run_headers
    return set(connection.scalars(select(headers.c.run_id).where(headers.c.run.in_(runs))))


def list_runs(connection: Connection, now_us: int) -> Iterator[RunSummary]:
    """All runs, the newest first."""
    leases = {row.run: row for row in connection.execute(select(schema.run_leases))}
    for row in connection.execute(select(_RUNS).order_by(_RUNS.c.started_us.desc(), _RUNS.c.run.desc())):
        yield _summary(row, leases[row.run], now_us)


def describe_run(connection: Connection, run: int, now_us: int) -> RunDetails:
    """Everything about a run as a whole."""
    row = connection.execute(select(_RUNS).where(_RUNS.c.run == run)).one()
    lease = connection.execute(select(schema.run_leases).where(schema.run_leases.c.run == run)).one()
    chunks = select(func.count()).select_from(schema.chunks).where(schema.chunks.c.run == run)
    return RunDetails(
        summary=_summary(row, lease, now_us),
        config=from_json(row.config.decode("utf-8")),
        config_sha256=row.config_sha256,
        graph_sha256=row.graph_sha256,
        settings=from_json(row.settings),
        seed=row.seed,
        frame_version=row.frame_version,
        python_version=row.python_version,
        host=row.host,
        pid=row.pid,
        chunks=connection.scalar(chunks) or 0,
    )


def _summary(row: Row[Any], lease: Row[Any], now_us: int) -> RunSummary:
    status = RunStatus(row.status)
    if status is RunStatus.RUNNING and not is_held(lease, now_us, gethostname()):
        status = RunStatus.CRASHED
    counters = from_json(row.detail).get("counters", {})
    return RunSummary(row.run, row.run_id, row.pipeline, status, row.started_us, row.ended_us, counters)


def nodes_of(connection: Connection, run: int) -> list[NodeRecord]:
    """The nodes of a run's graph, in graph order."""
    nodes = schema.nodes
    rows = connection.execute(select(nodes).where(nodes.c.run == run).order_by(nodes.c.node))
    return [_node(row) for row in rows]


def _node(row: Row[Any]) -> NodeRecord:
    facts = {name: getattr(row, name) for name in NodeRecord.__slots__}
    return NodeRecord(**{**facts, "options": from_json(row.options)})


def edges_of(connection: Connection, run: int) -> list[EdgeRecord]:
    """The edges of a run's graph."""
    edges = schema.edges
    rows = connection.execute(select(edges).where(edges.c.run == run).order_by(edges.c.edge))
    return [EdgeRecord(row.origin, row.target, row.label, row.mode) for row in rows]


def run_events(connection: Connection, run: int) -> list[RunEvent]:
    """What happened to a run as a whole, in order."""
    events = _RUN_EVENTS
    order = events.c.block, events.c.position
    rows = connection.execute(select(events).where(events.c.run == run).order_by(*order))
    return [
        RunEvent(
            row.kind,
            row.at_us,
            None if row.status is None else RunStatus(row.status),
            row.chunk,
            row.node,
            from_json(row.detail),
        )
        for row in rows
    ]


def counters_of(connection: Connection, run: int) -> dict[str, int]:
    """The counters of a run (BEHAVIOUR §1), derived from its record."""
    return fold(connection, run).counters()
