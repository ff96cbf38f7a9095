"""What an expression says for a row."""

import copy
import pickle
import threading
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

import pytest
from frame.errors import ExpressionError
from frame.expressions import Expression
from frame.rows import freeze

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
ROW = freeze(
    {
        "i": 7,
        "f": 1.5,
        "s": "Straße",
        "n": None,
        "b": True,
        "bytes": b"ab",
        "at": NOON,
        "tokyo": NOON.replace(tzinfo=timezone(timedelta(hours=9))),
        "day": date(2013, 1, 1),
        "clock": time(10, 30),
        "id": UUID(int=1),
        "wait": timedelta(seconds=90),
        "list": [3, 1, 2],
        "map": {"b": 1, "a": {"x": [1]}},
        "two words": "yes",
        "items": [{"price": 2, "tags": ["x", "y"]}, {"price": 3, "tags": ["z"]}],
    }
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("row.i + 1", 8),
        ("row.i / 2", 3),
        ("-row.i % 4", -3),
        ("double(row.i) * row.f", 10.5),
        ("row.i == 7.0", True),
        ("row.i == '7'", False),
        ("row.n == null", True),
        ("row.i > 5 && row.b", True),
        ("row.i > 5 ? 'late' : 'early'", "late"),
        ("row['two words'] == 'yes'", True),
        ('row["i"]', 7),
        ("has(row.i)", True),
        ("has(row.nothing)", False),
        ("has(row.nothing) && row.nothing > 1", False),
        ("'i' in row", True),
        ("row.s + '!'", "Straße!"),
        ("row.s.startsWith('Str')", True),
        ("row.s.matches('^S.*e$')", True),
        ("row.i in [1, 7]", True),
        ("row.map.a.x[0]", 1),
        ("row.map", {"a": {"x": [1]}, "b": 1}),
        ("row.list + [4]", [3, 1, 2, 4]),
        ("row.bytes", b"ab"),
        ("row.at", NOON),
        ("row.at + duration('1h')", NOON + timedelta(hours=1)),
        ("row.at - timestamp('2013-01-01T00:00:00Z')", timedelta(hours=12)),
        ("row.at.getFullYear()", 2013),
        ("row.tokyo.getHours()", 3),
        ("row.wait > duration('1m')", True),
        ("row.day == '2013-01-01'", True),
        ("row.clock < '11:00:00'", True),
        ("row.id", "00000000-0000-0000-0000-000000000001"),
        ("string(row.i) + '/' + string(row.f)", "7/1.5"),
        ("// the price\nrow.i", 7),
        ("'row.missing and row[\"x\"]'", 'row.missing and row["x"]'),
        ("{'b': row.i, 'a': [row.f]}", {"a": [1.5], "b": 7}),
        ("size(row.s)", 6),
        ("row.s.size()", 6),
        ("size(row.list) + size(row.map) + size(row.bytes)", 7),
        ("row.s.upper()", "STRASSE"),
        ("lower('ÄB')", "äb"),
        ("trim('  x ')", "x"),
        ("abs(-3)", 3),
        ("abs(-2.5)", 2.5),
        ("min(3, row.f)", 1.5),
        ("max(row.list)", 3),
        ("max('a', 'b')", "b"),
        ("max(row.at, row.at)", NOON),
        ("round(2.5)", 2.0),
        ("round(2.345, 2)", 2.35),
        ("floor(-1.5)", -2.0),
        ("ceil(1.2)", 2.0),
        ("floor(1.0 / 0.0) > 1.0", True),
        ("coalesce(row.n, row.i)", 7),
        ("coalesce(row.n)", None),
        ("row.list.map(x, x * 2)", [6, 2, 4]),
        ("row.list.filter(x, x > 1)", [3, 2]),
        ("row.list.exists(x, x == 3) && row.list.all(x, x > 0) && row.list.exists_one(x, x == 1)", True),
        ("row.items.map(i, i.tags.map(t, t + string(i.price)))", [["x2", "y2"], ["z3"]]),
        ("row.items.filter(i, i.price > 2).map(i, i.price)", [3]),
    ],
)
def test_an_expression_gives_a_plain_value(source, expected):
    value = Expression.compile(source).evaluate(ROW)

    assert (value, type(value)) == (expected, type(expected))


def test_an_expression_that_names_some_fields_is_given_only_those():
    compiled = Expression.compile("row.a > 1 && row['b c'] == 'row.d' && has(row.e)")

    assert compiled.fields == {"row": ("a", "b c", "e")}
    assert compiled.evaluate({"a": 2, "b c": "row.d", "e": 1, "not used": Decimal(1)}) is True


@pytest.mark.parametrize(
    "source", ["row", "'x' in row", "row.exists(k, k == 'x')", "row['a' + 'b']", "row['\\x61']"]
)
def test_an_expression_that_uses_the_row_in_another_way_is_given_all_of_it(source):
    assert Expression.compile(source).fields == {"row": None}


def test_maps_are_walked_and_returned_in_the_order_of_their_keys():
    names = [f"k{number:02}" for number in range(40)]
    walk = Expression.compile("row.map(k, k)")
    whole = Expression.compile("row")

    row = dict.fromkeys(reversed(names), 1)

    assert walk.evaluate(row) == names
    assert list(whole.evaluate(row)) == names


def test_an_expression_may_speak_of_several_variables():
    trigger = Expression.compile("batch.count > 2 && error.type == 'X'", ("batch", "error"))

    assert trigger.evaluate_with(batch={"count": 3}, error=MappingProxyType({"type": "X"})) is True
    assert Expression.compile("n + 1", ("n",)).evaluate_with(n=1) == 2
    with pytest.raises(ExpressionError, match="no value was given for 'batch'"):
        trigger.evaluate_with(error={"type": "X"})


FAILURES = [
    ("row.nothing", "no field 'nothing' (has(...) asks whether there is one)"),
    ("row.nothing > 1 && row.b", "no field 'nothing'"),
    ("row.map.q", "no field 'q'"),
    ("row.i / 0", "division by zero"),
    ("row.i % 0", "division by zero"),
    ("row.i * row.f", "row.i is int, row.f is double. CEL does not mix types: convert, as in double(row.x)"),
    ("row.n + 1", "row.n is null"),
    ("row.s + 1", "string + int"),
    ("row.i ? 1 : 2", "row.i is int"),
    ("row.list[9]", "index out of bounds: 9"),
    ("row.big", "row.big is an integer beyond 64 bits, which CEL cannot hold: cast it to float or str first"),
    ("row.unsigned", "row.unsigned is an integer beyond 64 bits"),
    ("row.money", "row.money is a Decimal, which CEL does not have: cast it to float or str first"),
    ("row.naive", "row.naive is a datetime without a time zone"),
    ("row.odd", "row.odd is of type set, which CEL does not have"),
    ("row.deep", "is nested more than 64 deep"),
    ("row.inner", "row.inner.list[1] is an integer beyond 64 bits"),
    ("9223372036854775807 + row.i", "a number does not fit"),
    ("int(1e19)", "a number does not fit"),
    ("int(row.s)", "invalid digit"),
    ("string(row.list)", "string(...) does not take values of these types; row.list is list"),
    ("row.s.matches('(')", "not a valid regex"),
    ("{1: 2}", "the result is a map with the key 1: in a row, keys are text"),
    ("upper(row.i)", "upper(): takes a string"),
    ("max(1, 'a')", "max(): takes numbers, or strings"),
    ("max()", "max(): takes at least one value"),
    ("min(0.0 / 0.0, 1.0)", "min(): takes no NaN"),
    ("abs(true)", "abs(): takes a number"),
    ("abs(-9223372036854775807 - 1)", "abs(): the result does not fit into 64 bits"),
    ("round(1.5, 99)", "round(): rounds to 0 to 15 digits"),
    ("size(row.i)", "size(): takes a string"),
    ("upper(row.s, row.s)", "upper(): "),
    ("upper(row.i) == 'X' || true", "upper(): takes a string"),
    ("row.i.map(x, x)", "walks a list or a map, and nothing else"),
    ("row.surrogate", "Conversion Error"),
]


@pytest.mark.parametrize(("source", "why"), FAILURES)
def test_an_expression_that_fails_on_a_row_says_why(source, why, capfd):
    deep: list[object] = []
    for _ in range(70):
        deep = [deep]
    odd = {
        "big": 2**70,
        "unsigned": 2**63,
        "money": Decimal("1.2"),
        "naive": NOON.replace(tzinfo=None),
        "odd": {1},
    }
    row = {**ROW, **odd, "deep": deep, "inner": {"list": [1, -(2**63) - 1]}, "surrogate": "\ud800"}

    with pytest.raises(ExpressionError) as caught:
        Expression.compile(source).evaluate(row)

    assert why in caught.value.why
    assert caught.value.expression == source
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_integers_of_64_bits_arrive_exactly(value):
    assert Expression.compile("row.x").evaluate({"x": value}) == value


def test_an_error_survives_pickling():
    with pytest.raises(ExpressionError) as caught:
        Expression.compile("row.x").evaluate({})

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_expressions_are_values():
    one, same, other = Expression("row.x"), Expression.compile("row.x"), Expression("row.y")

    assert one == same
    assert len({one, same, other}) == 2
    assert pickle.loads(pickle.dumps(same)).evaluate({"x": 1}) == 1
    assert copy.deepcopy(same) == same
    assert repr(one) == "Expression(source='row.x', variables=('row',))"


def test_threads_may_share_an_expression():
    shared = Expression("row.list.map(x, x + row.n)[0] + size(row.s)")
    wrong = []

    def work(number: int) -> None:
        found = [shared.evaluate({"list": [step], "n": number, "s": "abc"}) for step in range(200)]
        if found != list(range(number + 3, number + 203)):
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
