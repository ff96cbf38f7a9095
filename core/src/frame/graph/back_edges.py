"""Ways that lead back: which of them are loops that can run.

A loop is a gate's route, or an on_error way, back to a node that every path to its origin passes. Between the two
the token must stay the same, or its turns could not be counted: no fork, coalesce, aggregation or expansion.
"""

from collections.abc import Iterator

from frame.graph.faults import Fault, title
from frame.graph.model import AnyNode, Graph, NodeKind, SinkNode, TransformNode
from frame.graph.order import Successors, dominates, reachable
from frame.graph.ways import Way, all_ways, successors_of


def bad_loops(graph: Graph) -> Iterator[Fault]:
    """Ways back that are no loop which can run, and bounds on ways that lead onward."""
    after = successors_of(len(graph.nodes), graph.edges)
    ways = all_ways(graph.nodes)
    reached = reachable(after, 0)
    for way in ways:
        if way.edge.origin not in reached or isinstance(graph.nodes[way.edge.origin], SinkNode):
            continue
        if way.leads_back:
            fault = _unlike_a_loop(graph, way, after) or _changes_the_token(graph, way, ways)
            if fault:
                yield fault
        elif way.loop_max is not None:
            origin, target = graph.nodes[way.edge.origin], graph.nodes[way.edge.target]
            message = f"max bounds a way back, and {title(origin)} leads onward to {title(target)}"
            yield Fault(way.edge.origin, way.place, message, f"Write {target.name!r} alone, without max.")


def _unlike_a_loop(graph: Graph, way: Way, after: Successors) -> Fault | None:
    origin, target = graph.nodes[way.edge.origin], graph.nodes[way.edge.target]
    if way.edge.mode == "fork":
        message = f"a branch of the fork at {title(origin)} leads back to {title(target)}"
        return Fault(origin.number, way.place, message, "A loop is a route of its own, without brackets.")
    if way.edge.mode != "loop":
        return Fault(
            origin.number,
            way.place,
            f"{_cycle(graph, origin, target, after)} is a cycle that no gate closes: rows would go round for ever",
            f"Let a gate decide: a route may lead back to {target.name!r}, with a `max`; `to` may not.",
        )
    if not dominates(after, target.number, origin.number):
        message = (
            f"{_speak_of(way, origin)} leads back to {target.name!r}, "
            f"but a row can come to {origin.name!r} without having been there"
        )
        remedy = f"Lead back to a node that every path to {origin.name!r} passes."
        return Fault(origin.number, way.place, message, remedy)
    return None


def _speak_of(way: Way, origin: AnyNode) -> str:
    if way.place[0] == "routes":
        return f"route {way.edge.label!r} of {title(origin)}"
    return f"on_error of {title(origin)}"


def _cycle(graph: Graph, origin: AnyNode, target: AnyNode, after: Successors) -> str:
    """The shortest way round, as a message writes it."""
    came_from: dict[int, int] = {}
    ahead = [target.number]
    while origin.number not in ahead:
        found = {to: node for node in reversed(ahead) for to in after[node] if to not in came_from}
        if not found:
            return f"{origin.name!r} -> {target.name!r}"
        came_from |= found
        ahead = list(found)
    path = [origin.number]
    while path[-1] != target.number:
        path.append(came_from[path[-1]])
    names = [graph.nodes[number].name for number in [*reversed(path), target.number]]
    return " -> ".join(repr(name) for name in names)


def _changes_the_token(graph: Graph, way: Way, ways: list[Way]) -> Fault | None:
    inside = _between(graph, way.edge.target, way.edge.origin)
    speak = _speak_of(way, graph.nodes[way.edge.origin])
    back_to = graph.nodes[way.edge.target].name
    for number in sorted(inside):
        node = graph.nodes[number]
        if node.kind in (NodeKind.COALESCE, NodeKind.AGGREGATION) or expands(node):
            message = f"{speak} leads back to {back_to!r} past {title(node)}, which makes new rows of those it takes"
            remedy = f"Let the loop begin after {node.name!r}, or end before it."
            return Fault(way.edge.origin, way.place, message, remedy)
    for other in ways:
        if other.edge.mode == "fork" and other.edge.origin in inside and other.edge.target in inside:
            gate = graph.nodes[other.edge.origin]
            message = f"{speak} leads back to {back_to!r} from inside the fork at {title(gate)}"
            remedy = f"Let the loop begin after the fork, or end before {gate.name!r}."
            return Fault(way.edge.origin, way.place, message, remedy)
    return None


def _between(graph: Graph, header: int, origin: int) -> set[int]:
    """The nodes of the loop: those that come to `origin` without passing `header`, and both of them."""
    before: list[list[int]] = [[] for _ in graph.nodes]
    for edge in graph.edges:
        before[edge.target].append(edge.origin)
    return {header} if header == origin else reachable(before, origin, without=header) | {header}


def expands(node: AnyNode) -> bool:
    """Whether `node` may make several rows of one."""
    return isinstance(node, TransformNode) and node.plugin.expands
