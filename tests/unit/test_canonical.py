"""The canonical form of single values, and the way back."""

import json
import math
import subprocess
import sys
from collections import OrderedDict, UserDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Context, Decimal, localcontext
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from frame.canonical import canonical, canonical_row, canonical_rows, digest, digests, restore
from frame.errors import NotCanonical
from frame.rows import freeze

BERLIN = ZoneInfo("Europe/Berlin")


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Plain(Enum):
    ONE = 1


class Celsius(float):
    pass


Point = namedtuple("Point", "x y")  # noqa: PYI024

FORMS = [
    (None, "null"),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-1, "-1"),
    (2**53 + 1, "9007199254740993"),
    (2**64, "18446744073709551616"),
    (-(2**63) - 1, "-9223372036854775809"),
    (0.0, "0.0"),
    (-0.0, "-0.0"),
    (1.0, "1.0"),
    (4.5, "4.5"),
    (1e15, "1000000000000000.0"),
    (1e16, "10000000000000000.0"),
    (1e20, "100000000000000000000.0"),
    (1e21, "1e+21"),
    (1e23, "1e+23"),
    (123456789012345680000.0, "123456789012345680000.0"),
    (-1.5e300, "-1.5e+300"),
    (1e-4, "0.0001"),
    (1e-5, "0.00001"),
    (1.5e-6, "0.0000015"),
    (1e-6, "0.000001"),
    (1e-7, "1e-7"),
    (-1.5e-7, "-1.5e-7"),
    (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (333333333.33333329, "333333333.3333333"),
    ("", '""'),
    ("1", '"1"'),
    ('a"b\\c/d', '"a\\"b\\\\c/d"'),
    ("\b\t\n\f\r\0\x1f\x7f", '"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f"'),
    ("é e\u0301 😀 \u2028", '"é e\u0301 😀 \u2028"'),
    ([], "[]"),
    ((1, [2.0]), "[1,[2.0]]"),
    (Point(1, 2), "[1,2]"),
    ({}, "{}"),
    ({"b": 1, "a": {"d": [], "c": None}}, '{"a":{"c":null,"d":[]},"b":1}'),
    ({"\ue000": 1, "😀": 2}, '{"😀":2,"\ue000":1}'),
    (OrderedDict(b=1, a=2), '{"a":2,"b":1}'),
    (UserDict(b=1, a=2), '{"a":2,"b":1}'),
    (MappingProxyType({"a": 1}), '{"a":1}'),
    ({Colour.RED: 1}, '{"red":1}'),
    (Decimal("1.20"), '{"$decimal":"1.20"}'),
    (Decimal("-0"), '{"$decimal":"-0"}'),
    (Decimal("1E+400"), '{"$decimal":"1E+400"}'),
    (datetime(2013, 1, 1, 10, tzinfo=UTC), '{"$datetime":"2013-01-01T10:00:00Z"}'),
    (datetime(2013, 1, 1, 10, 0, 0, 120, tzinfo=UTC), '{"$datetime":"2013-01-01T10:00:00.00012Z"}'),
    (datetime(1, 1, 1, tzinfo=UTC), '{"$datetime":"0001-01-01T00:00:00Z"}'),
    (datetime(2013, 7, 1, 10, tzinfo=BERLIN), '{"$datetime":"2013-07-01T08:00:00Z"}'),
    (date(2013, 1, 1), '{"$date":"2013-01-01"}'),
    (time(10, 30), '{"$time":"10:30:00"}'),
    (time(10, 30, 0, 500_000), '{"$time":"10:30:00.5"}'),
    (timedelta(0), '{"$duration":"PT0S"}'),
    (timedelta(days=1, microseconds=10), '{"$duration":"PT86400.00001S"}'),
    (timedelta(seconds=-1.5), '{"$duration":"-PT1.5S"}'),
    (timedelta.min, '{"$duration":"-PT86399999913600S"}'),
    (UUID(int=10), '{"$uuid":"00000000-0000-0000-0000-00000000000a"}'),
    (b"\x00\xff?", '{"$bytes":"AP8/"}'),
    ({"$decimal": "1.20"}, '{"$object":{"$decimal":"1.20"}}'),
    ({"$object": {"$object": 1}}, '{"$object":{"$object":{"$object":{"$object":1}}}}'),
    ({"$a": 1, "b": 2}, '{"$a":1,"b":2}'),
]


@pytest.mark.parametrize(("value", "form"), FORMS)
def test_a_value_has_one_form_plain_and_fast(value, form):
    assert canonical(value).decode() == form
    assert canonical_row({"x": value}).decode() == f'{{"x":{form}}}'
    assert canonical_rows([{"x": value}] * 3) == [f'{{"x":{form}}}'.encode()] * 3


@pytest.mark.parametrize(("value", "form"), FORMS)
def test_a_form_gives_its_value_back_with_its_type(value, form):
    back = restore(form.encode())

    assert canonical(back).decode() == form
    if type(value) in (dict, list) or not isinstance(
        value, dict | list | tuple | UserDict | MappingProxyType
    ):
        assert (back, type(back)) == (value, type(value))


DEEP_LIST: object = 1
for _ in range(65):
    DEEP_LIST = [DEEP_LIST]
CYCLE: list[object] = []
CYCLE.append(CYCLE)

REFUSED = [
    (math.nan, "is nan, which has no canonical form"),
    (math.inf, "is inf, which has no canonical form"),
    (-math.inf, "is -inf"),
    (Decimal("NaN"), "is the Decimal NaN"),
    (Decimal("-Infinity"), "is the Decimal -Infinity"),
    (Decimal("1" * 1235), "is a Decimal of more than 1234 digits"),
    (2**4096, "is an integer of 4097 bits, and 4096 are the limit"),
    (-(2**4096), "is an integer of 4097 bits"),
    ("a\ud800", "holds half of a surrogate pair at character 1"),
    ({"\udfff": 1}, "has '\\udfff' for a field name, which holds half of a surrogate pair"),
    ({1: 2}, "has 1 for a field name, which is not a str"),
    ({"a": 1, None: 2}, "has None for a field name"),
    (datetime(2013, 1, 1), "without a time zone"),  # noqa: DTZ001
    (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "outside the years 1 to 9999"),
    (time(1, tzinfo=UTC), "with a time zone, which means nothing without a date"),
    (Colour.RED, "is of type test_canonical.Colour: make it a plain str"),
    (Level.LOW, "make it a plain int"),
    (Celsius(1.5), "make it a plain float"),
    (Plain.ONE, "which a row cannot hold"),
    ({1, 2}, "is of type set, which a row cannot hold"),
    (bytearray(b"x"), "is of type bytearray"),
    (1j, "is of type complex"),
    pytest.param(object(), "is of type object", id="object"),
    (DEEP_LIST, "is nested more than 64 deep"),
    (CYCLE, "is nested more than 64 deep"),
]


@pytest.mark.parametrize(("value", "why"), REFUSED, ids=lambda value: repr(value)[:30])
def test_what_has_no_form_is_refused_by_name_and_place(value, why):
    rows = [{"a": 1, "b": {"c d": [0, value]}}, {"a": 1, "b": {"c d": [0, 1]}}]
    place = 'b["c d"][1]'

    for form in (canonical, canonical_row):
        with pytest.raises(NotCanonical) as caught:
            form(rows[0])
        assert caught.value.path.startswith(place)
        assert why.removeprefix("is of type test_canonical.") in caught.value.why
    with pytest.raises(NotCanonical) as caught:
        canonical_rows(rows[::-1])
    assert caught.value.path.startswith(f"[1].{place}")
    with pytest.raises(NotCanonical):
        canonical_row({"x": value})


def test_a_problem_at_the_top_is_named_as_the_rows_own():
    with pytest.raises(NotCanonical, match=r"^the row has 1 for a field name"):
        canonical_row({1: 2})
    with pytest.raises(NotCanonical, match=r"^\[2\] has 1 for a field name"):
        canonical_rows([{}, {}, {1: 2}])


def test_64_containers_inside_each_other_are_the_limit_escapes_not_counted():
    value: object = 1
    for _ in range(64):
        value = {"$object": value}

    assert restore(canonical(value)) == value
    assert canonical_row(value) == canonical(value)
    with pytest.raises(NotCanonical, match="is nested more than 64 deep"):
        canonical([value])


def test_values_of_different_types_never_share_a_form():
    values = [
        1,
        1.0,
        "1",
        True,
        Decimal(1),
        Decimal("1.0"),
        b"1",
        [1],
        {"1": 1},
        None,
        "null",
        "",
        [],
        {},
        0,
        0.0,
    ]
    values += [-0.0, False, "true", 2**53, 2**53 + 1, float(2**53), date(2013, 1, 1), "2013-01-01", "1.0"]
    values += [
        datetime(2013, 1, 1, tzinfo=UTC),
        time(0),
        timedelta(0),
        UUID(int=0),
        str(UUID(int=0)),
        "e\u0301",
        "é",
    ]
    values += [{"$decimal": "1"}, {"$object": {"$decimal": "1"}}, {"$bytes": "MQ=="}, {"$date": "2013-01-01"}]

    forms = {digest(canonical(value)) for value in values}

    assert len(forms) == len(values)


def test_two_moments_that_compare_equal_keep_their_forms():
    first = datetime(2013, 10, 27, 2, 30, tzinfo=BERLIN)
    second = first.replace(fold=1)

    forms = canonical_rows([{"at": first}, {"at": second}, {"at": first}])

    assert first == second
    assert forms[0] == forms[2] == b'{"at":{"$datetime":"2013-10-27T00:30:00Z"}}'
    assert forms[1] == b'{"at":{"$datetime":"2013-10-27T01:30:00Z"}}'


def test_the_decimal_context_of_the_thread_does_not_matter():
    value = Decimal("123456789012345678901234567890E+10")

    with localcontext(Context(prec=3, capitals=0)):
        assert canonical(value) == b'{"$decimal":"1.23456789012345678901234567890E+39"}'
        assert canonical(1.5e-300) == b"1.5e-300"


def test_rows_are_not_changed_and_frozen_rows_have_the_form_of_plain_ones():
    plain = {"z": [1, {"y": (2,)}], "at": datetime(2013, 1, 1, tzinfo=UTC), "a": Decimal(1)}
    before = repr(plain)

    forms = {canonical(plain), canonical_row(plain), canonical_row(freeze(plain)), canonical(freeze(plain))}

    assert len(forms) == 1
    assert repr(plain) == before
    assert canonical_rows([freeze(plain), plain]) == [*forms, *forms]


class Doubling(dict):
    """A dict that shows other values than it holds."""

    def __getitem__(self, name):
        return 2 * super().__getitem__(name)

    def values(self):
        return [self[name] for name in self]


def test_a_dict_that_overrides_how_it_is_read_is_written_as_it_reads():
    assert canonical_row(Doubling(a=2)) == canonical(Doubling(a=2)) == b'{"a":4}'
    assert canonical_rows([Doubling(a=2)] * 2) == [b'{"a":4}'] * 2
    assert canonical_row({"x": Doubling(a=2)}) == b'{"x":{"a":4}}'


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
def test_many_rows_have_the_forms_of_each(count):
    rows = [
        {"a": "line\n,\n", "b": number, "c": number / 7, "d": None if number % 3 else "x"}
        for number in range(count)
    ]

    assert canonical_rows(rows) == [canonical(row) for row in rows]
    assert digests(canonical_rows(rows)) == b"".join(digest(canonical(row)) for row in rows)


@pytest.mark.parametrize(
    "odd",
    [
        {"b": 1, "a": 2},
        {"a": 1e-7, "b": 1},
        {"a": 2**70, "b": 1},
        {"a": UUID(int=1), "b": 1},
        {"a": 1},
        {"é😀": 1},
        {},
    ],
)
def test_one_odd_row_among_many_leaves_the_others_alone(odd):
    rows = [{"a": 1.5, "b": 1}, odd, {"a": 2.5, "b": 2}]

    assert canonical_rows(rows) == [canonical(row) for row in rows]


NOT_FORMS = [
    b"",
    b"{",
    b"nul",
    b"NaN",
    b'{"a":NaN,"b":12345678901234567890}',
    b'{"$nonsense":"1"}',
    b'"\xff"',
]
NOT_FORMS += [
    b'{"$decimal":1}',
    b'{"$decimal":"x"}',
    b'{"$datetime":"x"}',
    b'{"$duration":"1s"}',
    b'{"$bytes":"?"}',
]
NOT_FORMS += [b'{"$object":1}', b'{"$uuid":"x"}']


@pytest.mark.parametrize("data", NOT_FORMS)
def test_what_is_no_canonical_form_cannot_be_restored(data):
    with pytest.raises(NotCanonical, match="is not in canonical form"):
        restore(data)


def test_hashes_do_not_depend_on_seed_locale_or_zone():
    script = (
        "import datetime as d; from frame.canonical import *; from decimal import Decimal;"
        "row = {'b': 1.5, 'é': d.datetime(2013, 1, 1, 10, tzinfo=d.UTC), 'a': Decimal('1.20'), 's': 'Straße'};"
        "print(digest(canonical_row(row)).hex(), digest(canonical(row)).hex())"
    )
    outputs = set()

    for seed, locale, zone in [
        ("0", "C", "UTC"),
        ("1", "de_DE.UTF-8", "Asia/Tokyo"),
        ("2", "tr_TR.UTF-8", "US/Hawaii"),
    ]:
        env = {"PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": zone}
        ran = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        )
        outputs.update(ran.stdout.split())

    assert len(outputs) == 1


def test_a_form_is_json_that_anybody_can_read():
    row = {"b": [1, 2.5, "x"], "a": {"c": None}}

    assert json.loads(canonical_row(row)) == row
