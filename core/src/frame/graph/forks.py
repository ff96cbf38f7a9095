"""Which branches of a fork can come to which coalesce.

Every node gets the set of standings in which a token can be there: outside of all forks, or on branch i of fork F.
A fork gives its children standings of their own; a coalesce gives the merged token the standing that the forked
one had. What makes new tokens in between (an expansion, a batch) breaks a standing: those tokens are no branch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from frame.graph.back_edges import expands
from frame.graph.faults import Fault, listing, title
from frame.graph.model import (
    AggregationNode,
    AnyNode,
    BatchMode,
    CoalesceNode,
    Fork,
    GateNode,
    Graph,
)
from frame.graph.ways import edges_of, ways_out

ForkId = tuple[int, str]
"""A gate's number and the route that is the fork."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a token stands: on `branch` of `fork`, or outside (None). `broken_by`: what made it no branch."""

    fork: ForkId | None = None
    branch: int = -1
    broken_by: int | None = None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """`standings[node]`: how tokens can stand there; `origins[node][standing]`: from which nodes."""

    standings: Mapping[int, frozenset[Standing]]
    origins: Mapping[int, Mapping[Standing, frozenset[int]]]

    def branches(self, coalesce: int) -> Mapping[ForkId, frozenset[int]]:
        """The forks that feed `coalesce`, each with the branches that can come there whole."""
        found: dict[ForkId, set[int]] = {}
        for standing in self.standings.get(coalesce, frozenset()):
            if standing.fork is not None and standing.broken_by is None:
                found.setdefault(standing.fork, set()).add(standing.branch)
        return {fork: frozenset(branches) for fork, branches in sorted(found.items())}


def arrivals(graph: Graph) -> Arrivals:
    """How tokens can stand at every node. Ways back are left out: a loop changes no standing."""
    came: dict[int, dict[Standing, set[int]]] = {node.number: {} for node in graph.nodes}
    came[0][Standing()] = set()
    for node in graph.nodes:
        here = frozenset(came[node.number])
        for target, standing in _leaving(graph.nodes, node, here, came):
            if target > node.number:
                came[target].setdefault(standing, set()).add(node.number)
    return Arrivals(
        {number: frozenset(found) for number, found in came.items()},
        {
            number: {standing: frozenset(origins) for standing, origins in found.items()}
            for number, found in came.items()
        },
    )


def _leaving(
    nodes: Sequence[AnyNode],
    node: AnyNode,
    here: frozenset[Standing],
    came: Mapping[int, Mapping[Standing, set[int]]],
) -> Iterator[tuple[int, Standing]]:
    after = _after(node, here, came)
    for way in ways_out(node):
        if way.edge.mode == "fork" and isinstance(node, GateNode):
            fork = node.routes[way.edge.label]
            assert isinstance(fork, Fork)
            branch = next(i for i, each in enumerate(fork.branches) if each.to.node == way.edge.target)
            if here:
                yield way.edge.target, Standing((node.number, way.edge.label), branch)
        else:
            # A failed token leaves as it came: what would have been made of it has not been made.
            for standing in here if way.edge.label == "on_error" and way.place[0] == "on_error" else after:
                yield way.edge.target, standing


def _after(
    node: AnyNode, here: frozenset[Standing], came: Mapping[int, Mapping[Standing, set[int]]]
) -> frozenset[Standing]:
    """How tokens stand that `node` has worked on."""
    match node:
        case CoalesceNode():
            gates = {standing.fork[0] for standing in here if standing.fork is not None}
            return frozenset(standing for gate in gates for standing in came[gate])
        case AggregationNode(mode=BatchMode.TRANSFORM):
            return frozenset(_broken(standing, node.number) for standing in here)
        case _ if expands(node):
            return frozenset(_broken(standing, node.number) for standing in here)
        case _:
            return here


def _broken(standing: Standing, by: int) -> Standing:
    if standing.fork is None or standing.broken_by is not None:
        return standing
    return replace(standing, broken_by=by)


def with_joins(graph: Graph) -> Graph:
    """`graph` with every fork knowing where its branches meet again, and with its edges made anew."""
    found = arrivals(graph)
    joins: dict[ForkId, tuple[int, frozenset[int]]] = {}
    for node in graph.nodes:
        if isinstance(node, CoalesceNode):
            for fork, branches in found.branches(node.number).items():
                joins.setdefault(fork, (node.number, branches))
    nodes = tuple(_joined(node, joins) if isinstance(node, GateNode) else node for node in graph.nodes)
    return replace(graph, nodes=nodes, edges=edges_of(nodes))


def _joined(gate: GateNode, joins: Mapping[ForkId, tuple[int, frozenset[int]]]) -> GateNode:
    routes = dict(gate.routes)
    for label, destination in gate.routes.items():
        if isinstance(destination, Fork):
            joins_at, expected = joins.get((gate.number, label), (None, frozenset()))
            routes[label] = replace(destination, joins_at=joins_at, expected=expected)
    return replace(gate, routes=routes)


# --- What can be wrong ----------------------------------------------------------------------------------------


def bad_forks(graph: Graph) -> Iterator[Fault]:
    """Forks with branches that are not distinct, or that meet at more than one coalesce."""
    found = arrivals(graph)
    met_at: dict[ForkId, list[CoalesceNode]] = {}
    for node in graph.nodes:
        if isinstance(node, CoalesceNode):
            for fork in found.branches(node.number):
                met_at.setdefault(fork, []).append(node)
        if isinstance(node, GateNode):
            yield from _few_branches(graph, node)
    for (number, label), coalesces in met_at.items():
        if len(coalesces) > 1:
            names = listing(coalesce.name for coalesce in coalesces)
            message = f"the branches of the fork meet at {names}, and a fork has one coalesce at most"
            yield Fault(
                number, ("routes", label), message, "Let all branches that meet meet at the same coalesce."
            )


def _few_branches(graph: Graph, gate: GateNode) -> Iterator[Fault]:
    for label, destination in gate.routes.items():
        if not isinstance(destination, Fork):
            continue
        targets = [branch.to.node for branch in destination.branches]
        if len(targets) < 2:
            remedy = "Name a second target, or the one target without brackets."
            yield Fault(gate.number, ("routes", label), "a fork has at least two branches", remedy)
        for target in sorted({target for target in targets if targets.count(target) > 1}):
            message = f"two branches of the fork go to {title(graph.nodes[target])}"
            yield Fault(gate.number, ("routes", label), message, "Each branch goes to another place.")
