"""select, rename, explode: the fields of a row, taken apart and put together."""

import pytest
from frame.errors import MissingField, WrongType
from frame.plugin import Drop, Expand, Fail, FieldType, Schema
from frame.rows import freeze
from frame_std.transforms.explode import Explode
from frame_std.transforms.rename import Rename
from frame_std.transforms.select import Select
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

INT = FieldType("int")
ROW = freeze({"a": 1, "b": None, "c": "x"})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fields": ["c", "a"]}, [("c", "x"), ("a", 1)]),
        ({"fields": ["b"]}, [("b", None)]),
        ({"drop": ["b"]}, [("a", 1), ("c", "x")]),
        ({"drop": ["b", "not there"]}, [("a", 1), ("c", "x")]),
        ({"drop": ["a", "b", "c"]}, []),
    ],
)
def test_select_keeps_and_drops_fields_in_the_order_asked_for(options, expected, context):
    select = Select(Select.Config(**options))

    result = select.process(ROW, context)

    assert list(result.items()) == expected


def test_select_fails_a_row_that_lacks_a_field_to_keep(context):
    select = Select(Select.Config(fields=["a", "z"]))

    with pytest.raises(MissingField, match="no field 'z', which node 'here' needs"):
        select.process(ROW, context)


def test_select_knows_exactly_which_fields_leave():
    incoming = Schema({"a": INT, "b": INT}, complete=True)

    assert Select(Select.Config(fields=["b"])).provides(incoming) == Schema({"b": INT}, complete=True)
    assert Select(Select.Config(drop=["b"])).provides(incoming) == Schema({"a": INT}, complete=True)
    assert set(Select(Select.Config(fields=["b"])).requires().fields) == {"b"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"a": "z"}, {"z": 1, "b": None, "c": "x"}),
        ({"a": "c", "c": "a"}, {"c": 1, "b": None, "a": "x"}),
        ({"a": "b", "b": "c", "c": "a"}, {"b": 1, "c": None, "a": "x"}),
        ({"a": "a"}, {"a": 1, "b": None, "c": "x"}),
    ],
)
def test_rename_changes_all_names_at_once(names, expected, context):
    rename = Rename(Rename.Config(fields=names))

    result = rename.process(ROW, context)

    assert result == expected
    assert list(result) == list(expected)


def test_rename_refuses_a_name_that_the_row_already_has(context):
    rename = Rename(Rename.Config(fields={"a": "c"}))

    assert rename.process(ROW, context) == Fail("a field 'c' is already there; drop or rename it first")
    with pytest.raises(ValueError, match="'a' cannot become 'c': the rows have a field 'c' already"):
        rename.provides(Schema({"a": INT, "c": INT}))


def test_rename_fails_a_row_that_lacks_the_old_name(context):
    rename = Rename(Rename.Config(fields={"z": "y"}))

    with pytest.raises(MissingField, match="'z'"):
        rename.process(ROW, context)


def test_rename_carries_types_to_the_new_names():
    rename = Rename(Rename.Config(fields={"a": "z"}))

    assert rename.provides(Schema({"a": INT}, complete=True)) == Schema({"z": INT}, complete=True)


@pytest.mark.parametrize(
    ("options", "row", "expected"),
    [
        ({}, {"id": 1, "l": [1, 2]}, Expand([{"id": 1, "l": 1}, {"id": 1, "l": 2}])),
        ({"item_as": "x"}, {"l": [None]}, Expand([{"x": None}])),
        (
            {"item_as": "x", "index_as": "i"},
            {"l": ["a", "b"]},
            Expand([{"x": "a", "i": 0}, {"x": "b", "i": 1}]),
        ),
        ({}, {"id": 1, "l": []}, Drop("'l' is empty")),
        ({}, {"id": 1, "l": None}, Drop("'l' is null")),
        ({"empty": "keep", "index_as": "i"}, {"id": 1, "l": []}, {"id": 1, "l": None, "i": None}),
        ({"empty": "keep", "merge": True}, {"id": 1, "l": None}, {"id": 1}),
        ({"merge": True}, {"id": 1, "l": [{"x": 2}, {}]}, Expand([{"id": 1, "x": 2}, {"id": 1}])),
        ({"merge": True}, {"l": [{"l": 2}]}, Expand([{"l": 2}])),
    ],
)
def test_explode_makes_a_row_of_each_element(options, row, expected, context):
    explode = Explode(Explode.Config(field="l", **options))

    assert explode.process(freeze(row), context) == expected


@pytest.mark.parametrize(
    ("options", "row", "taken"),
    [
        ({"item_as": "id"}, {"id": 1, "l": [1]}, "id"),
        ({"index_as": "id"}, {"id": 1, "l": [1]}, "id"),
        ({"merge": True}, {"id": 1, "l": [{"y": 1}, {"id": 2}]}, "id"),
        ({"merge": True, "index_as": "i"}, {"l": [{"i": 2}]}, "i"),
    ],
)
def test_explode_overwrites_nothing(options, row, taken, context):
    explode = Explode(Explode.Config(field="l", **options))

    result = explode.process(freeze(row), context)

    assert isinstance(result, Fail)
    assert repr(taken) in result.reason


@pytest.mark.parametrize("value", ["text", 1, {"a": 1}])
def test_explode_fails_a_row_whose_field_is_no_list(value, context):
    with pytest.raises(WrongType, match="field 'l' should be list and is"):
        Explode(Explode.Config(field="l")).process(freeze({"l": value}), context)


def test_explode_merges_objects_only(context):
    with pytest.raises(WrongType, match=r"'l\[1\]' should be object, to be merged and is int"):
        Explode(Explode.Config(field="l", merge=True)).process(freeze({"l": [{}, 1]}), context)


def test_explode_knows_the_type_of_the_element():
    incoming = Schema({"id": INT, "l": FieldType("list", items=INT)}, complete=True)

    kept = Explode(Explode.Config(field="l", index_as="i", empty="keep")).provides(incoming)
    merged = Explode(Explode.Config(field="l", merge=True)).provides(incoming)

    maybe = FieldType("int", nullable=True)
    assert kept == Schema({"id": INT, "l": maybe, "i": maybe}, complete=True)
    assert merged == Schema({"id": INT})


@given(st.lists(st.integers(), min_size=1), st.integers())
def test_explode_numbers_all_elements_in_their_order(items, other):
    explode = Explode(Explode.Config(field="l", item_as="x", index_as="i"))

    result = explode.process(freeze({"other": other, "l": items}), None)

    assert isinstance(result, Expand)
    assert result.rows == [{"other": other, "x": item, "i": index} for index, item in enumerate(items)]


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (Select.Config, {}, "give either fields"),
        (Select.Config, {"fields": ["a"], "drop": ["b"]}, "give either fields"),
        (Select.Config, {"fields": ["a", "a"]}, "'a' is listed twice"),
        (Rename.Config, {"fields": {}}, "at least 1"),
        (Rename.Config, {"fields": {"a": "x", "b": "x"}}, "2 fields would be called 'x'"),
        (Rename.Config, {"fields": {"a": ""}}, "at least 1 character"),
        (Explode.Config, {"field": "l", "merge": True, "item_as": "x"}, "exclude each other"),
        (Explode.Config, {"field": "l", "index_as": "l"}, "both be called 'l'"),
        (Explode.Config, {"field": "l", "empty": "maybe"}, "'drop' or 'keep'"),
        (Explode.Config, {"feild": "l"}, "Field required"),
    ],
)
def test_shaping_options_that_do_not_go_are_refused(config, options, message):
    with pytest.raises(ValidationError, match=message):
        config(**options)
