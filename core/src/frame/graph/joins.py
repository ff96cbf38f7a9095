"""Whether the rows that come to a coalesce are the branches of one fork."""

from collections.abc import Iterator

from frame.graph.faults import Fault, listing, title
from frame.graph.forks import Arrivals, ForkId, Standing, arrivals
from frame.graph.model import CoalesceNode, Fork, GateNode, Graph, MergeHow, MergePolicy


def bad_joins(graph: Graph) -> Iterator[Fault]:
    """Coalesces that do not join the branches of exactly one fork, or ask for branches that cannot come."""
    found = arrivals(graph)
    for node in graph.nodes:
        if isinstance(node, CoalesceNode) and found.standings[node.number]:
            faults = list(_strangers(graph, node, found))
            yield from faults or _wishes(graph, node, found)


def _strangers(graph: Graph, node: CoalesceNode, found: Arrivals) -> Iterator[Fault]:
    whole = found.branches(node.number)
    for standing, origins in _by_origin(found, node.number):
        if standing.fork is None:
            names = listing(graph.nodes[origin].name for origin in sorted(origins))
            message = f"rows come to {title(node)} from {names} without having been forked"
            yield Fault(
                node.number, (), message, "Only the branches of a fork can be joined: send them elsewhere."
            )
        elif standing.broken_by is not None:
            breaker = graph.nodes[standing.broken_by]
            message = (
                f"{title(breaker)} stands between {_speak_of(graph, standing.fork)} and {title(node)}, "
                f"and the rows that it makes are no branches of the fork any more"
            )
            remedy = f"Move {breaker.name!r} before the fork or after {node.name!r}."
            yield Fault(node.number, (), message, remedy)
    if len(whole) > 1:
        yield _several_forks(graph, node, found, list(whole))


def _by_origin(found: Arrivals, node: int) -> list[tuple[Standing, frozenset[int]]]:
    """The standings at `node`, but of several that one thing has broken only the first."""
    seen: set[tuple[ForkId | None, int | None]] = set()
    result = []
    for standing, origins in sorted(
        found.origins[node].items(), key=lambda item: (sorted(item[1]), item[0].branch)
    ):
        if (standing.fork, standing.broken_by) not in seen:
            seen.add((standing.fork, standing.broken_by))
            result.append((standing, origins))
    return result


def _several_forks(graph: Graph, node: CoalesceNode, found: Arrivals, forks: list[ForkId]) -> Fault:
    for inner in forks:
        for standing in found.standings[inner[0]]:
            if standing.fork in forks:
                message = (
                    f"{_speak_of(graph, inner)} is still open where its branches come to {title(node)}, "
                    f"which joins {_speak_of(graph, standing.fork)}"
                )
                remedy = (
                    f"Join the branches of {graph.nodes[inner[0]].name!r} in a coalesce of their own first."
                )
                return Fault(node.number, (), message, remedy)
    speak = " and ".join(_speak_of(graph, fork) for fork in forks)
    message = f"{title(node)} joins branches of {len(forks)} forks: {speak}"
    return Fault(node.number, (), message, "Give each fork a coalesce of its own.")


def _speak_of(graph: Graph, fork: ForkId) -> str:
    return f"the fork at {graph.nodes[fork[0]].name!r} (route {fork[1]!r})"


def _wishes(graph: Graph, node: CoalesceNode, found: Arrivals) -> Iterator[Fault]:
    (fork, expected), *_ = found.branches(node.number).items()
    names = branch_names(graph, fork)
    coming = [names[index] for index in sorted(expected)]
    if len(coming) == 1:
        message = f"only branch {coming[0]!r} of {_speak_of(graph, fork)} comes to {title(node)}"
        yield Fault(node.number, (), message, "Lead another branch there, or take the coalesce out.")
    elif node.policy is MergePolicy.QUORUM and not 1 <= (node.quorum or 0) <= len(coming):
        message = f"quorum is {node.quorum}, and {len(coming)} branches can come: {listing(coming)}"
        remedy = f"Choose a quorum from 1 to {len(coming)}."
        yield Fault(node.number, ("coalesce", "quorum"), message, remedy)
    if node.how is MergeHow.SELECT and node.select not in coming:
        message = f"select names {node.select!r}, and these branches come here: {listing(coming)}"
        remedy = "A branch is called after its first node: name one of these."
        yield Fault(node.number, ("coalesce", "select"), message, remedy)


def branch_names(graph: Graph, fork: ForkId) -> tuple[str, ...]:
    """What the branches of `fork` are called, in order."""
    gate = graph.nodes[fork[0]]
    assert isinstance(gate, GateNode)
    destination = gate.routes[fork[1]]
    assert isinstance(destination, Fork)
    return tuple(branch.name for branch in destination.branches)
