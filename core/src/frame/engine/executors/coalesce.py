"""Coalesces: the branches of a fork become one row again. Core work, no plugin has a part in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from frame.canonical import digest
from frame.engine.executors.base import Executor, as_row
from frame.engine.inflight import InFlight
from frame.engine.nodes import Surroundings
from frame.errors import FieldConflict, RowError
from frame.events import ErrorInfo, Event, Merged, Payloads
from frame.graph.model import CoalesceNode, MergeHow, OnCollision
from frame.rows import Row
from frame.scheduler.work import Join, Merge, MergeDone


def unite(node: CoalesceNode, branches: Mapping[str, Row]) -> dict[str, Any]:
    """One row of all `branches`, in branch order, as `node` says.

    Raises FieldConflict under `on_collision: fail`, and RowError when the branch to select is not there.
    """
    match node.how:
        case MergeHow.NESTED:
            return dict(branches)
        case MergeHow.SELECT:
            if node.select is None or node.select not in branches:
                raise RowError(
                    f"branch {node.select!r}, which is to be selected, is not among those that came"
                )
            return dict(branches[node.select])
        case MergeHow.UNION:
            origins = origins_of(node.on_collision, branches)
            return {field: branches[branch][field] for field, branch in origins.items()}


def origins_of(on_collision: OnCollision, branches: Mapping[str, Row]) -> dict[str, str]:
    """The branch that each field of a union comes from, fields in the order of their first appearance."""
    origins: dict[str, str] = {}
    for branch, row in branches.items():
        for field, value in row.items():
            known = origins.get(field)
            if known is None or on_collision is OnCollision.LAST:
                origins[field] = branch
            elif on_collision is OnCollision.FAIL and not _same(branches[known][field], value):
                raise FieldConflict(field, known, branch)
    return origins


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


class CoalesceExecutor(Executor):
    """Unites the rows of forks whose branches have come together."""

    def __init__(
        self, node: CoalesceNode, around: Surroundings, inflight: InFlight, payloads: list[Payloads]
    ) -> None:
        super().__init__(around, inflight, payloads)
        self._node = node
        self._made: dict[int, tuple[Row, bytes]] = {}

    def run(self, work: Merge) -> MergeDone:
        answer = MergeDone(started_us=self.around.clock.time_us())
        for join in work.joins:
            try:
                row, form = as_row(unite(self._node, self._branches(join)))
            except RowError as error:
                answer.digests.append(ErrorInfo(type(error).__name__, str(error)))
            else:
                self._made[join.group] = row, form
                answer.digests.append(digest(form))
        answer.duration_us = self.around.clock.time_us() - answer.started_us
        return answer

    def _branches(self, join: Join) -> dict[str, Row]:
        rows = self.inflight.rows
        return {name: rows[token] for name, (_, token) in zip(join.names, join.branches, strict=True)}

    def adopt(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Merged):
                made = [self._made.pop(group) for group in event.groups]
                self.inflight.put(event.children, [row for row, _ in made], [form for _, form in made])
