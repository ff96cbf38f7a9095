"""What becomes of each row, told by plain recursion over the graph: no chunks, no events, no scheduler.

It knows pipelines without count or time triggers, whose joins wait for every branch (require_all, best_effort).
"""

from collections import Counter
from typing import Any

from frame.errors import RetryableError
from frame.events import Path
from frame.graph.model import (
    AggregationNode,
    CoalesceNode,
    Discard,
    Fork,
    GateNode,
    Graph,
    MergeHow,
    MergePolicy,
    OnCollision,
    SinkNode,
    TransformNode,
)
from frame.plugin.results import Drop, Expand, Fail
from frame.rows import Row, freeze
from frame.testing.chance import ChanceSink, roll

Loops = Counter[tuple[int, Any]]


class Reference:
    """Sends rows through `graph`, each to all its ends, which are counted in `ends`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ends: Counter[str] = Counter()
        self.at_sink: Counter[str] = Counter()
        self.members: dict[int, list[tuple[Row, Loops]]] = {}

    def run(self, rows: list[Row]) -> None:
        for row in rows:
            self.go(row, self.graph.source.to.node, Path.DEFAULT_FLOW, Counter(), None)
        while self.members:
            self.flush(min(self.members))

    def go(self, row: Row, number: int, path: Path, loops: Loops, join: int | None) -> Row | None:
        """Follow one token from its arrival at a node. The row with which it comes to `join`, None if it ends."""
        node: Any = self.graph.nodes[number]
        if number == join:
            return row
        match node:
            case SinkNode():
                return self.sink(node, row, path)
            case TransformNode():
                return self.transform(node, row, loops, join)
            case GateNode():
                return self.gate(node, row, loops, join)
            case AggregationNode():
                plugin = node.plugin.build()
                if roll(plugin.config.salt, row) < plugin.config.refuse:
                    return self.fail(node, row, "ValueError", loops, join)
                self.members.setdefault(number, []).append((row, loops))
        return None

    def sink(self, node: SinkNode, row: Row, path: Path) -> None:
        plugin = node.plugin.build()
        if not (isinstance(plugin, ChanceSink) and plugin.reason(row)):
            self.ends[path] += 1
            self.at_sink[node.name] += 1
        elif node.on_error is None or path is Path.SINK_REJECTED:
            self.ends[Path.SINK_REJECTED] += 1
        else:
            self.sink(self.graph.nodes[node.on_error], row, Path.SINK_REJECTED)  # type: ignore[arg-type]

    def transform(self, node: TransformNode, row: Row, loops: Loops, join: int | None) -> Row | None:
        plugin: Any = node.plugin.build()
        for attempt in range(node.policy.retry.attempts):
            try:
                result: Any = plugin.outcome(row, attempt)
            except RetryableError:
                kind = "RetryableError" if node.policy.retry.attempts == 1 else "RetriesExhausted"
                continue
            except KeyError:
                return self.fail(node, row, "KeyError", loops, join)
            if isinstance(result, Fail) and result.retryable:
                kind = "Fail" if node.policy.retry.attempts == 1 else "RetriesExhausted"
                continue
            return self.succeed(node, row, result, loops, join)
        return self.fail(node, row, kind, loops, join)

    def succeed(
        self, node: TransformNode, row: Row, result: Any, loops: Loops, join: int | None
    ) -> Row | None:
        match result:
            case Drop() | Expand(rows=[]):
                self.ends[Path.DROPPED] += 1
            case Fail():
                return self.fail(node, row, "Fail", loops, join)
            case Expand(rows=rows):
                self.ends[Path.EXPANDED] += 1
                for child in rows:
                    self.go(freeze(child), node.to.node, Path.DEFAULT_FLOW, Counter(), None)
            case list():
                return self.fail(node, row, "WrongResult", loops, join)
            case {"not": _}:
                return self.fail(node, row, "NotCanonical", loops, join)
            case _:
                return self.go(freeze(result), node.to.node, Path.DEFAULT_FLOW, loops, join)
        return None

    def fail(self, node: Any, row: Row, error: str, loops: Loops, join: int | None) -> Row | None:
        facts = {"type": error, "message": "", "attempts": 1}
        for index, clause in enumerate(node.on_error):
            if clause.when is None or clause.when.evaluate_with(error=facts, row=row) is True:
                if isinstance(clause.to, Discard):
                    self.ends[Path.ERROR_DISCARDED] += 1
                    return None
                return self.move(row, clause.to, Path.ERROR_ROUTED, (node.number, index), loops, join)
        self.ends[Path.UNHANDLED] += 1
        return None

    def move(
        self, row: Row, to: Any, path: Path, edge: tuple[int, Any], loops: Loops, join: int | None
    ) -> Row | None:
        if to.loop_max is not None:
            loops[edge] += 1
            if loops[edge] > to.loop_max:
                self.ends[Path.VISIT_LIMIT] += 1
                return None
        return self.go(row, to.node, path, loops, join)

    def gate(self, node: GateNode, row: Row, loops: Loops, join: int | None) -> Row | None:
        assert node.plugin is not None
        try:
            label = node.plugin.build().evaluate(row, None)
        except ValueError:
            return self.fail(node, row, "ValueError", loops, join)
        if isinstance(label, Fail):
            return self.fail(node, row, "Fail", loops, join)
        if label not in node.routes:
            return self.fail(node, row, "NoRoute", loops, join)
        match node.routes[label]:
            case Discard():
                self.ends[Path.GATE_DISCARDED] += 1
            case Fork() as fork:
                return self.fork(fork, row, join)
            case to:
                path = Path.DEFAULT_FLOW if to.loop_max is None and to.node == node.next else Path.GATE_ROUTED
                return self.move(row, to, path, (node.number, label), loops, join)
        return None

    def fork(self, fork: Fork, row: Row, join: int | None) -> Row | None:
        self.ends[Path.FORKED] += 1
        came: dict[str, Row] = {}
        for branch in fork.branches:
            arrived = self.go(row, branch.to.node, Path.GATE_ROUTED, Counter(), fork.joins_at)
            if arrived is not None:
                came[branch.name] = arrived
        if fork.joins_at is None:
            return None
        node = self.graph.nodes[fork.joins_at]
        assert isinstance(node, CoalesceNode)
        merged = None
        if len(came) == len(fork.expected) or (node.policy is MergePolicy.BEST_EFFORT and came):
            merged = united(node, came)
        self.ends[Path.MERGE_INCOMPLETE if merged is None else Path.MERGED] += len(came)
        return None if merged is None else self.go(merged, node.to.node, Path.DEFAULT_FLOW, Counter(), join)

    def flush(self, number: int) -> None:
        node: Any = self.graph.nodes[number]
        members = self.members.pop(number)
        try:
            outputs = node.plugin.build().outputs([row for row, _ in members])
        except RuntimeError:
            for row, loops in members:
                self.fail(node, row, "RuntimeError", loops, None)
            return
        self.ends[Path.BATCHED] += len(members)
        for output in outputs:
            self.go(freeze(output), node.to.node, Path.DEFAULT_FLOW, Counter(), None)


def united(node: CoalesceNode, came: dict[str, Row]) -> Row | None:
    """The merged row, None if the branches cannot be united."""
    if node.how is MergeHow.NESTED:
        return freeze(came)
    if node.how is MergeHow.SELECT:
        return came.get(node.select or "")
    fields: dict[str, Any] = {}
    for row in came.values():
        for name, value in row.items():
            if node.on_collision is OnCollision.FAIL and fields.get(name, value) != value:
                return None
            fields[name] = value
    return freeze(fields)
