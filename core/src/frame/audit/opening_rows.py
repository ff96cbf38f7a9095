"""The stored rows of commits that are no chunk: a run that is opened, and a change of its status."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table

from frame.audit import schema
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.text import to_json
from frame.events import RunStatus

Rows = dict[Table, list[tuple[object, ...]]]


def opening_rows(run: int, opening: RunOpening) -> Rows:
    """What to insert for a new run: its header, nodes, edges and on_error clauses."""
    edges: list[tuple[object, ...]] = [
        (run, number, edge.origin, edge.target, edge.label, edge.mode)
        for number, edge in enumerate(opening.edges)
    ]
    clauses: list[tuple[object, ...]] = [
        (run, node.number, clause, target)
        for node in opening.nodes
        for clause, target in enumerate(node.on_error)
    ]
    rows: Rows = {
        schema.run_headers: [_header(run, opening)],
        schema.nodes: [_node(run, node) for node in opening.nodes],
        schema.edges: edges,
        schema.error_clauses: clauses,
    }
    return {table: found for table, found in rows.items() if found}


def _header(run: int, opening: RunOpening) -> tuple[object, ...]:
    given: dict[str, object] = {"run": run, "settings": to_json(dict(opening.settings))}
    return tuple(
        given[column.name] if column.name in given else getattr(opening, column.name)
        for column in schema.run_headers.columns
    )


def _node(run: int, node: NodeOpening) -> tuple[object, ...]:
    given: dict[str, object] = {"run": run, "node": node.number, "options": to_json(dict(node.options))}
    return tuple(
        given[column.name] if column.name in given else getattr(node, column.name)
        for column in schema.nodes.columns
    )


def change_row(
    run: int, number: int, block: int, said: tuple[str, RunStatus, int], detail: Mapping[str, Any]
) -> tuple[object, ...]:
    """The row of `run_changes`.

    `number` counts the changes of the run, `block` is the commit that this one is a part of; `said`: kind, status
    and time.
    """
    kind, status, at_us = said
    return run, number, block, kind, status.value, at_us, to_json(dict(detail))
