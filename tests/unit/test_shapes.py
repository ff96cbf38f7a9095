"""Rows come back from the record with their fields in the order that they had."""

from typing import Any

from frame.canonical import canonical_row, restore
from frame.rows import freeze
from frame.shapes import shaped, shapes_of
from frame.testing.strategies import rows
from hypothesis import given
from hypothesis import strategies as st


def order_of(value: Any) -> Any:
    """`value` as something whose equality looks at the order of fields, too."""
    if isinstance(value, dict):
        return [(name, order_of(item)) for name, item in value.items()]
    return [order_of(item) for item in value] if isinstance(value, list) else value


@given(st.lists(rows(), max_size=6))
def test_rows_restored_from_their_canonical_form_and_shape_have_their_fields_in_order(given_rows):
    frozen = [freeze(row) for row in given_rows]
    values = [restore(canonical_row(row)) for row in frozen]

    again = shaped(values, shapes_of(frozen))

    assert order_of(again) == order_of(frozen)


def test_rows_of_one_shape_say_it_once():
    frozen = [freeze({"b": n, "a": n}) for n in range(1000)]

    assert shapes_of(frozen) == ((1000, b'["b","a"]'),)


def test_rows_in_canonical_order_have_nothing_to_say():
    assert shapes_of([freeze({"a": 1, "b": {"c": 1, "d": [2, {"e": 3}]}})] * 3) == ()


def test_the_order_inside_objects_and_lists_is_kept():
    row = freeze({"z": [{"y": 1, "x": 2}, 3], "a": {"c": 1, "b": 2}})

    (again,) = shaped([restore(canonical_row(row))], shapes_of([row]))

    assert list(again) == ["z", "a"]
    assert list(again["z"][0]) == ["y", "x"]
    assert list(again["a"]) == ["c", "b"]
