"""group_stats, window, collect: what is told of a batch."""

import math
import random
import statistics
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from frame.errors import MissingField, WrongType
from frame.plugin import Expand, FieldType, Schema
from frame.rows import freeze
from frame_std import field_stats
from frame_std.aggregations.collect import Collect
from frame_std.aggregations.group_stats import GroupStats
from frame_std.aggregations.window import Window
from frame_std.field_stats import TooLarge
from frame_std.transforms.explode import Explode
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

ALL = ["count", "nulls", "sum", "mean", "min", "max", "stddev", "stddev_pop"]


def flushed(aggregation, rows):
    for row in rows:
        aggregation.accept(freeze(row))
    return aggregation.flush()


def told(values, **options):
    """The one row that group_stats tells of `values`, without the prefix of its fields."""
    options = {"stats": ALL, "quantiles": [0.5], "rows_as": None, **options}
    (row,) = flushed(GroupStats(GroupStats.Config(of="n", **options)), [{"n": value} for value in values])
    return {name.removeprefix("n_"): value for name, value in row.items()}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4], {"sum": 10, "mean": 2.5, "min": 1, "max": 4, "stddev": 1.2909944487358056, "p50": 2.5}),
        ([7], {"sum": 7, "mean": 7.0, "min": 7, "max": 7, "stddev": None, "stddev_pop": 0.0, "p50": 7.0}),
        ([None, 2], {"count": 1, "nulls": 1, "sum": 2, "mean": 2.0}),
        ([None], {"count": 0, "nulls": 1, "sum": None, "mean": None, "min": None, "max": None, "stddev": None,
                  "stddev_pop": None, "p50": None}),
        ([0.1] * 10, {"sum": 1.0, "mean": 0.1, "stddev": 0.0}),
        ([1e308, 1e308, -1e308], {"sum": 1e308, "max": 1e308}),
        ([1e16, 1.0, -1e16], {"sum": 1.0}),
        ([5e-324, 5e-324], {"sum": 1e-323, "mean": 5e-324}),
        ([1e-200, 3e-200], {"stddev": pytest.approx(math.sqrt(2) * 1e-200)}),
        ([2**70, 1], {"sum": 2**70 + 1, "max": 2**70}),
        ([1, 0.5], {"sum": 1.5, "min": 0.5, "max": 1}),
        ([Decimal("0.10"), Decimal("0.20")], {"sum": Decimal("0.3"), "mean": Decimal("0.15"), "p50": Decimal("0.15"),
                                              "min": Decimal("0.10"), "stddev_pop": Decimal("0.05")}),
        ([Decimal(1), 2], {"sum": Decimal(3)}),
        ([Decimal("0.5"), 0.25], {"sum": 0.75}),
        ([-0.0], {"sum": 0.0, "min": 0.0}),
        ([1e16, 1e16 + 2, 1e16 + 2], {"stddev": pytest.approx(math.sqrt(4 / 3), rel=1e-15)}),
        ([10**400, 10**400 + 2], {"sum": 2 * 10**400 + 2, "stddev_pop": 1.0}),
    ],
)  # fmt: skip
def test_group_stats_tells_what_the_values_are(values, expected):
    result = told(values, quantiles=[0.5] if max(map(abs, filter(None, values)), default=0) < 10**300 else [],
                  stats=ALL if 10**400 not in values else ["sum", "stddev_pop"])  # fmt: skip

    assert {name: result[name] for name in expected} == expected
    assert [type(result[name]) for name in expected if not hasattr(expected[name], "rel")] == [
        type(value) for value in expected.values() if not hasattr(value, "rel")
    ]


@pytest.mark.parametrize(
    ("stat", "values"),
    [
        ("sum", [1e308, 1e308]),
        ("mean", [10**400]),
        ("stddev", [1.7e308, -1.7e308, 1.7e308]),
        ("stddev", [1, 10**400]),
    ],
)
def test_what_no_float_can_hold_is_an_error_and_the_batch_is_kept(stat, values):
    stats = GroupStats(GroupStats.Config(of="n", stats=[stat]))

    with pytest.raises(TooLarge, match="greater than a float can hold"):
        flushed(stats, [{"n": value} for value in values])
    with pytest.raises(TooLarge):
        stats.flush()


def test_keys_that_are_written_differently_are_different_groups():
    keys = ["1", True, 1.0, None, 1, Decimal("1.0"), "a", Decimal("1.00"), False, date(2013, 1, 1), 1, "1"]
    stats = GroupStats(GroupStats.Config(by="k"))

    rows = flushed(stats, [{"k": key} for key in keys])

    assert [(repr(row["k"]), row["rows"]) for row in rows] == [
        ("None", 1),
        ("False", 1),
        ("True", 1),
        ("1", 2),
        ("1.0", 1),
        ("Decimal('1.0')", 1),
        ("Decimal('1.00')", 1),
        ("'1'", 2),
        ("'a'", 1),
        ("datetime.date(2013, 1, 1)", 1),
    ]


def test_one_moment_is_one_key_in_whatever_zone_it_is_written():
    noon = datetime(2013, 1, 1, 12, tzinfo=UTC)
    elsewhere = noon.astimezone(timezone(timedelta(hours=2)))

    rows = flushed(GroupStats(GroupStats.Config(by="at")), [{"at": elsewhere}, {"at": noon}])

    assert [(str(row["at"]), row["rows"]) for row in rows] == [("2013-01-01 12:00:00+00:00", 2)]


def test_groups_of_several_keys_and_fields():
    config = GroupStats.Config(
        by=["a", "b"], of=["n", "m"], stats=["sum"], quantiles=[0.125, 1], rows_as="size"
    )
    rows = [
        {"a": "x", "b": 2, "n": 1, "m": 10},
        {"a": "x", "b": 1, "n": 2, "m": 20},
        {"a": "x", "b": 2, "n": 3, "m": None},
    ]

    names = ["a", "b", "size", "n_sum", "n_p12_5", "n_p100", "m_sum", "m_p12_5", "m_p100"]
    assert flushed(GroupStats(config), rows) == [
        dict(zip(names, ["x", 1, 1, 2, 2.0, 2.0, 20, 20.0, 20.0], strict=True)),
        dict(zip(names, ["x", 2, 2, 4, 1.25, 3.0, 10, 10.0, 10.0], strict=True)),
    ]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"k": "a"}, MissingField),
        ({"n": 1, "m": 1}, MissingField),
        ({"k": "a", "n": "5", "m": 1}, WrongType),
        ({"k": "a", "n": 1, "m": True}, WrongType),
        ({"k": ["a"], "n": 1, "m": 1}, WrongType),
        ({"k": "a", "n": 1, "m": Decimal("1e7000")}, WrongType),
    ],
)
def test_a_row_that_is_refused_leaves_no_trace(row, error):
    stats = GroupStats(GroupStats.Config(by="k", of=["n", "m"], stats=["sum"]))
    stats.accept(freeze({"k": "a", "n": 1, "m": 2}))

    with pytest.raises(error):
        stats.accept(freeze(row))

    assert stats.flush() == [{"k": "a", "rows": 1, "n_sum": 1, "m_sum": 2}]


@pytest.mark.parametrize(
    "aggregation",
    [
        GroupStats(GroupStats.Config(by="k", of="n")),
        Collect(Collect.Config(by="k")),
        Window(Window.Config(time="at", size="1h", of="n")),
    ],
)
def test_after_a_flush_a_new_batch_begins(aggregation):
    rows = [{"k": "a", "n": 1, "at": datetime(2013, 1, 1, tzinfo=UTC)}]

    first, empty, second = flushed(aggregation, rows), aggregation.flush(), flushed(aggregation, rows)

    assert empty == []
    assert first == second != []


def numbers(**limits):
    return st.lists(
        st.one_of(
            st.integers(-(2**60), 2**60),
            st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100),
            st.none(),
        ),
        **limits,
    )


@given(st.lists(st.integers(-(10**30), 10**30), min_size=2) | st.lists(st.floats(-1e50, 1e50), min_size=2))
def test_group_stats_agrees_with_the_statistics_module(values):
    result = told(values, quantiles=[0.25, 0.5, 0.75])

    exact = sum(map(Fraction, values))
    assert result["sum"] == (exact if isinstance(values[0], int) else float(exact))
    assert result["mean"] == float(exact / len(values))
    assert (result["count"], result["min"], result["max"]) == (len(values), min(values), max(values))
    scale = max(map(abs, values)) * 1e-15
    assert result["stddev"] == pytest.approx(statistics.stdev(values), rel=1e-9, abs=scale)
    assert result["stddev_pop"] == pytest.approx(statistics.pstdev(values), rel=1e-9, abs=scale)
    expected = statistics.quantiles(map(Fraction, values), n=4, method="inclusive")
    assert [result[name] for name in ("p25", "p50", "p75")] == list(map(float, expected))


@given(numbers(min_size=1), st.randoms())
def test_the_order_of_the_rows_changes_nothing(values, chance):
    shuffled = chance.sample(values, len(values))

    one, other = told(values, quantiles=[0, 0.1, 0.9]), told(shuffled, quantiles=[0, 0.1, 0.9])

    assert repr(one) == repr(other)


@given(numbers(min_size=1))
def test_values_that_are_folded_away_are_told_like_those_that_are_kept(values):
    folding = ["count", "nulls", "sum", "mean", "min", "max"]
    kept = told(values, stats=folding, quantiles=[0.5])

    before, field_stats.FOLD_AT = field_stats.FOLD_AT, 2
    try:
        folded = told(values, stats=folding, quantiles=[])
    finally:
        field_stats.FOLD_AT = before

    assert repr(folded) == repr({name: kept[name] for name in folded})


def test_memory_does_not_grow_with_the_rows_when_nothing_has_to_be_kept():
    stats = GroupStats(GroupStats.Config(of="n", stats=["sum", "min", "max"]))
    chance = random.Random(0)
    values = [chance.random() for _ in range(30_000)]

    for value in values:
        stats.accept(freeze({"n": value}))

    (group,) = stats._groups._groups.values()
    assert len(group.fields[0]._floats) < field_stats.FOLD_AT
    assert stats.flush() == [
        {"rows": 30_000, "n_sum": math.fsum(values), "n_min": min(values), "n_max": max(values)}
    ]


def test_group_stats_says_exactly_what_leaves():
    config = GroupStats.Config(
        by="k", of=["n", "d", "x"], stats=["count", "sum", "mean", "stddev"], quantiles=[0.5]
    )
    fields = {"k": "str", "n": "int", "d": "decimal?", "z": "int"}
    incoming = Schema(
        {name: FieldType(kind.rstrip("?"), kind.endswith("?")) for name, kind in fields.items()}
    )

    stats = GroupStats(config)

    assert set(stats.requires().fields) == {"k", "n", "d", "x"}
    assert stats.provides(incoming).complete
    assert {name: str(kind) for name, kind in stats.provides(incoming).fields.items()} == {
        "k": "str", "rows": "int",
        "n_count": "int", "n_sum": "int", "n_mean": "float", "n_stddev": "float?", "n_p50": "float",
        "d_count": "int", "d_sum": "decimal?", "d_mean": "decimal?", "d_stddev": "decimal?", "d_p50": "decimal?",
        "x_count": "int", "x_sum": "any?", "x_mean": "any?", "x_stddev": "any?", "x_p50": "any?",
    }  # fmt: skip


# --- window ---


def moment(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("size", "offset", "at", "start", "end"),
    [
        ("1h", "0s", "2013-01-01T12:00:00Z", "2013-01-01T12:00:00Z", "2013-01-01T13:00:00Z"),
        ("1h", "0s", "2013-01-01T12:59:59.999999Z", "2013-01-01T12:00:00Z", "2013-01-01T13:00:00Z"),
        ("1d", "0s", "2013-01-01T01:00:00+02:00", "2012-12-31T00:00:00Z", "2013-01-01T00:00:00Z"),
        ("1d", "6h", "2013-01-01T05:00:00Z", "2012-12-31T06:00:00Z", "2013-01-01T06:00:00Z"),
        ("15m", "0s", "1969-12-31T23:59:00Z", "1969-12-31T23:45:00Z", "1970-01-01T00:00:00Z"),
    ],
)
def test_a_moment_belongs_to_the_window_that_begins_at_or_before_it(size, offset, at, start, end):
    window = Window(Window.Config(time="at", size=size, offset=offset))

    rows = flushed(window, [{"at": moment(at)}])

    assert rows == [{"window_start": moment(start), "window_end": moment(end), "rows": 1}]


def test_windows_come_in_order_with_their_groups():
    window = Window(Window.Config(time="at", size="1h", by="k", of="n", stats=["sum"]))
    rows = [
        {"at": moment(f"2013-01-01T{clock}:00Z"), "k": key, "n": n}
        for clock, key, n in (("13:30", "b", 1), ("12:10", "b", 2), ("12:20", "a", 4), ("12:50", "b", 8))
    ]

    result = flushed(window, rows)

    assert [(row["window_start"].hour, row["k"], row["rows"], row["n_sum"]) for row in result] == [
        (12, "a", 1, 4),
        (12, "b", 2, 10),
        (13, "b", 1, 1),
    ]


@pytest.mark.parametrize(
    "at", [None, "2013-01-01T12:00:00Z", date(2013, 1, 1), moment("2013-01-01T00:00:00")]
)
def test_a_row_without_a_moment_fails(at):
    window = Window(Window.Config(time="at", size="1h"))

    with pytest.raises(WrongType, match="field 'at' should be a datetime"):
        window.accept(freeze({"at": at}))
    with pytest.raises(MissingField):
        window.accept(freeze({}))
    assert window.flush() == []


def test_a_window_beyond_the_calendar_fails_its_row_alone():
    window = Window(Window.Config(time="at", size="10d"))

    with pytest.raises(WrongType, match="between the years"):
        window.accept(freeze({"at": moment("9999-12-31T23:00:00Z")}))


# --- collect ---


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [{"items": [{"k": 2, "v": "a"}, {"k": 1, "v": "b"}, {"k": 2, "v": None}]}]),
        ({"of": "v", "into": "vs"}, [{"vs": ["a", "b", None]}]),
        ({"by": "k"}, [{"k": 1, "items": [{"v": "b"}]}, {"k": 2, "items": [{"v": "a"}, {"v": None}]}]),
        ({"by": ["k"], "of": "v"}, [{"k": 1, "items": ["b"]}, {"k": 2, "items": ["a", None]}]),
    ],
)
def test_collect_gathers_rows_and_values_in_their_order(options, expected):
    rows = [{"k": 2, "v": "a"}, {"k": 1, "v": "b"}, {"k": 2, "v": None}]

    assert flushed(Collect(Collect.Config(**options)), rows) == expected


def test_collect_refuses_a_row_without_its_fields():
    collect = Collect(Collect.Config(by="k", of="v"))

    with pytest.raises(MissingField, match="'v'"):
        collect.accept(freeze({"k": 1}))
    assert collect.flush() == []


@given(st.dictionaries(st.integers(), st.lists(st.integers(), min_size=1), min_size=1))
def test_collecting_what_was_exploded_gives_back_the_rows(lists):
    rows = [{"id": key, "tags": lists[key]} for key in sorted(lists)]
    explode = Explode(Explode.Config(field="tags", item_as="tag"))

    results = [explode.process(freeze(row), None) for row in rows]

    pieces = [piece for result in results if isinstance(result, Expand) for piece in result.rows]
    assert flushed(Collect(Collect.Config(by="id", of="tag", into="tags")), pieces) == rows


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (GroupStats.Config, {"by": ["a", "a"]}, "'a' is listed twice"),
        (GroupStats.Config, {"of": "n", "stats": ["median"]}, "'count', 'nulls', 'sum'"),
        (GroupStats.Config, {"of": "n", "stats": ["sum", "sum"]}, "listed twice"),
        (GroupStats.Config, {"of": "n", "quantiles": [1.5]}, "less than or equal to 1"),
        (GroupStats.Config, {"of": "n", "quantiles": [50]}, "less than or equal to 1"),
        (GroupStats.Config, {"by": "rows", "of": "n"}, "two fields of the output would be called 'rows'"),
        (GroupStats.Config, {"by": "n_sum", "of": "n"}, "two fields of the output would be called 'n_sum'"),
        (Window.Config, {"time": "at"}, "size"),
        (Window.Config, {"time": "at", "size": "0s"}, "greater than or equal to"),
        (Window.Config, {"time": "at", "size": "1h", "offset": "1h"}, "offset must be shorter than size"),
        (Window.Config, {"time": "at", "size": "1h", "by": "window_end"}, "the name of a window's bound"),
        (Collect.Config, {"by": "k", "into": "k"}, "'k' is a key field already"),
    ],
)
def test_aggregation_options_that_do_not_go_are_refused(config, options, message):
    with pytest.raises(ValidationError, match=message):
        config(**options)
