"""Whether every node can be reached, and every row come to an end."""

from collections.abc import Iterator

from frame.graph.faults import Fault, title
from frame.graph.model import Discard, GateNode, Graph, NodeKind, SinkNode
from frame.graph.order import reachable
from frame.graph.ways import successors_of


def unreachable(graph: Graph) -> Iterator[Fault]:
    """Nodes and sinks that no row can come to, not even a failed one."""
    reached = reachable(successors_of(len(graph.nodes), graph.edges), 0)
    for node in graph.nodes:
        if node.number not in reached:
            remedy = "Name it in a route, `to` or on_error of a node that rows come to, or take it out."
            yield Fault(node.number, (), f"no row can reach {title(node)}", remedy)


def endless(graph: Graph) -> Iterator[Fault]:
    """Nodes that rows can come to and from which, unless they fail, they can only go round for ever."""
    before: list[list[int]] = [[] for _ in graph.nodes]
    for edge in graph.edges:
        if edge.label not in ("on_error", "on_invalid"):
            before[edge.target].append(edge.origin)
    can_end = {end for node in graph.nodes if _is_end(node) for end in reachable(before, node.number)}
    stuck = reachable(successors_of(len(graph.nodes), graph.edges), 0) - can_end
    headers = [edge.target for edge in graph.edges if edge.target in stuck and edge.target <= edge.origin]
    if headers:
        first = graph.nodes[min(headers)]
        remedy = "Let a route of the loop lead out of it: to a sink, to a later node, or to discard."
        yield Fault(first.number, (), f"a row that comes to {title(first)} can never leave the loop", remedy)


def _is_end(node: object) -> bool:
    if isinstance(node, GateNode):
        return any(isinstance(destination, Discard) for destination in node.routes.values())
    return isinstance(node, SinkNode)


def misdirected(graph: Graph) -> Iterator[Fault]:
    """Ways to where no row can go: into the source, or with invalid rows to something that is no sink."""
    for edge in graph.edges:
        if edge.target == 0:
            message = f"{title(graph.nodes[edge.origin])} sends rows to the source"
            yield Fault(edge.origin, (), message, "Name a node or a sink.")
        if edge.label == "on_invalid" and graph.nodes[edge.target].kind is not NodeKind.SINK:
            message = f"invalid rows cannot go to {title(graph.nodes[edge.target])}: it expects rows that fit"
            yield Fault(edge.origin, ("on_invalid",), message, "Name a sink, or discard.")
