"""What keeps a graph from running, before it is known where in a file that stands."""

from collections.abc import Iterable
from dataclasses import dataclass

from frame.graph.model import AnyNode, NodeKind
from frame.graph.ways import Place


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with node number `node`, at `place` in its part of the file."""

    node: int
    place: Place
    message: str
    remedy: str = ""


def title(node: AnyNode) -> str:
    """The node as a message speaks of it.

    >>> from frame.graph.model import CoalesceNode, MergeHow, MergePolicy, OnCollision, To
    >>> title(CoalesceNode(3, "join", MergePolicy.FIRST, None, None, MergeHow.UNION, OnCollision.LAST, None, To(4)))
    "coalesce 'join'"
    """
    return "the source" if node.kind is NodeKind.SOURCE else f"{node.kind} {node.name!r}"


def listing(names: Iterable[str], last: str = "and") -> str:
    """Names in quotes, as a sentence lists them.

    >>> listing(["a", "b", "c"]), listing(["a"])
    ("'a', 'b' and 'c'", "'a'")
    """
    *head, tail = [repr(name) for name in names]
    return f"{', '.join(head)} {last} {tail}" if head else tail
