"""Whether each node gets the fields that it needs."""

import re
from collections.abc import Iterator, Mapping

from frame.expressions import Expression
from frame.graph.faults import Fault, title
from frame.graph.knowledge import Known
from frame.graph.labels import without_texts
from frame.graph.model import AggregationNode, AnyNode, GateNode, Graph, SchemaMode, SourceNode, TransformNode
from frame.graph.schemas import Flow
from frame.graph.ways import Place
from frame.plugin.schema import FieldType, Schema, accepts


def unmet(graph: Graph, required: Mapping[int, Schema], flow: Flow) -> Iterator[Fault]:
    """Fields that a node's plugin or expression relies on and that do not come to it, or with another type.

    `required`: what the plugins of nodes ask for, by the node's number.
    """
    for node in graph.nodes[1:]:
        known = flow.incoming.get(node.number)
        if known is not None:
            yield from _needs(graph, node, required.get(node.number, Schema()), known, flow)
            yield from _reads(graph, node, known, flow)


def _needs(graph: Graph, node: AnyNode, required: Schema, known: Known, flow: Flow) -> Iterator[Fault]:
    for name, needed in required.fields.items():
        if known.misses(name):
            provider, remedy = _blame(graph, node, name, flow)
            yield Fault(node.number, (), f"{title(node)} needs field {name!r}, {provider}", remedy)
        given = known.schema.fields.get(name)
        if given is not None and not accepts(_nullable(needed), given):
            message = f"{title(node)} needs field {name!r} as {needed}, and it comes as {given}"
            yield Fault(node.number, (), message, f"Give it the type {needed} on the way to {node.name!r}.")


def _nullable(kind: FieldType) -> FieldType:
    # A field that may be null may also never be: no error for certain.
    return FieldType(kind.name, True, _nullable(kind.items) if kind.items else None)


def _reads(graph: Graph, node: AnyNode, known: Known, flow: Flow) -> Iterator[Fault]:
    for place, expression in _expressions(node):
        for name in fields_read(expression):
            if known.surely_lacks(name):
                provider, remedy = _blame(graph, node, name, flow)
                yield Fault(node.number, place, f"{title(node)} reads row.{name}, {provider}", remedy)


def _expressions(node: AnyNode) -> Iterator[tuple[Place, Expression]]:
    if isinstance(node, GateNode) and node.expression is not None:
        yield ("gate",), node.expression
    if isinstance(node, TransformNode | GateNode | AggregationNode):
        for index, clause in enumerate(node.on_error):
            if clause.when is not None:
                yield ("on_error", index, "when"), clause.when


_ASKED_FOR = re.compile(r"\bhas\(\s*row\.([A-Za-z_]\w*)")


def fields_read(expression: Expression) -> list[str]:
    """The fields of `row` that an expression cannot do without; not those that it first asks for with `has`.

    >>> fields_read(Expression.compile("row.a > 1 && has(row.b) && row.b == 'row.c'"))
    ['a']
    """
    asked_for = set(_ASKED_FOR.findall(without_texts(expression.source)))
    return [name for name in expression.fields.get("row") or () if name not in asked_for]


def _blame(graph: Graph, node: AnyNode, name: str, flow: Flow) -> tuple[str, str]:
    """Who lets field `name` not come to `node`, as the end of a message, and what would help."""
    culprit = _culprit(graph, node.number, name, flow, set())
    if isinstance(culprit, SourceNode):
        if culprit.mode is SchemaMode.OBSERVED:
            return "which the source does not provide", f"Correct the name, or take it out of {node.name!r}."
        remedy = f"Declare it in source.schema.fields, or take it out of {node.name!r}."
        return "which the source does not declare", remedy
    had_it = name in flow.incoming[culprit.number].schema.fields
    verb = "drops" if had_it else "does not provide"
    return f"which {culprit.name!r} {verb}", f"Keep it in {culprit.name!r}, or take it out of {node.name!r}."


def _culprit(graph: Graph, number: int, name: str, flow: Flow, seen: set[int]) -> AnyNode:
    """The last node on a way to `number` after which field `name` is not known any more."""
    seen.add(number)
    for way in flow.ways_in[number]:
        origin = graph.nodes[way.edge.origin]
        known = flow.along(way, graph.nodes[number])
        if known is None or name in known.schema.fields or origin.number in seen:
            continue
        if origin.number == 0:
            return origin
        before = flow.incoming[origin.number]
        if name in before.schema.fields or (known.schema.complete and not before.schema.complete):
            return origin
        return _culprit(graph, origin.number, name, flow, seen)
    return graph.nodes[number]
