"""cast: values into other types, strictly."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from frame.errors import MissingField
from frame.plugin import Fail, FieldType, Schema, parse_field_type
from frame.rows import freeze
from frame_std.casting import CastFailed, caster
from frame_std.fields import fits
from frame_std.transforms.cast import Cast
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

NOON = datetime(2013, 1, 31, 12, 0, tzinfo=UTC)
ID = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("str", "x", "x"),
        ("str", 17, "17"),
        ("str", 1.5, "1.5"),
        ("str", True, "true"),
        ("str", Decimal("1.20"), "1.20"),
        ("str", NOON, "2013-01-31T12:00:00Z"),
        ("str", timedelta(minutes=1.5), "90s"),
        ("str", b"\xc3\xa9", "é"),
        ("str", UUID(ID), ID),
        ("int", "-17", -17),
        ("int", "+0017", 17),
        ("int", 2.0, 2),
        ("int", True, 1),
        ("int", Decimal("3.00"), 3),
        ("int", "9" * 100, int("9" * 100)),
        ("float", "1.5e3", 1500.0),
        ("float", ".5", 0.5),
        ("float", 2**53, float(2**53)),
        ("float", Decimal("0.1"), 0.1),
        ("bool", "true", True),
        ("bool", "false", False),
        ("bool", 0, False),
        ("decimal", "1.20", Decimal("1.20")),
        ("decimal", 0.1, Decimal("0.1")),
        ("decimal", 7, Decimal(7)),
        ("datetime", "2013-01-31T13:00:00+01:00", NOON),
        ("datetime", "2013-01-31t12:00:00z", NOON),
        ("datetime", date(2013, 1, 31), datetime(2013, 1, 31, tzinfo=UTC)),
        ("date", "2013-01-31", date(2013, 1, 31)),
        ("date", NOON, date(2013, 1, 31)),
        ("time", "17:30", time(17, 30)),
        ("time", NOON, time(12)),
        ("duration", "1.5h", timedelta(minutes=90)),
        ("duration", "-90s", timedelta(seconds=-90)),
        ("duration", 0.25, timedelta(milliseconds=250)),
        ("uuid", ID, UUID(ID)),
        ("bytes", "é", b"\xc3\xa9"),
        ("list[int]", ["1", 2.0], [1, 2]),
        ("list[int?]?", [None, "1"], [None, 1]),
        ("list[int]?", None, None),
        ("object", {"a": 1}, {"a": 1}),
        ("any", "x", "x"),
        ("any", None, None),
        ("int?", None, None),
    ],
)
def test_a_value_becomes_the_type_asked_for(kind, value, expected):
    result = caster(parse_field_type(kind))(value)

    assert (type(result), result) == (type(expected), expected)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("str", [None, [1], {"a": 1}, b"\xff"]),
        (
            "int",
            [None, "", " 1", "1.0", "1_000", "0x1", "١", 1.5, Decimal("1.5"), "9" * 5000, NOON, float("inf")],
        ),
        ("float", ["", "nan", "inf", "1e400", "1,5", True, 2**53 + 1, 10**400, Decimal("1e400"), NOON]),
        ("bool", ["yes", "True", "1", 2, 1.0, Decimal(1), ""]),
        ("decimal", ["", "NaN", "Infinity", "1e9999999", True, float("nan"), "1 0"]),
        (
            "datetime",
            ["2013-01-31", "2013-01-31T12:00:00", "2013-02-31T12:00:00Z", "", 0, NOON.replace(tzinfo=None)],
        ),
        ("date", ["31.1.2013", "20130131", "2013-02-29", "", 20130131]),
        ("time", ["25:00", "17", "17:30:00+01:00", 17]),
        ("duration", ["", "5", "5 minutes", True, float("nan"), "999999999999d", 1e300]),
        ("uuid", ["1234", ID + "0", 5]),
        ("bytes", [5, None]),
        ("list[int]", ["1", ["x"], [None], 5]),
        ("object", [[], "x", 1]),
    ],
)
def test_what_would_be_guessed_or_lost_is_refused(kind, values):
    cast = caster(parse_field_type(kind))

    for value in values:
        with pytest.raises(CastFailed, match="is not "):
            cast(value)


def test_a_failed_cast_fails_its_row_or_leaves_null(context):
    row = freeze({"n": "many", "m": "5"})

    failing = Cast(Cast.Config(fields={"m": "int", "n": "int"}))
    lenient = Cast(Cast.Config(fields={"m": "int", "n": "int"}, on_failure="null"))

    assert failing.process(row, context) == Fail("field 'n': str 'many' is not int")
    assert lenient.process(row, context) == {"n": None, "m": 5}


def test_a_missing_field_is_never_made_up(context):
    with pytest.raises(MissingField, match="'n'"):
        Cast(Cast.Config(fields={"n": "int"}, on_failure="null")).process(freeze({}), context)


def test_a_long_value_is_cut_short_in_the_message(context):
    result = Cast(Cast.Config(fields={"n": "int"})).process(freeze({"n": "x" * 10_000}), context)

    assert isinstance(result, Fail)
    assert len(result.reason) < 150


def test_cast_says_which_types_leave():
    fields = {"n": "int", "l": "list[int]"}
    incoming = Schema({"n": FieldType("str"), "x": FieldType("str")}, complete=True)

    strict = Cast(Cast.Config(fields=fields)).provides(incoming)
    lenient = Cast(Cast.Config(fields=fields, on_failure="null")).provides(incoming)

    assert {name: str(kind) for name, kind in strict.fields.items()} == {
        "n": "int",
        "x": "str",
        "l": "list[int]",
    }
    assert {name: str(kind) for name, kind in lenient.fields.items()} == {
        "n": "int?",
        "x": "str",
        "l": "list[int]?",
    }


def test_an_unknown_type_is_refused_when_the_pipeline_is_built():
    with pytest.raises(ValidationError, match="'integer' is not a field type"):
        Cast.Config(fields={"n": "integer"})


VALUES = {
    "int": st.integers(-(10**300), 10**300),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "datetime": st.datetimes(timezones=st.just(UTC)),
    "date": st.dates(),
    "time": st.times(),
    "duration": st.timedeltas(timedelta(0), timedelta(days=10**6)),
    "uuid": st.uuids(),
    "bytes": st.text().map(str.encode),
    "str": st.text(),
}


@pytest.mark.parametrize("kind", VALUES)
def test_text_brings_back_every_value(kind):
    to_text, back = caster(FieldType("str")), caster(FieldType(kind))

    @given(VALUES[kind])
    def law(value):
        result = back(to_text(value))

        assert (type(result), result) == (type(value), value)
        assert back(value) == value
        assert fits(result, FieldType(kind))

    law()
