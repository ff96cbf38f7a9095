"""Rows come back from the record with their fields in the order that they had."""

from datetime import date
from typing import Any

import pytest
from frame.canonical import canonical_row, restore
from frame.errors import NotCanonical
from frame.rows import Row, freeze
from frame.shapes import restored, shaped, shapes_of
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


@given(st.lists(rows(), max_size=6))
def test_canonical_forms_at_hand_make_no_difference(given_rows):
    frozen = [freeze(row) for row in given_rows]

    assert shapes_of(frozen, [canonical_row(row) for row in frozen]) == shapes_of(frozen)


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


@given(st.lists(rows(), max_size=6), st.booleans())
def test_rows_restored_at_once_are_those_restored_one_by_one(given_rows, with_shapes):
    frozen = [freeze(row) for row in given_rows]
    forms = [canonical_row(row) for row in frozen]
    shapes = shapes_of(frozen) if with_shapes else ()

    at_once = restored(forms, shapes)

    one_by_one = shaped([restore(form) for form in forms], shapes)
    assert order_of(at_once) == order_of(one_by_one)
    assert types_of(at_once) == types_of(one_by_one)


def test_rows_of_one_shape_are_restored_with_their_types_whatever_stands_in_a_column():
    values = (2**70, -1, 1.5, True, "2024", None, b"x", {"$decimal": "1"}, [1, {"b": 1, "a": 2}], 10**18)
    frozen = [freeze({"z": value, "a": number}) for number, value in enumerate(values)]

    again = restored([canonical_row(row) for row in frozen], shapes_of(frozen))

    assert order_of(again) == order_of(frozen)
    assert types_of(again) == types_of(frozen)


def test_many_rows_keep_their_orders_and_values_wherever_they_are_cut():
    days = [date(2024, 1, 1 + number % 3) for number in range(450)]
    given_rows = [freeze({"z": number, "a": days[number], "$": {"$tag": "x"}}) for number in range(150)]
    given_rows += [
        freeze({"a": days[number], "z": None if number % 7 else 2**80}) for number in range(150, 310)
    ]
    given_rows += [freeze({"z": str(number), "b": {"y": 1, "x": days[number]}}) for number in range(310, 450)]

    again = restored([canonical_row(row) for row in given_rows], shapes_of(given_rows))

    assert order_of(again) == order_of(given_rows)
    assert types_of(again) == types_of(given_rows)


def test_fields_are_found_by_name_in_a_form_that_is_not_sorted():
    forms = [b'{"a":1,"b":{"$date":"2024-01-01"}}', b'{"b":{"$date":"2024-01-02"},"a":2}']

    again = restored(forms, ())

    assert order_of(again) == order_of(shaped([restore(form) for form in forms], ()))
    assert order_of(restored(forms, [(2, b'["a","b"]')])) == [
        [("a", 1), ("b", date(2024, 1, 1))],
        [("a", 2), ("b", date(2024, 1, 2))],
    ]


@pytest.mark.parametrize("damaged", [b'{"a":1}', b"[1,2]", b'{"b":{"$no":"1"},"a":1}', b'{"b":1,"a":'])
def test_a_damaged_form_says_what_is_wrong_with_it_among_good_ones(damaged):
    good, shapes = b'{"a":1,"b":2}', [(3, b'["b","a"]')]
    with pytest.raises((NotCanonical, KeyError, TypeError)) as alone:
        shaped([restore(form) for form in (good, damaged, good)], shapes)

    with pytest.raises(alone.type) as among:
        restored([good, damaged, good], shapes)

    assert str(among.value) == str(alone.value)


def types_of(value: Any) -> Any:
    """The types of `value` and of all that is inside it."""
    inside = value.values() if isinstance(value, Row) else value if isinstance(value, list) else ()
    return type(value), [types_of(item) for item in inside]
