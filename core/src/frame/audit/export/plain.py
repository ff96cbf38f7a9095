"""Records that stand in the store, or in its views, much as an export has them."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, column, select, table
from sqlalchemy.sql.expression import TableClause

from frame.audit import schema
from frame.audit.export.kinds import KINDS, Record
from frame.audit.export.source import RunRecord, Stored

_COLUMNS = {kind.name: tuple(kind.columns) for kind in KINDS}
_NODES = frozenset({"node", "origin", "target", "sink", "fallback"})
"""Columns of node numbers, which an export writes as names."""


def _view(kind: str, name: str) -> TableClause:
    return table(name, column("run"), *map(column, _COLUMNS[kind]))


_BATCHES, _WRITES = _view("batch", "batches"), _view("sink_write", "sink_intents")
_EVENTS = _view("event", "run_events")


def _from(
    record: RunRecord, source: Table | TableClause, kind: str, *order: ColumnElement[Any] | Column[Any]
) -> Iterator[Record]:
    names = _COLUMNS[kind]
    wanted: Select[Any] = select(*(source.c[name] for name in names)).where(source.c.run == record.run)
    return (_readable(record, names, row) for row in record.stream(wanted.order_by(*order)))


def _readable(record: RunRecord, names: tuple[str, ...], row: Stored) -> Record:
    return {
        name: record.name(value)
        if name in _NODES
        else bytes(value).hex()
        if isinstance(value, bytes | memoryview)
        else value
        for name, value in zip(names, row, strict=True)
    }


def nodes(record: RunRecord) -> Iterator[Record]:
    """One a node of the graph."""
    n = schema.nodes.c
    for row in record.stream(select(*n).where(n.run == record.run).order_by(n.node)):
        yield {"number": row.node, **{name: getattr(row, name) for name in _COLUMNS["node"][1:]}}


def edges(record: RunRecord) -> Iterator[Record]:
    """One an edge of the graph."""
    e = schema.edges.c
    for row in record.stream(select(*e).where(e.run == record.run).order_by(e.edge)):
        ways = {"origin": record.name(row.origin), "target": record.name(row.target)}
        yield {"number": row.edge, **ways, "label": row.label, "mode": row.mode}


def chunks(record: RunRecord) -> Iterator[Record]:
    """One a commit that events happened in."""
    return _from(record, schema.chunks, "chunk", schema.chunks.c.chunk)


def calls(record: RunRecord) -> Iterator[Record]:
    """One a request to the outside world."""
    return _from(record, schema.calls, "call", schema.calls.c.chunk, schema.calls.c.position)


def batches(record: RunRecord) -> Iterator[Record]:
    """One a batch, whether it has ended or not."""
    return _from(record, _BATCHES, "batch", _BATCHES.c.batch)


def sink_writes(record: RunRecord) -> Iterator[Record]:
    """One a write to a sink, by number of the sink."""
    return _from(record, _WRITES, "sink_write", _WRITES.c.node, _WRITES.c.intent)


def artifacts(record: RunRecord) -> Iterator[Record]:
    """One a thing that a sink has published."""
    return _from(record, schema.artifacts, "artifact", schema.artifacts.c.chunk, schema.artifacts.c.position)


def errors(record: RunRecord) -> Iterator[Record]:
    """One a thing that went wrong."""
    return _from(record, schema.errors, "error", schema.errors.c.chunk, schema.errors.c.position)


def run_events(record: RunRecord) -> Iterator[Record]:
    """What happened to the run as a whole."""
    return _from(record, _EVENTS, "event", _EVENTS.c.block, _EVENTS.c.position)
