"""compute and filter: what CEL expressions say of a row."""

import pytest
from frame.errors import ExpressionError
from frame.plugin import Drop, FieldType, Schema
from frame.rows import freeze
from frame_std.transforms.compute import Compute
from frame_std.transforms.filter import Filter
from pydantic import ValidationError

ROW = freeze({"a": 7, "b": 2, "name": "x", "none": None})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"c": "row.a - row.b"}, {"c": 5}),
        ({"a": "row.a + 1"}, {"a": 8}),
        ({"c": "row.none == null"}, {"c": True}),
        ({"c": "row.none"}, {"c": None}),
        ({"c": "[row.a, row.b]"}, {"c": [7, 2]}),
        ({"c": "row.name + '!'", "d": "1.5"}, {"c": "x!", "d": 1.5}),
    ],
)
def test_compute_adds_and_replaces_fields(fields, expected, context):
    result = Compute(Compute.Config(set=fields)).process(ROW, context)

    assert result == {**ROW, **expected}


def test_every_expression_sees_the_row_as_it_came_in(context):
    swap = Compute(Compute.Config(set={"a": "row.b", "b": "row.a"}))

    assert swap.process(ROW, context) == {**ROW, "a": 2, "b": 7}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"set": {"c": "row.a / 0"}}, "for field 'c'"),
        ({"set": {"c": "row.nowhere"}}, "for field 'c'"),
        ({"set": {"c": "row.name - 1"}}, "for field 'c'"),
        ({"set": {"c": "row.a"}, "types": {"c": "str"}}, "gives int for field 'c', which should be str"),
        ({"set": {"c": "row.none"}, "types": {"c": "int"}}, "gives null for field 'c', which should be int"),
        ({"set": {"c": "1.0 / 0.0"}}, "field 'c'"),
    ],
)
def test_a_row_that_cannot_be_computed_fails_and_names_the_field(options, message, context):
    compute = Compute(Compute.Config(**options))

    with pytest.raises(ExpressionError, match=message):
        compute.process(ROW, context)


def test_declared_types_are_what_later_nodes_can_rely_on():
    compute = Compute(Compute.Config(set={"c": "row.a", "d": "row.b"}, types={"c": "int"}))

    provided = compute.provides(Schema({"a": FieldType("int")}, complete=True))

    assert {name: str(kind) for name, kind in provided.fields.items()} == {
        "a": "int",
        "c": "int",
        "d": "any?",
    }
    assert provided.complete


def test_an_int_will_do_where_a_float_is_declared(context):
    compute = Compute(Compute.Config(set={"c": "row.a"}, types={"c": "float"}))

    assert compute.process(ROW, context)["c"] == 7


def test_filter_passes_the_very_row_and_drops_the_others(context):
    keep = Filter(Filter.Config(where="row.a > 5"))
    drop = Filter(Filter.Config(where="row.a > 9", reason="too small"))

    assert keep.process(ROW, context) is ROW
    assert drop.process(ROW, context) == Drop("too small")
    assert Filter(Filter.Config(where="false")).process(ROW, context) == Drop("not (false)")


@pytest.mark.parametrize("where", ["row.a", "null", "'true'", "row.nowhere == 1", "row.none > 1"])
def test_a_condition_that_fails_never_lets_a_row_pass(where, context):
    with pytest.raises(ExpressionError):
        Filter(Filter.Config(where=where)).process(ROW, context)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (Compute.Config, {"set": {}}, "at least 1"),
        (Compute.Config, {"set": {"c": "row.a +"}}, "row.a"),
        (
            Compute.Config,
            {"set": {"c": "1"}, "types": {"d": "int"}},
            "types names 'd', which set does not compute",
        ),
        (Compute.Config, {"set": {"c": "1"}, "types": {"c": "integer"}}, "'integer' is not a field type"),
        (Filter.Config, {"where": "("}, "where"),
        (Filter.Config, {}, "Field required"),
    ],
)
def test_wrong_expressions_and_types_are_refused_when_the_pipeline_is_built(config, options, message):
    with pytest.raises(ValidationError, match=message):
        config(**options)
