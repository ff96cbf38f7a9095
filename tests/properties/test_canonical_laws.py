"""Laws of the canonical form, on random documents."""

import json
from datetime import UTC, timezone
from datetime import timedelta as delta

import rfc8785
from frame.canonical import canonical, canonical_row, canonical_rows, digest, restore
from frame.rows import freeze
from hypothesis import assume, given
from hypothesis import strategies as st

ZONES = st.sampled_from([UTC, timezone(delta(hours=2)), timezone(delta(minutes=-570))])
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
NAMES = st.one_of(st.sampled_from(["a", "b", "$decimal", "$object", "$", "é", "\ue000", "😀"]), TEXT)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**80), max_value=2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=ZONES).filter(lambda moment: 1 < moment.year < 9999),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.binary(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
ROWS = st.dictionaries(NAMES, VALUES, max_size=8)


def types(value):
    if isinstance(value, dict):
        return {name: types(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [types(inner) for inner in value]
    return type(value), str(value)


@given(ROWS)
def test_the_fast_way_gives_the_bytes_of_the_plain_one(row):
    assert canonical_row(row) == canonical_row(freeze(row)) == canonical(row)


@given(st.lists(ROWS, max_size=4), st.lists(st.tuples(SCALARS, SCALARS, SCALARS), max_size=5))
def test_many_rows_have_the_forms_of_each(rows, table):
    alike = [dict(zip("abc", values, strict=True)) for values in table]

    assert canonical_rows(rows) == [canonical(row) for row in rows]
    assert canonical_rows(alike) == [canonical(row) for row in alike]


@given(VALUES)
def test_a_value_comes_back_from_its_form(value):
    back = restore(canonical(value))

    assert back == value
    assert canonical(back) == canonical(value)


@given(
    st.recursive(
        st.one_of(
            st.booleans(),
            st.integers(),
            st.decimals(allow_nan=False, allow_infinity=False),
            TEXT,
            st.binary(),
        ),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=12,
    )
)
def test_a_value_comes_back_with_its_types(value):
    assert types(restore(canonical(value))) == types(value)


@given(VALUES, VALUES)
def test_equal_forms_mean_equal_values(one, other):
    if digest(canonical(one)) == digest(canonical(other)):
        assert one == other


@given(ROWS)
def test_the_order_of_fields_does_not_matter(row):
    assert canonical_row(dict(reversed(row.items()))) == canonical_row(row)


AGREED = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(min_value=1 - 2**53, max_value=2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXT,
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def differs(value):
    """Whether `value` holds what RFC 8785 writes otherwise: a float that reads as an integer, an escape."""
    if isinstance(value, float):
        return value.is_integer() and abs(value) < 1e21
    if isinstance(value, dict):
        return (len(value) == 1 and next(iter(value)).startswith("$")) or any(map(differs, value.values()))
    return isinstance(value, list) and any(map(differs, value))


@given(st.dictionaries(TEXT, AGREED, max_size=8))
def test_the_form_is_that_of_rfc_8785_wherever_the_two_agree(row):
    assume(not differs(row))

    assert canonical(row) == rfc8785.dumps(row)
    assert json.loads(canonical(row)) == row
