"""Whether a gate has a route for every label that it can give, and for no other."""

import re
from collections.abc import Callable, Collection, Iterator

from frame.graph.faults import Fault, listing, title
from frame.graph.model import GateNode, Graph

TRUTH_VALUES = frozenset({"true", "false"})


def bad_labels(graph: Graph, labels_of: Callable[[GateNode], Collection[str] | None]) -> Iterator[Fault]:
    """Gates whose routes do not fit their labels. `labels_of`: what a gate plugin says it can give, or None."""
    for node in graph.nodes:
        if isinstance(node, GateNode):
            if not node.routes:
                yield Fault(
                    node.number, ("routes",), f"{title(node)} has no routes", "Say where each label leads."
                )
            elif node.plugin is None:
                yield from _expression_routes(node, node.expression.source if node.expression else "")
            else:
                labels = labels_of(node)
                if labels is not None:
                    yield from _exactly(node, labels, "the plugin gives")


def _expression_routes(node: GateNode, source: str) -> Iterator[Fault]:
    if gives_truth(source) or TRUTH_VALUES & node.routes.keys():
        yield from _exactly(node, TRUTH_VALUES, "the expression gives")


def _exactly(node: GateNode, labels: Collection[str], giver: str) -> Iterator[Fault]:
    for label in sorted(labels - node.routes.keys(), reverse=labels == TRUTH_VALUES):
        remedy = f'Add it, as in `"{label}": discard`; labels: {listing(sorted(labels))}.'
        yield Fault(
            node.number, ("routes",), f"{title(node)} has no route for {label!r}, which {giver}", remedy
        )
    for label in node.routes:
        if label not in labels:
            message = f"{title(node)} has a route for {label!r}, and {giver} only {listing(sorted(labels))}"
            yield Fault(node.number, ("routes", label), message, "Take the route out, or correct its label.")


_TEXT = re.compile(
    r"""[rRbB]{0,2}(\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""", re.DOTALL
)
_TRUTH = re.compile(r"==|!=|<=|>=|<|>|&&|\|\||(?<![\w.])in(?!\w)")


def without_texts(source: str) -> str:
    """`source` with the texts in it emptied, so that what is left is code."""
    return _TEXT.sub('""', source)


def gives_truth(source: str) -> bool:
    """Whether an expression can give nothing but true or false: a comparison or a combination of some.

    >>> gives_truth("row.a > 1 && row.b"), gives_truth("row.a > 1 ? 'x' : 'y'"), gives_truth("row.kind")
    (True, False, False)
    """
    outermost, depth = [], 0
    for character in without_texts(source):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            outermost.append(character)
    code = "".join(outermost)
    return "?" not in code and (bool(_TRUTH.search(code)) or code.strip().startswith("!"))
