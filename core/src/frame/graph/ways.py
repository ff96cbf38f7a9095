"""Every way out of a node, with the place in the pipeline file that says it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from frame.graph.model import (
    AggregationNode,
    AnyNode,
    CoalesceNode,
    Destination,
    Edge,
    ErrorClause,
    Fork,
    GateNode,
    SinkNode,
    SourceNode,
    To,
    TransformNode,
)

Place = tuple[str | int, ...]
"""Where in a node's part of the file something stands, as in ("routes", "true"); () is the node as a whole."""

ON_ERROR, ON_INVALID, CONTINUE = "on_error", "on_invalid", "continue"


@dataclass(frozen=True, slots=True)
class Way:
    """One way from node to node. `loop_max` is set where the file or the compiler bounds it as a loop."""

    edge: Edge
    place: Place
    loop_max: int | None = None

    @property
    def leads_back(self) -> bool:
        return self.edge.target <= self.edge.origin


def ways_out(node: AnyNode) -> Iterator[Way]:
    """The ways out of `node`, in the order of the file; ends such as `discard` are none."""
    match node:
        case SourceNode():
            yield _way(node, node.to, CONTINUE, CONTINUE, ("to",))
            if isinstance(node.on_invalid, To):
                yield _way(node, node.on_invalid, ON_INVALID, "error", (ON_INVALID,))
        case TransformNode() | AggregationNode():
            yield _way(node, node.to, CONTINUE, CONTINUE, ("to",))
            yield from _error_ways(node, node.on_error)
        case GateNode():
            for label, destination in node.routes.items():
                yield from _route_ways(node, label, destination)
            yield from _error_ways(node, node.on_error)
        case CoalesceNode():
            yield _way(node, node.to, CONTINUE, CONTINUE, ("to",))
        case SinkNode():
            if node.on_error is not None:
                yield _way(node, To(node.on_error), ON_ERROR, "error", (ON_ERROR,))


def _route_ways(gate: GateNode, label: str, destination: Destination) -> Iterator[Way]:
    place = ("routes", label)
    match destination:
        case To(target, loop_max):
            onward = CONTINUE if target == gate.next else "route"
            yield _way(
                gate, destination, label, "loop" if loop_max and target <= gate.number else onward, place
            )
        case Fork(branches):
            for branch in branches:
                yield _way(gate, branch.to, label, "fork", place)


def _error_ways(node: AnyNode, clauses: Sequence[ErrorClause]) -> Iterator[Way]:
    for index, clause in enumerate(clauses):
        if isinstance(clause.to, To):
            loop = clause.to.loop_max is not None and clause.to.node <= node.number
            yield _way(node, clause.to, ON_ERROR, "loop" if loop else "error", (ON_ERROR, index, "to"))


def _way(node: AnyNode, to: To, label: str, mode: str, place: Place) -> Way:
    return Way(Edge(node.number, to.node, label, mode), place, to.loop_max)


def all_ways(nodes: Iterable[AnyNode]) -> list[Way]:
    """The ways out of all `nodes`, node after node."""
    return [way for node in nodes for way in ways_out(node)]


def edges_of(nodes: Iterable[AnyNode]) -> tuple[Edge, ...]:
    """The edges of a graph of `nodes`: each once, although two clauses may say the same one."""
    return tuple(dict.fromkeys(way.edge for way in all_ways(nodes)))


def successors_of(count: int, edges: Iterable[Edge]) -> list[list[int]]:
    """For each of `count` nodes, where its edges lead."""
    after: list[list[int]] = [[] for _ in range(count)]
    for edge in edges:
        after[edge.origin].append(edge.target)
    return after
