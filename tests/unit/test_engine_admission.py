"""Source rows against their schema: what is read as what, what is refused, and where refused rows go."""

import decimal
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from frame.config.in_code import pipeline
from frame.engine.admission import Admission, identifier, observe
from frame.events import Noted, Path, PayloadKind, RowInvalid, RunStatus
from frame.graph.model import SchemaMode, SourceNode
from frame.plugin import InvalidRow
from frame.plugin.schema import parse_field_type
from frame.testing import ListSink, ListSource, TestRun, run_pipeline

D = decimal.Decimal
PLUS2 = timezone(timedelta(hours=2))
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
REFUSED = object()


def admission(fields: Mapping[str, str], *, text: bool, mode: SchemaMode = SchemaMode.FLEXIBLE) -> Admission:
    kinds = {name: parse_field_type(kind) for name, kind in fields.items()}
    plugin: Any = None
    to: Any = None
    return Admission(SourceNode(0, "source", plugin, mode, kinds, False, None, to), text)


def read(kind: str, value: Any, *, text: bool) -> Any:
    admitted = admission({"x": kind}, text=text).admit([{"x": value}])
    return admitted.rows[0]["x"] if admitted.rows else REFUSED


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", "12", 12), ("int", " 12 ", 12), ("int", "+5", 5), ("int", "-007", -7), ("int", "9" * 25, 10**25 - 1),
        ("int", "1_000", REFUSED), ("int", "1.0", REFUSED), ("int", "1e3", REFUSED), ("int", "0x10", REFUSED),
        ("int", "", REFUSED), ("int", "٣", REFUSED), ("int", None, REFUSED), ("int?", None, None),
        ("float", "1.5", 1.5), ("float", " .5", 0.5), ("float", "1e5", 1e5), ("float", "1_000.5", REFUSED),
        ("float", "nan", REFUSED), ("float", "-inf", REFUSED), ("float", "1e400", REFUSED),
        ("decimal", "12.50", D("12.50")), ("decimal", "1e400", D("1e400")), ("decimal", "1_0", REFUSED),
        ("decimal", "NaN", REFUSED), ("decimal", "٣", REFUSED),
        ("bool", "true", True), ("bool", "No", False), ("bool", "1", True), ("bool", "2", REFUSED),
        ("str", " a ", " a "), ("str", "", ""),
        ("datetime", "2013-01-01T12:00:00Z", NOON), ("datetime", "2013-01-01 14:00+02:00", NOON),
        ("datetime", "2013-01-01T12:00:00", REFUSED), ("datetime", "1356998400", REFUSED), ("datetime", "17", REFUSED),
        ("datetime", "2013-01-01", REFUSED), ("datetime", "0001-01-01T00:00:00+05:00", REFUSED),
        ("datetime", "9999-12-31T23:59:59-05:00", REFUSED), ("datetime", "2013-02-30T00:00:00Z", REFUSED),
        ("date", "2013-01-31", date(2013, 1, 31)), ("date", "2013-02-29", REFUSED), ("date", "17", REFUSED),
        ("time", "05:00", time(5)), ("time", "17", REFUSED),
        ("duration", "PT1H30M", timedelta(minutes=90)), ("duration", "01:30:00", timedelta(minutes=90)),
        ("duration", "90", REFUSED),
        ("uuid", "00000000-0000-0000-0000-000000000003", UUID(int=3)), ("uuid", "3", REFUSED),
        ("bytes", "ab", b"ab"),
        ("list[int]", "[1, 2]", [1, 2]), ("list[int]", "[1.5]", REFUSED), ("list[int]", "[NaN]", REFUSED),
        ("object", '{"a": 1}', {"a": 1}), ("object", "[1]", REFUSED), ("object", "{", REFUSED),
    ],
)  # fmt: skip
def test_what_text_is_read_as(kind: str, value: Any, expected: Any) -> None:
    value = read(kind, value, text=True)

    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", 2**70, 2**70), ("int", True, REFUSED), ("int", 1.0, REFUSED), ("int", "1", REFUSED),
        ("float", 2.5, 2.5), ("float", 1, 1.0), ("float", True, REFUSED), ("float", "1", REFUSED),
        ("float", float("nan"), REFUSED), ("float", float("inf"), REFUSED),
        ("bool", True, True), ("bool", 1, REFUSED), ("bool", "true", REFUSED),
        ("str", "a", "a"), ("str", 1, REFUSED),
        ("decimal", "1.50", D("1.50")), ("decimal", D(2), D(2)), ("decimal", 2, D(2)), ("decimal", 1.5, D("1.5")),
        ("decimal", True, REFUSED), ("decimal", "1_0", REFUSED), ("decimal", D("NaN"), REFUSED),
        ("datetime", "2013-01-01T12:00:00Z", NOON), ("datetime", datetime(2013, 1, 1, 14, tzinfo=PLUS2), NOON),
        ("datetime", NOON.replace(tzinfo=None), REFUSED), ("datetime", 1356998400, REFUSED),
        ("datetime", 1.5, REFUSED),
        ("date", "2013-01-31", date(2013, 1, 31)), ("date", 17, REFUSED), ("time", 17, REFUSED),
        ("duration", 17, REFUSED), ("duration", timedelta(1), timedelta(1)),
        ("uuid", UUID(int=3), UUID(int=3)), ("uuid", b"1234567812345678", REFUSED),
        ("bytes", b"ab", b"ab"), ("bytes", 3, REFUSED),
        ("list[datetime?]", ["2013-01-01T12:00:00Z", None], [NOON, None]), ("list[int]", [True], REFUSED),
        ("object", {"a": {"b": 1}}, {"a": {"b": 1}}), ("object", [1], REFUSED), ("object?", None, None),
        ("any", [1, "a", None], [1, "a", None]),
    ],
)  # fmt: skip
def test_what_typed_values_may_be(kind: str, value: Any, expected: Any) -> None:
    value = read(kind, value, text=False)

    assert (value, type(value)) == (expected, type(expected))


def test_moments_are_in_utc() -> None:
    assert read("datetime", "2013-01-01T14:00:00+02:00", text=True).tzinfo is UTC


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("kind", ["int", "float", "decimal", "bool", "datetime", "date", "uuid", "list[int]"])
def test_a_fault_names_the_field_and_not_the_value(kind: str, text: bool) -> None:
    admitted = admission({"price": kind}, text=text).admit([{"price": "s3cr3t_value"}])

    assert admitted.wrong[0].startswith("field 'price'")
    assert "s3cr3t" not in admitted.wrong[0]


def test_all_faults_of_a_row_are_told_and_rows_that_fit_stay() -> None:
    admitted = admission({"a": "int", "b": "int"}, text=True).admit(
        [{"a": "1", "b": "2"}, {"a": "x", "b": "y"}, {"a": "1_0", "b": "2"}, {"a": "3", "b": "4"}]
    )

    assert (admitted.rows, list(admitted.indexes)) == ([{"a": 1, "b": 2}, {"a": 3, "b": 4}], [0, 3])
    assert (admitted.wrong[1].count("field"), list(admitted.wrong)) == (2, [1, 2])


# --- Modes -----------------------------------------------------------------------------------------


def test_a_fixed_schema_refuses_other_fields_and_a_flexible_one_passes_them() -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "more": object}, {"a": 2}]

    fixed = admission({"a": "int"}, text=False, mode=SchemaMode.FIXED).admit(rows)
    flexible = admission({"a": "int"}, text=False).admit(rows)

    assert (fixed.rows, fixed.wrong) == (
        [{"a": 2}],
        {0: "field 'more': is not in the schema, which is fixed"},
    )
    assert flexible.rows == rows


def test_a_declared_field_has_to_be_there_even_if_it_may_be_null() -> None:
    admitted = admission({"a": "int?"}, text=False).admit([{"b": 1}, {"a": None}])

    assert (admitted.rows, admitted.wrong) == ([{"a": None}], {0: "field 'a': is missing"})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", None], "int?"), (["1", "2.5"], "float?"), (["1", "1_0"], "str?"), (["007", "012"], "str?"),
        (["007", "1.5"], "str?"), (["nan"], "str?"), (["1e400"], "str?"), (["true", "False"], "bool?"),
        (["1", "true"], "str?"), (["2013-01-01T00:00:00Z"], "datetime?"), (["2013-01-01"], "date?"),
        (["2013-01-01 05:00:00"], "str?"), (["2013-01-01", "2013-02-30"], "str?"), (["", "1"], "str?"),
        ([None], "any"),
    ],
)  # fmt: skip
def test_the_narrowest_type_of_text_that_loses_nothing_is_observed(values: Sequence[Any], kind: str) -> None:
    [observed] = observe([{"x": value} for value in values], text=True).values()

    assert str(observed).removesuffix("?") == kind.removesuffix("?")


def test_an_observed_schema_is_locked_by_the_first_chunk_and_a_field_may_be_absent() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2}, {"b": "y", "a": 3}, {"a": "four"}, {"c": 1.5}]

    ran = run(rows, settings={"chunk_rows": 2})

    assert [dict(row) for row in ran.written["out"]] == [
        {"a": 1, "b": "x"}, {"a": 2}, {"a": 3, "b": "y"}, {"c": 1.5}
    ]  # fmt: skip
    [note] = [event for event in ran.events if isinstance(event, Noted) and event.kind == "schema_observed"]
    assert note.detail == {"fields": {"a": "int?", "b": "str?"}}
    assert ran.result.counters["invalid"] == 1


# --- Where refused rows go -------------------------------------------------------------------------


def run(rows: Sequence[Any], settings: Mapping[str, Any] | None = None, **source: Any) -> TestRun:
    sinks = ("out", "bad") if source.get("on_invalid") == "bad" else ("out",)
    return run_pipeline(
        pipeline(
            "admission",
            source={"plugin": ListSource(rows), "to": "out", **source},
            sinks={name: ListSink() for name in sinks},
            settings=settings or {},
        )
    )


FIELDS = {"mode": "flexible", "fields": {"n": "int"}}


def test_a_refused_row_reaches_its_sink_as_it_came_with_what_is_wrong() -> None:
    rows = [{"n": 1}, {"n": "two", "m": [1]}, InvalidRow(b"3;\xff", "no such byte", "in.csv:4"), {"n": 4}]

    ran = run(rows, schema=FIELDS, on_invalid="bad")

    assert [row["n"] for row in ran.written["out"]] == [1, 4]
    one, other = ran.written["bad"]
    assert (one["n"], one["m"], one["_error"]["node"]) == ("two", [1], "source")
    assert one["_error"]["message"] == "field 'n': input should be a valid integer"
    assert (other["_raw"], other["_error"]["message"]) == ("3;\\xff", "no such byte")
    assert [event.place for event in ran.events if isinstance(event, RowInvalid)] == ["", "in.csv:4"]
    assert ran.state.ended == {Path.DEFAULT_FLOW: 2, Path.INVALID_AT_SOURCE: 2}


@pytest.mark.parametrize("on_invalid", [{}, {"on_invalid": "discard"}])
def test_a_refused_row_without_a_sink_is_on_record_all_the_same(on_invalid: Mapping[str, Any]) -> None:
    ran = run([{"n": 1}, {"n": "two"}], schema=FIELDS, **on_invalid)

    assert ran.result.status is RunStatus.COMPLETED_WITH_FAILURES
    assert ran.result.counters == {**ran.result.counters, "invalid": 1, "succeeded": 1, "open": 0}
    [block] = [p for chunk in ran.recorder.chunks for p in chunk.payloads if p.kind is PayloadKind.ROWS]
    assert list(block.items) == [b'{"n":1}', b'{"n":"two"}']


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"n": 1, "x": float("nan")}, "x"),
        ({"n": 1, "x": {"deep": [float("inf")]}}, "x.deep[0]"),
        ({"n": 1, "x": "\ud800"}, "x"),
        ({"n": 1, 2: "x"}, "2"),
        ({"n": 1, "x": {1, 2}}, "x"),
        (None, "NoneType"),
        ([("n", 1)], "list"),
    ],
)
def test_what_cannot_be_a_row_fails_alone_and_says_why(bad: Any, why: str) -> None:
    ran = run([{"n": 1}, bad, {"n": 3}], schema=FIELDS)

    [event] = [event for event in ran.events if isinstance(event, RowInvalid)]
    assert why in event.error.message
    assert [row["n"] for row in ran.written["out"]] == [1, 3]


# --- Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Dep. Delay (min)", "dep_delay_min"), ("2nd", "_2nd"), ("m²", "m"), ("Ärger", "ärger"),
        ("A\u030a", "å"), ("...", "_"), ("a__b", "a_b"), ("already_fine", "already_fine"),
    ],
)  # fmt: skip
def test_a_name_becomes_an_identifier(name: str, short: str) -> None:
    assert identifier(name) == short
    assert short.isidentifier()


def test_normalized_names_are_on_record_also_those_that_come_later() -> None:
    ran = run(
        [{"Full Name": "a"}, {"Full Name": "b", "An Age": 3}], normalize=True, settings={"chunk_rows": 1}
    )

    assert [dict(row) for row in ran.written["out"]] == [{"full_name": "a"}, {"full_name": "b", "an_age": 3}]
    notes = [event for event in ran.events if isinstance(event, Noted) and event.kind == "names_normalized"]
    assert [note.detail["names"] for note in notes] == [
        {"Full Name": "full_name"},
        {"Full Name": "full_name", "An Age": "an_age"},
    ]


def test_names_that_become_one_stop_the_run_before_their_rows_are_in() -> None:
    ran = run([{"a b": 1}, {"a b": 2}, {"A-B": 3, "a b": 4}], normalize=True, settings={"chunk_rows": 2})

    assert ran.result.error is not None
    assert "fields 'a b' and 'A-B' would both be called 'a_b'" in ran.result.error.message
    assert [row["a_b"] for row in ran.written["out"]] == [1, 2]
    assert [chunk.position for chunk in ran.recorder.chunks if chunk.position is not None] == [2]
