"""Everything that keeps a graph from running. What passes here, a run can execute."""

from collections.abc import Callable, Collection

from frame.graph.back_edges import bad_loops
from frame.graph.faults import Fault
from frame.graph.forks import bad_forks
from frame.graph.joins import bad_joins
from frame.graph.labels import bad_labels
from frame.graph.model import GateNode, Graph
from frame.graph.outlets import bad_fallbacks, shared_files
from frame.graph.reachability import endless, misdirected, unreachable


def says_nothing(gate: GateNode) -> None:
    """The labels of a gate plugin that cannot tell them before it has seen the data."""


def faults(
    graph: Graph, labels_of: Callable[[GateNode], Collection[str] | None] = says_nothing
) -> list[Fault]:
    """What is wrong with `graph`; empty if it can run. `labels_of`: the labels that a gate plugin can give, or None."""
    return [*local_faults(graph, labels_of), *flow_faults(graph)]


def local_faults(graph: Graph, labels_of: Callable[[GateNode], Collection[str] | None]) -> list[Fault]:
    """What is wrong with single nodes, wherever their ways lead."""
    return [*bad_labels(graph, labels_of), *bad_fallbacks(graph), *shared_files(graph)]


def flow_faults(graph: Graph) -> list[Fault]:
    """What is wrong with the ways that rows take."""
    found = [
        *misdirected(graph),
        *unreachable(graph),
        *bad_loops(graph),
        *bad_forks(graph),
        *bad_joins(graph),
    ]
    # A cycle that cannot be has no way out either; that it cannot be has been said.
    return found or list(endless(graph))
