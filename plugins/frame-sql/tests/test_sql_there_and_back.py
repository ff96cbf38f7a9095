"""Any row goes into a table and comes back as it was, on every database."""

import string
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count

import pytest
from frame.rows import freeze
from frame_sql.sink import SqlSink
from frame_sql.source import SqlSource
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NUMBERS = count()
FIRST, LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 - the strategy adds zones
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)  # -0.0 is 0.0
INTEGERS = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DECIMALS = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-(10**40), 10**40),
    st.integers(-30, 0),
)
VALUES = {
    "str": TEXTS,
    "int": INTEGERS,
    "float": FLOATS,
    "bool": st.booleans(),
    "decimal": DECIMALS,
    "datetime": st.datetimes(FIRST, LAST, timezones=st.timezones()).map(
        lambda moment: moment.astimezone(UTC)
    ),
    "date": st.dates(),
    "time": st.times(),
    "duration": st.timedeltas(timedelta(days=-(10**6)), timedelta(days=10**6)),
    "uuid": st.uuids(),
    "bytes": st.binary(max_size=20),
    "object": st.dictionaries(TEXTS, JSON, max_size=3),
    "any": JSON,
    "list[int?]": st.lists(INTEGERS | st.none(), max_size=3),
    "list[str]": st.lists(TEXTS, max_size=3),
    "list[any]": st.lists(JSON, max_size=3),
}
NAMES = {f"f{n}": kind for n, kind in enumerate(VALUES)}
FIELDS = {"id": "int", **{name: kind if kind == "any" else f"{kind}?" for name, kind in NAMES.items()}}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in NAMES.items()}), max_size=5
)


def kinds(value):
    """`value` with the types of all that is in it, so that 1, 1.0 and true differ; decimals in plain digits."""
    if isinstance(value, dict):
        return {name: kinds(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [kinds(inner) for inner in value]
    if isinstance(value, Decimal):
        return "decimal", format(abs(value) if value.is_zero() else value, "f")
    return type(value).__name__, str(value)


def shape(rows):
    return [{name: kinds(value) for name, value in row.items()} for row in rows]


def there_and_back(url, rows):
    table = {"url": url, "table": f"t{next(NUMBERS)}"}
    sink = SqlSink(SqlSink.Config(**table, create=True, fields=FIELDS, key=["id"]))
    source = SqlSource(SqlSource.Config(**table, batch_rows=2))
    try:
        sink.open(None)
        assert sink.write([freeze(row) for row in rows], "one") == []
        return list(source.read())
    finally:
        sink.close()
        source.close()


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS)
def test_any_row_comes_back_as_it_went_in(db, rows):
    numbered = [{"id": n, **row} for n, row in enumerate(rows)]

    assert shape(there_and_back(db.url, numbered)) == shape(numbered)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 2**53 + 1),
        ("int", 2**63 - 1),
        ("int", -(2**63)),
        ("decimal", Decimal("1.50")),
        ("decimal", Decimal("1E-9000")),
        ("float", 1.7976931348623157e308),
        ("float", 5e-324),
        ("float", 2.0**53 + 2),
        ("str", ""),
        ("str", "'; DROP TABLE t; --\\ %s ? :x \u202e" + string.printable),
        ("str", "e\u0301"),
        ("str", "\u00e9"),
        ("bytes", b""),
        ("datetime", datetime(1, 1, 1, tzinfo=UTC)),
        ("datetime", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("date", date.min),
        ("time", time.max),
        ("duration", timedelta(microseconds=-1)),
        ("any", 1e22),
        ("any", [10**30, 1.0, "x", None, {"": True}]),
        ("str", "x" * 200_000),
    ],
)
def test_the_ends_of_every_type_come_back(db, kind, value):
    options = {"table": "t", "create": True, "fields": {"v": kind}}

    assert db.write([{"v": value}], **options) == []

    assert shape(db.read(table="t")) == shape([{"v": value}])


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64])
def test_an_integer_beyond_64_bits_is_refused_and_kept_by_a_decimal(db, value):
    options = {"table": "t", "create": True, "fields": {"v": "int?", "d": "decimal?"}}

    (rejection,) = db.write([{"v": value}, {"d": value}], **options)

    assert (rejection.index, rejection.reason) == (
        0,
        "field 'v' is an integer that does not fit into 64 bits",
    )
    assert [row["d"] for row in db.read(table="t")] == [value]


def test_jsonb_gives_numbers_back_as_they_were(postgresql_db):
    postgresql_db.run("CREATE TABLE t (v jsonb)")
    given_ = [{"v": value} for value in (1, 1.0, 1e22, 1.5e-7, [2**70, 0.1], {"a": {"b": 100.0}})]

    assert postgresql_db.write(given_, table="t") == []

    assert sorted(map(str, shape(postgresql_db.read(table="t")))) == sorted(map(str, shape(given_)))


def test_times_are_written_in_the_zone_that_the_column_is_meant_in(postgresql_db):
    postgresql_db.run("CREATE TABLE t (w timestamp)")
    july, twice = datetime(2024, 7, 1, 8, tzinfo=UTC), datetime(2024, 10, 27, 1, 30, tzinfo=UTC)

    (rejection,) = postgresql_db.write([{"w": july}, {"w": twice}], table="t", naive_zone="Europe/Berlin")

    assert rejection.index == 1
    assert postgresql_db.ask("SELECT w FROM t") == [(datetime(2024, 7, 1, 10),)]  # noqa: DTZ001
    assert postgresql_db.read(table="t", naive_zone="Europe/Berlin") == [{"w": july}]
