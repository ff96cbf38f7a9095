"""Laws of graphs: what is accepted can be walked to its end, and what is well-formed is accepted."""

import random
from collections.abc import Sequence

from frame.errors import ConfigError
from frame.graph.knowledge import Known, meet, unite
from frame.graph.model import (
    AggregationNode,
    AnyNode,
    BatchMode,
    CoalesceNode,
    Destination,
    Fork,
    GateNode,
    Graph,
    SinkNode,
    To,
    TransformNode,
)
from frame.graph.order import graph_order, loops, reachable
from frame.graph.render import mermaid
from frame.graph.validate import faults
from frame.plugin import FieldType, Schema
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.graph_pipelines import Nodes, bend, pipelines, pruned, sinks_reached
from tests.unit.graph_examples import compiled

# --- Pipelines ------------------------------------------------------------


@given(pipelines())
def test_a_well_formed_pipeline_is_accepted_in_whatever_order_it_is_written(made: tuple[Nodes, str]):
    nodes, first = made

    graph = compiled(nodes, sinks_reached(nodes), source={"to": first})

    assert faults(graph) == []
    assert [node.number for node in graph.nodes] == list(range(len(graph.nodes)))
    assert all(edge.target > edge.origin for edge in graph.edges if edge.mode != "loop")
    assert all(isinstance(node, SinkNode) for node in graph.nodes[-len(graph.sinks) :])
    assert mermaid(graph) == mermaid(compiled(nodes, sinks_reached(nodes), source={"to": first}))


@given(pipelines(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_what_is_accepted_after_ways_were_bent_can_be_walked(
    made: tuple[Nodes, str], chance: random.Random, bends: int
):
    nodes, first = made
    order = [node.name for node in compiled(nodes, sinks_reached(nodes), source={"to": first}).nodes]
    for _ in range(bends):
        bend(nodes, order, chance)
    nodes = pruned(nodes, first)

    try:
        graph = compiled(nodes, sinks_reached(nodes), source={"to": first})
    except ConfigError:
        return

    for _ in range(20):
        walk(graph, chance)


Stack = tuple[tuple[int, str, int], ...]
"""The forks around a token, innermost last: gate, label, branch."""


def walk(graph: Graph, chance: random.Random) -> None:
    """Follow a row and all that is made of it, by chance, to every end; fail where the graph breaks its word.

    Forks are remembered as a stack, which the compiler does not do.
    """
    tokens: list[tuple[int, Stack]] = [(graph.source.to.node, ())]
    joined: set[tuple[int, Stack]] = set()
    for turn in range(1_000):
        if not tokens:
            return
        number, stack = tokens.pop()
        node = graph.nodes[number]
        if isinstance(node, CoalesceNode):
            gate_number, label, branch = stack[-1]
            fork = graph.nodes[gate_number].routes[label]
            assert (fork.joins_at, branch in fork.expected) == (number, True)
            if (number, stack[:-1]) in joined:
                continue
            joined.add((number, stack[:-1]))
            stack = stack[:-1]
        tokens += _moves(node, stack, chance, may_loop=turn < 100)


def _moves(node: AnyNode, stack: Stack, chance: random.Random, may_loop: bool) -> list[tuple[int, Stack]]:
    match node:
        case SinkNode():
            return []
        case GateNode():
            return _routed(node, stack, chance, may_loop)
        case AggregationNode(mode=BatchMode.TRANSFORM):
            return [(_onward(node, node.to), ())]
        case TransformNode() if (
            node.on_error and isinstance(node.on_error[0].to, To) and chance.random() < 0.2
        ):
            return [(_onward(node, node.on_error[0].to), stack)] if may_loop else []
        case TransformNode() if node.plugin.expands:
            return [(_onward(node, node.to), ())]
    return [(_onward(node, node.to), stack)]


def _routed(gate: GateNode, stack: Stack, chance: random.Random, may_loop: bool) -> list[tuple[int, Stack]]:
    labels = [label for label in sorted(gate.routes) if may_loop or not _bounded(gate.routes[label])]
    label = chance.choice(labels) if labels else ""
    match gate.routes.get(label):
        case Fork(branches):
            marks = [(*stack, (gate.number, label, index)) for index in range(len(branches))]
            return [(_onward(gate, branch.to), mark) for branch, mark in zip(branches, marks, strict=True)]
        case To() as to:
            return [(_onward(gate, to), stack)]
    return []


def _bounded(destination: Destination) -> bool:
    return isinstance(destination, To) and destination.loop_max is not None


def _onward(node: AnyNode, to: To) -> int:
    """Where `to` leads: only a way back that is counted may lead back, so every journey ends."""
    assert to.node > node.number or (to.loop_max and isinstance(node, GateNode | TransformNode))
    assert to.node > node.number or not isinstance(node, TransformNode) or to is not node.to
    return to.node


# --- Order ----------------------------------------------------------------------------------------------------

successors = st.integers(1, 7).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size)
)


@given(successors)
def test_loops_are_the_edges_to_a_node_that_every_simple_path_to_their_origin_passes(after: list[list[int]]):
    paths: dict[int, list[tuple[int, ...]]] = {}
    ahead: list[tuple[int, ...]] = [(0,)]
    while ahead:
        path = ahead.pop()
        paths.setdefault(path[-1], []).append(path)
        ahead += [(*path, to) for to in set(after[path[-1]]) if to not in path]

    expected = {(o, t) for o in paths for t in after[o] if all(t in path for path in paths[o])}

    assert loops(after) == expected


@given(successors)
def test_the_order_has_every_node_once_and_only_cycles_lead_back(after: list[list[int]]):
    order = graph_order(after)

    place = {node: index for index, node in enumerate(order)}
    assert sorted(order) == list(range(len(after)))
    for origin, targets in enumerate(after):
        for target in targets:
            assert place[origin] < place[target] or origin in reachable(after, target)


# --- Knowledge ------------------------------------------------------------------------------------------------

types = st.sampled_from([FieldType("int"), FieldType("float"), FieldType("str"), FieldType("int", True)])
knowns = st.builds(
    Known,
    st.builds(Schema, st.dictionaries(st.sampled_from("abc"), types), st.booleans()),
    st.booleans(),
    st.just(frozenset()),
)


@given(knowns, knowns, knowns)
def test_what_is_left_where_ways_meet_does_not_depend_on_their_order(one: Known, other: Known, third: Known):
    assert meet(one, one) == one
    assert meet(one, other) == meet(other, one)
    assert (
        meet(meet(one, other), third).schema.fields.keys()
        == meet(one, meet(other, third)).schema.fields.keys()
    )


@given(st.lists(knowns, min_size=1, max_size=3))
def test_united_branches_have_the_fields_of_all(branches: Sequence[Known]):
    together = unite(branches)

    assert together.schema.fields.keys() == {name for branch in branches for name in branch.schema.fields}
    assert together.schema.complete == all(branch.schema.complete for branch in branches)
