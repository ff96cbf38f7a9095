"""dedupe, lookup, delay, python: transforms that know or do more than the row says."""

import asyncio
import hashlib
import sys
import time
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frame.errors import ConfigError, MissingField, WrongType
from frame.plugin import Determinism, Drop, Fail, FieldType, Schema
from frame.rows import freeze
from frame_std.transforms.dedupe import Dedupe
from frame_std.transforms.delay import Delay
from frame_std.transforms.lookup import Lookup
from frame_std.transforms.python import Python
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

# --- dedupe ---


def passed(dedupe, rows, at):
    results = [dedupe.process(freeze(row), at(token=token)) for token, row in enumerate(rows)]
    return [row for row, result in zip(rows, results, strict=True) if not isinstance(result, Drop)]


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({"keys": ["k"]}, [1, 1, 2, 1], [1, 2]),
        ({"keys": ["k"]}, [1, 1.0, "1", True, None, None], [1, 1.0, "1", True, None]),
        ({"keys": ["k"]}, [[1], [1], [1.0], {"a": 1}, {"a": 1}], [[1], [1.0], {"a": 1}]),
        ({}, [1, 2, 1], [1, 2]),
        ({"keys": ["k"], "window": 2}, [1, 2, 1, 3, 1], [1, 2, 3, 1]),
    ],
)
def test_dedupe_keeps_the_first_row_of_each_key(options, values, expected, at):
    rows = [{"k": value} for value in values]

    kept = [row["k"] for row in passed(Dedupe(Dedupe.Config(**options)), rows, at)]

    assert list(map(repr, kept)) == list(map(repr, expected))


def test_a_row_that_is_processed_again_is_no_duplicate_of_itself(at):
    dedupe = Dedupe(Dedupe.Config(keys=["k"]))
    row = freeze({"k": 1})

    first, again = (dedupe.process(row, at(token=5, attempt=attempt)) for attempt in (0, 1))
    other = dedupe.process(row, at(token=6))

    assert (first, again) == (row, row)
    assert other == Drop("duplicate of an earlier row in 'k'")


def test_dedupe_fails_a_row_without_its_key(context):
    with pytest.raises(MissingField, match="'k'"):
        Dedupe(Dedupe.Config(keys=["k"])).process(freeze({"a": 1}), context)


def test_dedupe_says_that_its_answer_depends_on_more_than_the_row():
    assert Dedupe.determinism is Determinism.NON_DETERMINISTIC


@given(st.lists(st.tuples(st.integers(0, 5), st.integers())))
def test_dedupe_passes_each_key_once_in_order_of_its_first_row(pairs):
    rows = [{"k": key, "v": value} for key, value in pairs]

    kept = passed(Dedupe(Dedupe.Config(keys=["k"])), rows, lambda token: SimpleNamespace(token=token))

    first = {row["k"]: row for row in reversed(rows)}
    assert kept == [first[key] for key in dict.fromkeys(row["k"] for row in rows)]
    assert passed(Dedupe(Dedupe.Config(keys=["k"])), kept, lambda token: SimpleNamespace(token=token)) == kept


# --- lookup ---

AIRLINES = "carrier,name,fleet\nUA,United,700\nAA,American,NA\n"


@pytest.fixture
def airlines(tmp_path):
    path = tmp_path / "airlines.csv"
    path.write_text(AIRLINES)
    return path


def started(options, context):
    lookup = Lookup(Lookup.Config(**options))
    lookup.start(context)
    return lookup


def test_lookup_adds_the_fields_of_the_row_with_the_same_key(airlines, context):
    lookup = started({"path": str(airlines), "key": "carrier", "take": ["name"]}, context)

    assert lookup.process(freeze({"carrier": "AA"}), context) == {"carrier": "AA", "name": "American"}


def test_lookup_types_the_tables_text_and_reads_nulls(airlines, context):
    options = {"path": str(airlines), "key": "code", "table_key": "carrier", "take": ["fleet"]}
    lookup = started(
        {**options, "types": {"fleet": "int?"}, "null_values": ["NA"], "prefix": "airline_"}, context
    )

    results = [lookup.process(freeze({"code": code}), context) for code in ("UA", "AA")]

    assert results == [{"code": "UA", "airline_fleet": 700}, {"code": "AA", "airline_fleet": None}]


@pytest.mark.parametrize(
    ("on_missing", "expected"),
    [
        ("null", {"carrier": "ZZ", "name": None}),
        ("drop", Drop("'carrier' 'ZZ' is not in airlines.csv")),
        ("fail", Fail("'carrier' 'ZZ' is not in airlines.csv")),
    ],
)
@pytest.mark.parametrize("key", ["ZZ", None])
def test_what_becomes_of_a_row_whose_key_is_not_there(on_missing, key, expected, airlines, context):
    lookup = started(
        {"path": str(airlines), "key": "carrier", "take": ["name"], "on_missing": on_missing}, context
    )

    result = lookup.process(freeze({"carrier": key}), context)

    assert repr(result) == repr(expected).replace("'ZZ'", repr(key))


def test_a_key_of_another_type_is_an_error_and_not_a_miss(airlines, context):
    lookup = started(
        {"path": str(airlines), "key": "carrier", "take": ["name"], "on_missing": "drop"}, context
    )

    with pytest.raises(WrongType, match="'carrier' should be str, as the table's keys are and is int"):
        lookup.process(freeze({"carrier": 7}), context)


def test_lookup_overwrites_nothing(airlines, context):
    lookup = started({"path": str(airlines), "key": "carrier", "take": ["name"]}, context)

    result = lookup.process(freeze({"carrier": "UA", "name": "mine"}), context)

    assert result == Fail("a field 'name' is already there; give `prefix`, or drop it first")
    with pytest.raises(ValueError, match="the rows have a field 'name' already"):
        lookup.provides(Schema({"name": FieldType("str")}))


def test_lookup_tells_which_file_it_read(airlines, context):
    lookup = started({"path": str(airlines), "key": "carrier", "take": ["name"]}, context)

    assert lookup.evidence() == {
        "path": str(airlines),
        "size_bytes": len(AIRLINES),
        "sha256": hashlib.sha256(AIRLINES.encode()).hexdigest(),
        "rows": 2,
    }


def test_json_lines_and_parquet_tables_keep_their_types(tmp_path, context):
    jsonl, parquet = tmp_path / "t.jsonl", tmp_path / "t.parquet"
    jsonl.write_text('{"id": 1, "tags": ["a"]}\n\n{"id": 2, "tags": []}\n')
    pq.write_table(pa.Table.from_pylist([{"id": 1, "tags": ["a"]}, {"id": 2, "tags": []}]), parquet)

    for path in (jsonl, parquet):
        lookup = started({"path": str(path), "key": "id", "take": ["tags"]}, context)
        assert lookup.process(freeze({"id": 1}), context) == {"id": 1, "tags": ["a"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"carrier,name\nUA,a\nUA,b\n", "t.csv:3: the key 'UA' stands in 'carrier' a second time"),
        ("t.csv", b"carrier,carrier\n", "t.csv:1: column 'carrier' is listed twice"),
        ("t.csv", b"carrier,\n", "t.csv:1: column '' is empty"),
        ("t.csv", b"carrier,name\nUA\n", "t.csv:2: 1 values for 2 columns"),
        ("t.csv", b'carrier,name\nUA,"x"y\n', "t.csv:2: "),
        ("t.csv", b"carrier,name\nUA,\xff\n", "byte 16 is not UTF-8"),
        ("t.csv", b"code,name\nUA,x\n", "t.csv:2: no field 'carrier'; there are 'code', 'name'"),
        ("t.jsonl", b'{"carrier": null, "name": 1}\n', "t.jsonl:1: the key 'carrier' is null"),
        ("t.jsonl", b'{"carrier": 1, "carrier": 2}\n', "a key stands twice"),
        ("t.jsonl", b'{"carrier": NaN}\n', "NaN is not JSON"),
        ("t.jsonl", b"[1]\n", "t.jsonl:1: not a JSON object"),
        ("t.jsonl", b"[" * 100_000, "t.jsonl:1: "),
        ("t.parquet", b"PAR0", "t.parquet: "),
    ],
)
def test_a_table_that_cannot_be_trusted_stops_the_run_before_the_first_row(
    name, content, message, tmp_path, context
):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(ConfigError) as refusal:
        started({"path": str(path), "key": "carrier", "take": ["name"]}, context)

    assert message in str(refusal.value)


def test_a_table_that_is_not_there_is_named(tmp_path, context):
    with pytest.raises(ConfigError, match=r"none\.csv cannot be read: No such file"):
        started({"path": str(tmp_path / "none.csv"), "key": "k", "take": ["v"]}, context)
    with pytest.raises(ConfigError, match="is not a file"):
        started({"path": str(tmp_path), "format": "csv", "key": "k", "take": ["v"]}, context)


def test_a_pinned_table_must_be_the_pinned_one(airlines, context):
    options = {"path": str(airlines), "key": "carrier", "take": ["name"]}

    started({**options, "sha256": hashlib.sha256(AIRLINES.encode()).hexdigest()}, context)
    with pytest.raises(ConfigError, match="is not the pinned file"):
        started({**options, "sha256": "0" * 64}, context)


def test_lookup_says_what_it_adds():
    config = Lookup.Config(
        path="t.csv", key="k", take=["n", "m"], types={"n": "int"}, on_missing="null", prefix="t_"
    )

    provided = Lookup(config).provides(Schema({"k": FieldType("str")}, complete=True))

    assert {name: str(kind) for name, kind in provided.fields.items()} == {
        "k": "str",
        "t_n": "int?",
        "t_m": "any?",
    }


# --- delay ---


def test_delay_hands_on_the_very_row_after_its_time(context):
    delay = Delay(Delay.Config(duration="20ms"))
    row = freeze({"id": 1})

    async def both():
        return await asyncio.gather(delay.process(row, context), delay.process(row, context))

    began = time.monotonic()
    results = asyncio.run(both())

    assert results[0] is row
    assert results[1] is row
    assert time.monotonic() - began >= 0.02


@pytest.mark.parametrize("duration", ["50ms", 0.05])
def test_durations_are_text_or_seconds(duration):
    assert Delay.Config(duration=duration).model_dump(mode="json") == {"duration": "0.05s"}


# --- python ---


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """A module `std_test_functions` for the pipeline to call."""
    content = """
from frame.plugin import Drop, Expand
def add(row, amount=1):
    return {**row, "n": row["n"] + amount}
def skip(row):
    return Drop("no")
def twice(row):
    return Expand([row, row])
def forget(row):
    {**row}
def numbers(row):
    yield row
async def later(row):
    return row
constant = 5
class Kept:
    @staticmethod
    def same(row):
        return row
"""
    (tmp_path / "std_test_functions.py").write_text(content)
    (tmp_path / "std_test_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield hashlib.sha256(content.encode()).hexdigest()
    for name in ("std_test_functions", "std_test_broken"):
        sys.modules.pop(name, None)


def called(options, row, context):
    python = Python(Python.Config(**options))
    python.start(context)
    return python.process(freeze(row), context)


def test_python_calls_the_function_with_the_row_and_its_arguments(functions, context):
    name = "std_test_functions:"

    assert called({"function": name + "add"}, {"n": 1}, context) == {"n": 2}
    assert called({"function": name + "add", "arguments": {"amount": 5}}, {"n": 1}, context) == {"n": 6}
    assert called({"function": name + "skip"}, {"n": 1}, context) == Drop("no")
    assert called({"function": name + "Kept.same"}, {"n": 1}, context) == {"n": 1}


def test_a_function_that_forgets_to_return_loses_no_row(functions, context):
    result = called({"function": "std_test_functions:forget"}, {"n": 1}, context)

    assert result == Fail(
        "std_test_functions:forget returned null; return a row, or Drop(reason) to leave it out"
    )


def test_python_tells_which_source_it_ran(functions, context):
    python = Python(Python.Config(function="std_test_functions:add"))

    python.start(context)

    assert python.evidence()["sha256"] == functions


def test_python_is_as_deterministic_as_its_author_says(functions):
    unsaid = Python(Python.Config(function="std_test_functions:add"))
    said = Python(
        Python.Config(function="std_test_functions:twice", determinism="deterministic", expands=True)
    )

    assert (unsaid.determinism, unsaid.expands) == (Determinism.NON_DETERMINISTIC, False)
    assert (said.determinism, said.expands) == (Determinism.DETERMINISTIC, True)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("std_test_functions:nothing", "cannot be imported: AttributeError"),
        ("std_test_broken:f", "cannot be imported: ZeroDivisionError: division by zero"),
        ("std_test_functions:constant", "is a int, which cannot be called"),
        ("std_test_functions:later", "is async or a generator"),
        ("std_test_functions:numbers", "is async or a generator"),
    ],
)
def test_a_function_that_cannot_be_called_stops_the_run_before_the_first_row(
    function, message, functions, context
):
    with pytest.raises(ConfigError, match=message):
        called({"function": function}, {}, context)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("no colon", "should be written as package.module:function"),
        ("std_test_nowhere:f", "there is no module 'std_test_nowhere'"),
        ("std_test_nowhere.inner:f", "module 'std_test_nowhere.inner' cannot be found"),
    ],
)
def test_a_module_that_cannot_be_found_is_refused_when_the_pipeline_is_built(function, message):
    config = Python.Config(function=function)

    with pytest.raises(ValueError, match=message):
        Python(config)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (Dedupe.Config, {"keys": ["k"], "window": 0}, "greater than or equal to 1"),
        (Delay.Config, {"duration": "5 minutes"}, "is not a duration; write a number and a unit"),
        (Delay.Config, {"duration": -1}, "is not a duration"),
        (Delay.Config, {"duration": True}, "a duration is written as"),
        (Delay.Config, {"duration": "2d"}, "less than or equal to"),
        (Lookup.Config, {"path": "t.txt", "key": "k", "take": ["v"]}, "set format to csv, jsonl or parquet"),
        (Lookup.Config, {"path": "t.csv", "key": "k", "take": []}, "at least 1"),
        (
            Lookup.Config,
            {"path": "t.csv", "key": "k", "take": ["v"], "types": {"w": "int"}},
            "neither the key nor taken",
        ),
        (
            Lookup.Config,
            {"path": "t.csv", "key": "k", "take": ["v"], "on_missing": "skip"},
            "'fail', 'null' or 'drop'",
        ),
        (Python.Config, {"function": "a:b", "determinism": "yes"}, "deterministic"),
    ],
)
def test_stateful_options_that_do_not_go_are_refused(config, options, message):
    with pytest.raises(ValidationError, match=message):
        config(**options)
