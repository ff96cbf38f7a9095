"""The Parquet source and sink."""

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frame.canonical import canonical, restore
from frame.errors import ConfigError, Refused, SourceError
from frame.plugin import InvalidRow
from frame_files.parquet_sink import ParquetSink
from frame_files.parquet_source import ParquetSource

ROW = {
    "text": "a,b",
    "int": 2**53 + 1,
    "float": 1.5,
    "yes": True,
    "decimal": Decimal("1.5"),
    "when": datetime(2013, 1, 1, 10, 0, 0, 5, tzinfo=UTC),
    "day": date(2013, 1, 1),
    "time": time(1, 2, 3, 4),
    "long": timedelta(seconds=-1.5),
    "bytes": b"\x00\xff",
}


def test_rows_come_back_with_their_types(drive, tmp_path):
    empty = dict.fromkeys(ROW)

    artifact = drive.written("parquet", tmp_path / "out.parquet", [empty], [ROW, empty], [ROW])

    assert drive.read("parquet", tmp_path / "out.parquet") == [empty, ROW, empty, ROW]
    data = (tmp_path / "out.parquet").read_bytes()
    assert (artifact.sha256, artifact.size_bytes) == (hashlib.sha256(data).digest(), len(data))
    assert artifact.rows == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_nested_values_and_uuids_are_text_and_declared_lists_are_lists(drive, tmp_path):
    row = {"id": UUID(int=1), "nested": {"b": 1, "a": [None]}, "list": [1, 2], "tags": ["x", None]}
    fields = {"id": "uuid", "nested": "object", "list": "any", "tags": "list[str]"}

    drive.written("parquet", tmp_path / "out", [row], fields=fields)

    assert drive.read("parquet", tmp_path / "out") == [
        {
            "id": "00000000-0000-0000-0000-000000000001",
            "nested": '{"a":[null],"b":1}',
            "list": "[1,2]",
            "tags": ["x", None],
        }
    ]


@pytest.mark.parametrize(
    ("first", "bad", "reason"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, "no column for 'b'"),
        ({"a": 1}, {"a": "1"}, "field 'a' is str and the column is int"),
        ({"a": 1}, {"a": 2**63}, "field 'a' does not fit its column (int)"),
        ({"a": 1}, {"a": True}, "is bool"),
        ({"a": 1.5}, {"a": 2**53 + 1}, "does not fit its column (float)"),
        ({"a": Decimal("1.5")}, {"a": Decimal("1e-19")}, "does not fit its column (decimal)"),
        ({"a": date(2013, 1, 1)}, {"a": datetime(2013, 1, 1, tzinfo=UTC)}, "is datetime"),
        ({"a": "x"}, {"a": "\ud800"}, "does not fit its column (str)"),
    ],
)
def test_a_value_that_does_not_fit_is_rejected_and_the_others_are_written(
    drive, tmp_path, first, bad, reason
):
    sink = drive.opened("parquet", tmp_path / "out")

    (rejected,) = drive.put(sink, [first, bad, {}, first])
    sink.finish(drive.context())

    assert rejected.index == 1
    assert reason in rejected.reason
    assert drive.read("parquet", tmp_path / "out") == [first, {"a": None}, first]


def test_a_row_that_is_rejected_for_its_fields_gives_no_column_its_type(drive, tmp_path):
    sink = drive.opened("parquet", tmp_path / "out")

    drive.put(sink, [{"a": None}])
    rejected = drive.put(sink, [{"a": "x", "b": 1}, {"a": 1}])
    sink.finish(drive.context())

    assert [one.index for one in rejected] == [0]
    assert drive.read("parquet", tmp_path / "out") == [{"a": None}, {"a": 1}]


def test_an_integer_that_a_float_holds_exactly_may_stand_in_a_float_column(drive, tmp_path):
    drive.written("parquet", tmp_path / "out", [{"a": 1.5}, {"a": 2}])

    assert repr(drive.read("parquet", tmp_path / "out")) == "[{'a': 1.5}, {'a': 2.0}]"


def test_row_groups_have_the_size_that_was_asked_for(drive, tmp_path):
    drive.written("parquet", tmp_path / "out", *[[{"a": n}] * 10 for n in range(10)], row_group_rows=40)

    file = pq.ParquetFile(tmp_path / "out")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [40, 40, 20]
    file.close()


def test_a_resumed_sink_takes_back_what_was_not_confirmed(drive, tmp_path):
    sink = drive.opened("parquet", tmp_path / "out")
    drive.put(sink, [{"a": 1, "b": None}])
    position = json.loads(json.dumps(sink.position()))
    drive.put(sink, [{"a": 9, "b": "lost"}])
    sink.close()

    resumed = drive.opened("parquet", tmp_path / "out", position)
    drive.put(resumed, [{"a": 2, "b": 2.5}])
    resumed.finish(drive.context())

    assert drive.read("parquet", tmp_path / "out") == [{"a": 1, "b": None}, {"a": 2, "b": 2.5}]


@pytest.mark.parametrize("names", ["abc", "cba"])
def test_a_resumed_sink_keeps_the_order_of_its_columns(drive, tmp_path, names):
    sink = drive.opened("parquet", tmp_path / "out")
    drive.put(sink, [dict.fromkeys(names, 1)])
    position = restore(canonical(sink.position()))
    sink.close()

    resumed = drive.opened("parquet", tmp_path / "out", position)
    drive.put(resumed, [dict.fromkeys(names, 2)])
    resumed.finish(drive.context())

    assert pq.read_schema(tmp_path / "out").names == list(names)


@pytest.mark.parametrize("mode", ["fail", "overwrite", "append"])
@pytest.mark.parametrize("spool_is_left", [True, False])
def test_a_file_that_was_published_before_the_run_stopped_is_left_as_it_is(
    drive, tmp_path, mode, spool_is_left
):
    target, spool = tmp_path / "out", tmp_path / "out.rows.part"
    if mode == "append":
        drive.written("parquet", target, [{"a": 0}])
    sink = drive.opened("parquet", target, on_existing=mode, row_group_rows=2)
    for rows in ([{"a": 1}], [{"a": 2}, {"a": 3}]):
        drive.put(sink, rows)
    position = sink.position()
    spooled = spool.read_bytes()
    artifact = sink.finish(drive.context())
    published = target.read_bytes()
    if spool_is_left:
        spool.write_bytes(spooled)

    again = drive.opened("parquet", target, position, on_existing=mode, row_group_rows=2)

    assert again.position() == position
    assert again.finish(drive.context()) == artifact
    assert target.read_bytes() == published
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_that_took_the_place_of_the_published_one_is_told(drive, tmp_path):
    sink = drive.opened("parquet", tmp_path / "out")
    drive.put(sink, [{"a": 1}, {"a": 2}])
    position = sink.position()
    sink.finish(drive.context())
    (tmp_path / "out").unlink()
    drive.written("parquet", tmp_path / "out", [{"a": 1}])

    with pytest.raises(Refused, match="has 1 rows, fewer than the 2"):
        drive.opened("parquet", tmp_path / "out", position)


def test_append_adds_rows_to_the_same_columns(drive, tmp_path):
    drive.written("parquet", tmp_path / "out", [{"a": 1, "b": "x"}])
    sink = drive.opened("parquet", tmp_path / "out", on_existing="append")

    rejected = drive.put(sink, [{"b": "y", "a": 2}, {"c": 1}])
    sink.finish(drive.context())

    assert [one.index for one in rejected] == [1]
    assert drive.read("parquet", tmp_path / "out") == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_append_to_what_is_no_parquet_is_refused(drive, tmp_path):
    (tmp_path / "out").write_bytes(b"a,b\n")

    with pytest.raises(ConfigError, match="cannot be appended to"):
        drive.opened("parquet", tmp_path / "out", on_existing="append")


def test_a_run_without_rows_leaves_a_file_with_the_declared_columns(drive, tmp_path):
    drive.written("parquet", tmp_path / "out", fields={"a": "int"})

    assert pq.read_schema(tmp_path / "out") == pa.schema([("a", pa.int64())])
    assert drive.read("parquet", tmp_path / "out") == []


def test_all_types_of_arrow_become_values_of_rows(drive, tmp_path):
    table = pa.table(
        {
            "naive": pa.array([datetime(2013, 1, 1)], pa.timestamp("ms")),  # noqa: DTZ001
            "zone": pa.array([datetime(2013, 1, 1, tzinfo=UTC)], pa.timestamp("ns", "Europe/Paris")),
            "category": pa.array(["x"]).dictionary_encode(),
            "struct": pa.array([{"at": datetime(2013, 1, 1), "n": [1]}]),  # noqa: DTZ001
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "small": pa.array([1], pa.uint8()),
            "half": pa.array([1.5], pa.float32()),
            "seconds": pa.array([time(1, 2, 3)], pa.time32("s")),
            "amount": pa.array([Decimal("1.50")]),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")

    assert drive.read("parquet", tmp_path / "in.parquet") == [
        {
            "naive": datetime(2013, 1, 1, tzinfo=UTC),
            "zone": datetime(2013, 1, 1, tzinfo=UTC),
            "category": "x",
            "struct": {"at": datetime(2013, 1, 1, tzinfo=UTC), "n": [1]},
            "map": {"k": 1},
            "small": 1,
            "half": 1.5,
            "seconds": time(1, 2, 3),
            "amount": Decimal("1.50"),
        }
    ]


def test_a_value_that_no_row_can_hold_makes_an_invalid_row_between_intact_ones(drive, tmp_path):
    table = pa.table({"n": [1, 2, 3], "at": pa.array([1000, 1001, None], pa.timestamp("ns", "UTC"))})
    pq.write_table(table, tmp_path / "in.parquet")

    first, bad, last = drive.read("parquet", tmp_path / "in.parquet")

    assert first == {"n": 1, "at": datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)}
    assert last == {"n": 3, "at": None}
    assert isinstance(bad, InvalidRow)
    assert bad.place == "in.parquet:row 2"
    assert b'"n": "2"' in bad.raw


def parts(tmp_path):
    """Two files of 25 rows in row groups of 10."""
    for part in (0, 1):
        numbers = list(range(part * 25, part * 25 + 25))
        pq.write_table(pa.table({"n": numbers}), tmp_path / f"{part}.parquet", row_group_size=10)
    return tmp_path / "*.parquet"


@pytest.mark.parametrize("taken", [0, 1, 7, 10, 24, 25, 26, 49, 50])
def test_reading_goes_on_from_any_position(drive, tmp_path, taken):
    path = parts(tmp_path)
    source = drive.started("parquet", path, batch_rows=7)
    rows = source.read()
    head = [next(rows) for _ in range(taken)]
    position = json.loads(json.dumps(source.position()))
    source.close()

    resumed = drive.started("parquet", path, batch_rows=7)
    resumed.seek(position)

    assert head + list(resumed.read()) == [{"n": n} for n in range(50)]
    assert resumed.evidence()["rows"] == 50


def test_a_file_that_was_changed_is_not_read_on(drive, tmp_path):
    path = parts(tmp_path)
    source = drive.started("parquet", path)
    next(source.read())
    position = source.position()
    pq.write_table(pa.table({"n": [7] * 25}), tmp_path / "0.parquet")

    with pytest.raises(Refused, match="has changed since it was read"):
        drive.started("parquet", path).seek(position)


def test_columns_can_be_chosen_and_have_names_of_their_own(drive, tmp_path):
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "in.parquet")
    pq.write_table(
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), tmp_path / "double.parquet"
    )

    assert drive.read("parquet", tmp_path / "in.parquet", columns=["b"]) == [{"b": 2}]
    with pytest.raises(ConfigError, match="no column 'c'"):
        drive.started("parquet", tmp_path / "in.parquet", columns=["c"])
    with pytest.raises(ConfigError, match="more than one column is named 'a'"):
        drive.started("parquet", tmp_path / "double.parquet")


def test_what_is_no_parquet_is_refused_at_the_start(drive, tmp_path):
    for name, data in (("empty", b""), ("text", b"a,b\n1,2\n")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigError, match=name):
            drive.started("parquet", tmp_path / name)


def test_a_damaged_row_group_stops_the_source_after_the_rows_before_it(drive, tmp_path):
    path = tmp_path / "in.parquet"
    numbers = [n * 7919 % 100_003 for n in range(100_000)]
    pq.write_table(
        pa.table({"n": numbers}), path, row_group_size=50_000, use_dictionary=False, write_page_checksum=True
    )
    data = bytearray(path.read_bytes())
    middle = len(data) * 3 // 4
    data[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(bytes(data))
    rows = drive.started("parquet", path).read()

    for number in numbers[:50_000]:
        assert next(rows) == {"n": number}
    with pytest.raises(SourceError, match=r"after row [5-9].*checksum"):
        list(rows)


@pytest.mark.parametrize(
    ("plugin", "options"),
    [
        (ParquetSource, {"path": "-"}),
        (ParquetSink, {"path": "-"}),
        (ParquetSink, {"path": "s3://bucket/out"}),
        (ParquetSink, {"path": "out", "fields": {"a": "integer"}}),
        (ParquetSink, {"path": "out", "fields": {}}),
        (ParquetSink, {"path": "out", "compression": "lzo"}),
    ],
)
def test_options_that_cannot_be_meant_are_refused(plugin, options):
    with pytest.raises(ValueError, match=r"."):
        plugin.Config(**options)
