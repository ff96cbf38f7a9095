"""Whether a token at a node stands on a branch that a coalesce is to join with its siblings."""

from frame.graph.forks import arrivals
from frame.graph.model import CoalesceNode, Fork, GateNode, Graph
from frame.graph.order import reachable
from frame.graph.ways import successors_of


def open_fork_at(graph: Graph, node: int) -> CoalesceNode | None:
    """The coalesce that tokens at `node` may come to as branches of a fork that was opened before; None if none."""
    ahead = reachable(successors_of(len(graph.nodes), graph.edges), node)
    for standing in arrivals(graph).standings[node]:
        if standing.fork is None or standing.broken_by is not None:
            continue
        gate, label = standing.fork
        forking = graph.nodes[gate]
        fork = forking.routes[label] if isinstance(forking, GateNode) else None
        if isinstance(fork, Fork) and fork.joins_at is not None and fork.joins_at in ahead:
            join = graph.nodes[fork.joins_at]
            assert isinstance(join, CoalesceNode)
            return join
    return None
