"""Coalesces: the branches of a fork become one row again. Core work, no plugin has a part in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from frame.canonical import canonical_row, canonical_rows, digest
from frame.engine.executors.base import Executor, uncanonical
from frame.engine.inflight import InFlight
from frame.engine.nodes import Surroundings
from frame.errors import FieldConflict, NotCanonical, RowError
from frame.events import ErrorInfo, Event, Merged, Payloads
from frame.graph.model import CoalesceNode, MergeHow, OnCollision
from frame.rows import Row, freeze
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
            return _union(node.on_collision, branches)


def _union(on_collision: OnCollision, branches: Mapping[str, Row]) -> dict[str, Any]:
    """The fields of all branches in the order of their first appearance."""
    if on_collision is OnCollision.FAIL:
        origins_of(on_collision, branches)
    united: dict[str, Any] = {}
    for row in branches.values():
        united.update(row)
    if on_collision is OnCollision.FIRST:
        for row in reversed(list(branches.values())):
            united.update(row)
    return united


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
        united = [self._unite(join) for join in work.joins]
        rows = [row for row in united if not isinstance(row, ErrorInfo)]
        forms = iter(_forms(rows))
        for join, row in zip(work.joins, united, strict=True):
            form = row if isinstance(row, ErrorInfo) else next(forms)
            if isinstance(row, Row) and isinstance(form, bytes):
                self._made[join.group] = row, form
            answer.digests.append(digest(form) if isinstance(form, bytes) else form)
        answer.duration_us = self.around.clock.time_us() - answer.started_us
        return answer

    def _unite(self, join: Join) -> Row | ErrorInfo:
        try:
            return freeze(unite(self._node, self._branches(join)))
        except RowError as error:
            return ErrorInfo(type(error).__name__, str(error))

    def _branches(self, join: Join) -> dict[str, Row]:
        rows = self.inflight.rows
        return {name: rows[token] for name, (_, token) in zip(join.names, join.branches, strict=True)}

    def adopt(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Merged):
                made = [self._made.pop(group) for group in event.groups]
                self.inflight.put(event.children, [row for row, _ in made], [form for _, form in made])


def _forms(rows: Sequence[Row]) -> list[bytes | ErrorInfo]:
    """The canonical form of each row, or why it has none: nesting may go too deep."""
    try:
        return list(canonical_rows(rows))
    except NotCanonical:
        return [_form(row) for row in rows]


def _form(row: Row) -> bytes | ErrorInfo:
    try:
        return canonical_row(row)
    except NotCanonical as error:
        return uncanonical(error)
