"""What is known of rows on their way, and which pipelines are refused because a field cannot be there."""

from typing import Any

import pytest
from frame.graph.schemas import schemas
from frame.plugin import Schema

from tests.unit.graph_examples import (
    TYPED,
    compiled,
    forked,
    gate,
    gather,
    join,
    out,
    refused,
    step,
)


def known(nodes: list[dict[str, Any]], sinks: dict[str, Any] | None = None, **top: Any) -> dict[str, str]:
    """What is known of the rows that come to each node, as text."""
    graph = compiled(nodes, sinks, **{"source": TYPED, **top})
    found = schemas(graph)
    return {node.name: written(found[node.number]) for node in graph.nodes[1:]}


def written(schema: Schema) -> str:
    text = " ".join(f"{name}:{kind}" for name, kind in sorted(schema.fields.items()))
    return f"{text} only" if schema.complete else text


def test_knowledge_flows_through_transforms_and_gates():
    nodes = [
        step("s", options={"drops": ["b"], "adds": {"c": "float"}}),
        gate("g", routes={"true": "continue", "false": "discard"}),
        step("t", options={"keeps": ["c"]}),
    ]

    assert known(nodes) == {
        "s": "a:int b:str",
        "g": "a:int c:float",
        "t": "a:int c:float",
        "out": "c:float only",
    }


def test_rows_of_an_aggregation_are_what_it_says():
    assert known([gather("g", gives={"mean": "float"})]) == {"g": "a:int b:str", "out": "mean:float only"}


def test_where_ways_meet_only_what_all_of_them_know_is_left():
    nodes = [
        gate("g", routes={"true": "x", "false": "y"}),
        step("x", options={"adds": {"c": "int", "d": "int"}}, to="z"),
        step("y", options={"drops": ["b"], "adds": {"c": "float", "d": "str?"}}),
        step("z"),
    ]

    assert known(nodes)["z"] == "a:int c:float d:any?"


def test_a_loop_takes_away_what_is_not_there_on_every_turn():
    nodes = [
        step("first"),
        step("head", options={"adds": {"n": "int"}}),
        step("body", options={"drops": ["b"]}),
        gate("again", routes={"true": "head", "false": "out"}),
    ]

    assert known(nodes) == {
        "first": "a:int b:str",
        "head": "a:int",
        "body": "a:int n:int",
        "again": "a:int n:int",
        "out": "a:int n:int",
    }


def test_a_failed_row_comes_as_it_was_and_with_its_error():
    nodes = [step("s", options={"drops": ["a"]}, to="out", on_error="bad")]

    found = known(nodes, {"out": out(), "bad": out()})

    assert found == {"s": "a:int b:str", "out": "b:str", "bad": "_error:object a:int b:str"}


def test_a_failed_row_carries_no_error_into_a_sink_that_wants_none():
    nodes = [step("s", to="out", on_error="bad")]

    assert known(nodes, {"out": out(), "bad": out(error_field=None)})["bad"] == "a:int b:str"


def test_nothing_is_known_of_invalid_rows():
    source = {**TYPED, "on_invalid": "bad"}

    assert known([step("s", to="out")], {"out": out(), "bad": out()}, source=source)["bad"] == "_error:object"


FORK = [
    forked("f", "x", "y"),
    step("x", options={"drops": ["b"], "adds": {"c": "int", "e": "int"}}, to="j"),
    step("y", options={"adds": {"d": "int", "e": "str"}}, to="j"),
]


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ({}, "a:int b:any? c:any? d:any? e:any?"),
        ({"policy": "first"}, "a:int e:any?"),
        ({"policy": "quorum", "quorum": 1}, "a:int e:any?"),
        ({"merge": "nested"}, "x:object y:object only"),
        ({"merge": "nested", "policy": "first"}, ""),
        ({"merge": "select", "select": "y"}, "a:int b:str d:int e:str"),
        ({"merge": "select", "select": "y", "policy": "first"}, "a:int e:any?"),
    ],
)
def test_what_a_join_guarantees_depends_on_its_policy_and_merge(merge: dict[str, Any], expected: str):
    assert known([*FORK, join("j", **merge)])["out"] == expected


def test_a_join_of_branches_that_are_wholly_known_keeps_their_types():
    source = {"schema": {"mode": "fixed", "fields": {"a": "int", "b": "str"}}}
    nodes = [
        forked("f", "x", "y"),
        step("x", options={"keeps": ["a"]}, to="j"),
        step("y", options={"keeps": ["b"]}, to="j"),
        join("j"),
    ]

    assert known(nodes, source=source)["out"] == "a:int b:str only"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"schema": {"mode": "fixed", "fields": {"a": "int"}}}, "a:int only"),
        ({"schema": {"mode": "flexible", "fields": {"a": "int"}}}, "a:int"),
        ({"schema": {"mode": "observed"}}, ""),
        ({"options": {"gives": {"z": "str"}, "complete": True}}, "z:str only"),
        ({"options": {"gives": {"a": "str", "z": "str"}}, "schema": {"fields": {"a": "int"}}}, "a:int z:str"),
        ({"options": {"gives": {"Z": "str"}}, "normalize": True}, ""),
    ],
)
def test_what_is_known_at_the_source_depends_on_its_schema(source: dict[str, Any], expected: str):
    assert known([], source=source)["out"] == expected


def test_what_a_text_source_gives_is_not_known_before_it_was_seen():
    source = {"plugin": "lines", "options": {"gives": {"a": "str"}, "complete": True}}

    assert known([], source=source)["out"] == "a:any? only"
    assert known([], source={**source, "schema": {"fields": {"b": "int"}}})["out"] == "a:str b:int only"


def needing(name: str, **needed: str) -> dict[str, Any]:
    return step(name, options={"needs": needed})


FIXED = {"schema": {"mode": "fixed", "fields": {"a": "int", "b": "str"}}}
BAD: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "a field that the source does not declare": (
        [needing("gain", price="int")],
        TYPED,
        "nodes[0] (gain): transform 'gain' needs field 'price', which the source does not declare",
    ),
    "a field that a transform drops": (
        [
            step("clean", options={"drops": ["b"]}),
            gate("g", routes={"true": "continue", "false": "out"}),
            needing("gain", b="str"),
        ],
        TYPED,
        "nodes[2] (gain): transform 'gain' needs field 'b', which 'clean' drops",
    ),
    "a field that a transform does not keep": (
        [step("clean", options={"keeps": ["x"]}), needing("gain", price="any")],
        {"schema": {"mode": "observed"}},
        "nodes[1] (gain): transform 'gain' needs field 'price', which 'clean' does not provide",
    ),
    "a field that is there on one way only": (
        [
            gate("g", routes={"true": "x", "false": "gain"}),
            step("x", options={"drops": ["a"]}),
            needing("gain", a="int"),
        ],
        FIXED,
        "nodes[2] (gain): transform 'gain' needs field 'a', which 'x' drops",
    ),
    "a field of another type": (
        [needing("gain", b="int?")],
        TYPED,
        "nodes[0] (gain): transform 'gain' needs field 'b' as int?, and it comes as str",
    ),
    "an expression that reads what cannot be there": (
        [gate("g", "row.nope > 1", routes={"true": "out", "false": "discard"})],
        FIXED,
        "nodes[0] (g).gate: gate 'g' reads row.nope, which the source does not declare",
    ),
    "a clause that reads what cannot be there": (
        [step("s", on_error=[{"when": "row.nope == 1", "to": "discard"}])],
        FIXED,
        "nodes[0] (s).on_error[0].when: transform 's' reads row.nope, which the source does not declare",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_field_that_cannot_come_is_a_problem_that_names_both_nodes(case: str):
    nodes, source, expected = BAD[case]

    assert refused(nodes, source=source) == [expected]


GOOD: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "anything, when the source only observes": (
        [needing("gain", price="int")],
        {"schema": {"mode": "observed"}},
    ),
    "a field that an earlier plugin may have added": ([step("s"), needing("gain", price="int")], TYPED),
    "a field after a plugin that says nothing": (
        [step("s", options={"silent": True}), needing("gain", a="str")],
        TYPED,
    ),
    "an int where a float will do": ([needing("gain", a="float")], TYPED),
    "a field that may be null and need not be": (
        [needing("gain", a="int")],
        {"schema": {"fields": {"a": "int?"}}},
    ),
    "a field that comes as anything": ([needing("gain", a="int")], {"schema": {"fields": {"a": "any"}}}),
    "a field that the expression asks for first": (
        [gate("g", "has(row.nope) && row.nope > 1", routes={"true": "out", "false": "discard"})],
        FIXED,
    ),
    "an expression on a field that was not declared": (
        [gate("g", "row.nope > 1", routes={"true": "out", "false": "discard"})],
        TYPED,
    ),
    "a field that was dropped and added again": (
        [
            step("s", options={"drops": ["b"]}),
            step("t", options={"adds": {"b": "int"}}),
            needing("gain", b="int"),
        ],
        TYPED,
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_only_what_is_certain_is_a_problem(case: str):
    nodes, source = GOOD[case]

    assert refused(nodes, source=source) == []


def test_a_sink_that_needs_what_is_dropped_is_refused_with_a_remedy():
    sinks = {"archive": out(options={"needs": {"b": "str"}})}

    found = refused([step("clean", options={"keeps": ["a"]})], sinks, source=TYPED)

    assert found == ["sinks.archive: sink 'archive' needs field 'b', which 'clean' drops"]
