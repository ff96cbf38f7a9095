"""What the CSV and JSON Lines sinks write, publish, refuse and take back."""

import csv
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
import zstandard
from frame.errors import ConfigError, Refused, SinkError, TryAgainLater
from frame.plugin import Delivery, Rejected
from frame_files.csv_sink import CsvSink
from hypothesis import given, settings
from hypothesis import strategies as st

ROW = {
    "text": "a,b",
    "int": 2**70,
    "float": 1.5,
    "yes": True,
    "no": False,
    "null": None,
    "decimal": Decimal("1.50"),
    "when": datetime(2013, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
    "day": date(2013, 1, 1),
    "time": time(1, 2, 3),
    "long": timedelta(seconds=-1.5),
    "id": UUID(int=1),
    "bytes": b"\x00\xff",
    "nested": {"b": [1, None], "a": Decimal(1)},
    "list": ["ä"],
}


def test_a_csv_row_has_its_values_as_text_in_the_order_of_the_first_row(drive, tmp_path):
    drive.written("csv", tmp_path / "out.csv", [ROW])

    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        header, cells = csv.reader(file)
    assert header == list(ROW)
    assert cells == [
        "a,b",
        str(2**70),
        "1.5",
        "true",
        "false",
        "",
        "1.50",
        "2013-01-01T10:00:00Z",
        "2013-01-01",
        "01:02:03",
        "-PT1.5S",
        "00000000-0000-0000-0000-000000000001",
        "AP8=",
        '{"a":"1","b":[1,null]}',
        '["ä"]',
    ]


def test_a_json_line_keeps_numbers_and_writes_the_rest_as_strings(drive, tmp_path):
    drive.written("jsonl", tmp_path / "out.jsonl", [ROW])

    row = json.loads((tmp_path / "out.jsonl").read_text("utf-8"))
    assert row == {
        **ROW,
        "decimal": "1.50",
        "when": "2013-01-01T10:00:00Z",
        "day": "2013-01-01",
        "time": "01:02:03",
        "long": "-PT1.5S",
        "id": "00000000-0000-0000-0000-000000000001",
        "bytes": "AP8=",
        "nested": {"a": "1", "b": [1, None]},
    }


def test_a_row_with_another_field_is_rejected_and_a_missing_one_is_empty(drive, tmp_path):
    sink = drive.opened("csv", tmp_path / "out.csv")

    rejected = drive.put(sink, [{"a": 1, "b": 2}, {"b": 3}, {"a": 4, "c": 5}, {"b": 6, "a": 7}])
    sink.finish(drive.context())

    assert rejected == [Rejected(2, "the file has no column for 'c'")]
    assert (tmp_path / "out.csv").read_bytes() == b"a,b\n1,2\n,3\n7,6\n"


@pytest.mark.parametrize(
    ("kind", "bad"),
    [("csv", {"a": "\ud800"}), ("jsonl", {"a": "\ud800"}), ("jsonl", {"a": float("nan")}), ("csv", {})],
)
def test_a_row_that_cannot_be_written_is_rejected_and_the_others_are_written(drive, tmp_path, kind, bad):
    sink = drive.opened(kind, tmp_path / "out")

    rejected = drive.put(sink, [{"a": "x"}, bad or {"b": 1}, {"a": "y"}])
    artifact = sink.finish(drive.context())

    assert [one.index for one in rejected] == [1]
    assert artifact.rows == 2
    expected = b"a\nx\ny\n" if kind == "csv" else b'{"a":"x"}\n{"a":"y"}\n'
    assert (tmp_path / "out").read_bytes() == expected


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM", "'@SUM"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("+x", "'+x"),
        ("-", "'-"),
        ("-5", "-5"),
        ("+1.5e3", "+1.5e3"),
        ("-.5", "-.5"),
        ("-5+1", "'-5+1"),
        ("a=1", "a=1"),
        ("", ""),
        ("-٥", "-٥"),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_escaped(drive, tmp_path, text, cell):
    drive.written("csv", tmp_path / "a.csv", [{"n": 1, "x": text}, {"n": -2, "x": "y"}])
    drive.written("csv", tmp_path / "b.csv", [{"n": 1, "x": text}], escape_formulas=False)

    assert drive.read("csv", tmp_path / "a.csv", null_values=[])[0] == {"n": "1", "x": cell}
    assert drive.read("csv", tmp_path / "a.csv")[1] == {"n": "-2", "x": "y"}
    assert drive.read("csv", tmp_path / "b.csv", null_values=[])[0] == {"n": "1", "x": text}


def test_the_options_of_the_csv_sink(drive, tmp_path):
    drive.written(
        "csv", tmp_path / "a.csv", [{"a": 1, "b": None}], delimiter=";", null_value="NA", fields=["b", "a"]
    )
    drive.written("csv", tmp_path / "b.csv", [{"a": 1}], header=False)
    drive.written("csv", tmp_path / "c.csv", fields=["x", "=y"])

    assert (tmp_path / "a.csv").read_text() == "b;a\nNA;1\n"
    assert (tmp_path / "b.csv").read_text() == "1\n"
    assert (tmp_path / "c.csv").read_text() == "x,'=y\n"


@pytest.mark.parametrize(
    "options",
    [
        {"path": "../x"},
        {"path": "a/../../x"},
        {"path": "~/x"},
        {"path": "a\0b"},
        {"path": ""},
        {"path": "a/"},
        {"path": "a.zip"},
        {"path": "a", "delimiter": '"'},
        {"path": "a", "fields": []},
        {"path": "a", "fields": ["a", "a"]},
        {"path": "a", "on_existing": "ignore"},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(ValueError, match=r"."):
        CsvSink.Config(**options)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_target_appears_whole_at_the_end_and_missing_folders_are_made(drive, tmp_path, kind):
    target = tmp_path / "new" / "folder" / "out"
    sink = drive.opened(kind, target)
    drive.put(sink, [{"a": 1}])
    sink.position()

    assert [path.name for path in target.parent.iterdir()] == ["out.part"]
    artifact = sink.finish(drive.context())
    sink.close()
    sink.close()

    data = target.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert (artifact.uri, artifact.size_bytes) == (target.as_uri(), len(data))
    assert (artifact.sha256, artifact.rows) == (hashlib.sha256(data).digest(), 1)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_run_without_rows_leaves_an_empty_file(drive, tmp_path, kind):
    drive.written(kind, tmp_path / "out", [])
    drive.written(kind, tmp_path / "out.gz", [])

    assert (tmp_path / "out").read_bytes() == b""
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == b""
    assert drive.read(kind, tmp_path / "out.gz") == []


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_existing_file_is_refused_before_anything_is_written(drive, tmp_path, kind):
    (tmp_path / "out").write_bytes(b"precious")

    with pytest.raises(ConfigError, match=r"sink.options.path: .*out exists already(.|\n)*on_existing"):
        drive.opened(kind, tmp_path / "out")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out", b"precious")]


def test_overwrite_keeps_the_old_file_until_the_end(drive, tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    sink = drive.opened("jsonl", target, on_existing="overwrite")
    drive.put(sink, [{"a": 1}])
    assert target.read_bytes() == b"old"

    sink.finish(drive.context())

    assert target.read_bytes() == b'{"a":1}\n'


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_run_that_never_wrote_leaves_nothing_and_can_still_be_resumed(drive, tmp_path, kind):
    sink = drive.opened(kind, tmp_path / "out")
    position = json.loads(json.dumps(sink.position()))
    sink.close()
    assert list(tmp_path.iterdir()) == []

    resumed = drive.opened(kind, tmp_path / "out", position)
    drive.put(resumed, [{"a": 1}])
    resumed.finish(drive.context())

    assert [int(row["a"]) for row in drive.read(kind, tmp_path / "out")] == [1]


def test_an_empty_run_stopped_just_after_publishing_resumes(drive, tmp_path):
    sink = drive.opened("csv", tmp_path / "out", fields=["a"])
    position = sink.position()
    sink.finish(drive.context())
    sink.close()

    drive.opened("csv", tmp_path / "out", position, fields=["a"]).finish(drive.context())

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out", b"a\n")]


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.csv.zst"])
def test_append_goes_on_from_a_copy_with_the_columns_of_the_file(drive, tmp_path, name):
    target = tmp_path / name
    drive.written("csv", target, [{"a": 1, "b": 2}])
    before = target.read_bytes()
    sink = drive.opened("csv", target, on_existing="append")
    rejected = drive.put(sink, [{"b": 4, "a": 3}, {"c": 1}])
    assert target.read_bytes() == before

    artifact = sink.finish(drive.context())

    assert [one.index for one in rejected] == [1]
    assert drive.read("csv", target) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert artifact.sha256 == hashlib.sha256(target.read_bytes()).digest()


def test_append_ends_a_last_line_that_has_no_end(drive, tmp_path):
    (tmp_path / "out").write_bytes(b"a\n1")

    drive.written("csv", tmp_path / "out", [{"a": 2}], on_existing="append")

    assert (tmp_path / "out").read_bytes() == b"a\n1\n2\n"


def test_append_to_no_file_or_an_empty_one_begins_with_the_header(drive, tmp_path):
    (tmp_path / "empty").touch()
    for name in ("none", "empty"):
        drive.written("csv", tmp_path / name, [{"a": 2}], on_existing="append")

        assert (tmp_path / name).read_bytes() == b"a\n2\n"


def test_append_with_other_columns_is_refused(drive, tmp_path):
    (tmp_path / "out").write_bytes(b"a,b\n")

    with pytest.raises(ConfigError, match=r"cannot be appended to .*its columns are a, b"):
        drive.opened("csv", tmp_path / "out", on_existing="append", fields=["a"])


@pytest.mark.parametrize("mode", ["fail", "append"])
def test_a_file_that_somebody_else_made_meanwhile_is_not_replaced(drive, tmp_path, mode):
    target = tmp_path / "out"
    if mode == "append":
        target.write_bytes(b'{"a":0}\n')
    sink = drive.opened("jsonl", target, on_existing=mode)
    drive.put(sink, [{"a": 1}])
    target.write_bytes(b"theirs")

    with pytest.raises(SinkError, match=r"was changed while|has appeared while"):
        sink.finish(drive.context())

    assert target.read_bytes() == b"theirs"
    assert (tmp_path / "out.part").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.csv.zst"])
def test_a_resumed_sink_takes_back_what_was_not_confirmed_and_ends_with_the_same_bytes(drive, tmp_path, name):
    batches = [[{"a": n, "b": "x"}] * 3 for n in range(4)]
    whole = drive.written("csv", tmp_path / "whole" / name, *batches)
    sink = drive.opened("csv", tmp_path / name)
    drive.put(sink, batches[0])
    drive.put(sink, batches[1])
    position = json.loads(json.dumps(sink.position()))
    drive.put(sink, [{"a": "lost", "b": "y"}])
    sink.close()

    resumed = drive.opened("csv", tmp_path / name, position)
    drive.put(resumed, batches[2])
    drive.put(resumed, batches[3])
    artifact = resumed.finish(drive.context())

    assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (artifact.sha256, artifact.rows) == (whole.sha256, whole.rows)


@pytest.mark.parametrize("mode", ["fail", "overwrite", "append"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_run_stopped_just_after_publishing_resumes_with_its_own_file(drive, tmp_path, kind, mode):
    target = tmp_path / "out"
    if mode == "append":
        drive.written(kind, target, [{"a": 0}])
    sink = drive.opened(kind, target, on_existing=mode)
    drive.put(sink, [{"a": 1}])
    position = json.loads(json.dumps(sink.position()))
    drive.put(sink, [{"a": 2}])
    sink.finish(drive.context())
    sink.close()
    once = drive.read(kind, target)

    resumed = drive.opened(kind, target, position, on_existing=mode)
    drive.put(resumed, [{"a": 2}])
    resumed.finish(drive.context())

    assert drive.read(kind, target) == once
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("wakes", ["before", "after"])
def test_a_sink_that_slept_while_another_took_over_publishes_nothing(drive, tmp_path, kind, wakes):
    target = tmp_path / "out"
    asleep = drive.opened(kind, target)
    drive.put(asleep, [{"a": 1}])
    position = asleep.position()

    awake = drive.opened(kind, target, position)
    drive.put(asleep, [{"a": 7}])
    drive.put(awake, [{"a": 2}])
    if wakes == "before":
        with pytest.raises(OSError, match="another process has taken the file over"):
            asleep.finish(drive.context())
    awake.finish(drive.context())
    if wakes == "after":
        with pytest.raises(OSError, match="another process has taken the file over"):
            asleep.finish(drive.context())
    asleep.close()

    assert [int(row["a"]) for row in drive.read(kind, target)] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_standard_output_cannot_take_back_what_was_written(drive):
    assert drive.make_sink("jsonl", "out").delivery is Delivery.FILE
    assert drive.make_sink("jsonl", "-").delivery is Delivery.AT_LEAST_ONCE


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"X" + data[1:]])
def test_a_part_file_that_was_changed_is_not_gone_on_with(drive, tmp_path, damage):
    sink = drive.opened("csv", tmp_path / "out")
    drive.put(sink, [{"a": 1}])
    position = sink.position()
    sink.close()
    part = tmp_path / "out.part"
    part.write_bytes(damage(part.read_bytes()))

    with pytest.raises(Refused, match=r"out.part has changed(.|\n)*SHA-256"):
        drive.opened("csv", tmp_path / "out", position)


def test_two_sinks_on_one_file_are_refused(drive, tmp_path):
    drive.opened("csv", tmp_path / "out")

    with pytest.raises(TryAgainLater, match="another sink or run"):
        drive.opened("csv", tmp_path / "out")


def test_links_folders_and_devices_are_refused(drive, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "out.part").symlink_to(tmp_path / "secret")

    for path, text in [
        (tmp_path / "link", "a symbolic link"),
        (tmp_path / "out", "a symbolic link"),
        (tmp_path, "a folder"),
        ("/dev/null", "a device"),
        (tmp_path / "secret" / "out", "cannot be written"),
    ]:
        with pytest.raises(ConfigError, match=text):
            drive.make_sink("csv", path)

    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_a_link_that_takes_the_place_of_the_part_file_is_not_followed(drive, tmp_path):
    sink = drive.make_sink("csv", tmp_path / "out")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "out.part").symlink_to(tmp_path / "secret")

    with pytest.raises(Refused, match="a symbolic link"):
        sink.open(None)

    assert (tmp_path / "secret").read_bytes() == b"secret"


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="gives up the rights of root")
def test_a_folder_that_may_not_be_written_is_told_at_the_start(tmp_path):
    code = (
        "import os, sys\n"
        "from types import SimpleNamespace as N\n"
        "from frame_files.csv_sink import CsvSink\n"
        "os.setuid(65534)\n"
        "try: CsvSink(CsvSink.Config(path='/usr/new/out.csv')).start(N(node='late'))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "ConfigError late.options.path" in done.stdout
    assert "'/usr' is read-only" in done.stdout


FULL = """
import json, resource, sys
from types import SimpleNamespace as N
from frame_files.csv_sink import CsvSink
sink = CsvSink(CsvSink.Config(path=sys.argv[1]))
sink.start(N(node="late"))
sink.open(None)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
rows = [{"a": "x" * 90}] * 60
print(len(sink.write(rows, "1")), flush=True)
position = sink.position()
try:
    sink.write(rows, "2")
except OSError as error:
    print(error, flush=True)
print(sink.position() == position)
"""


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_nothing_of_the_write(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "out")], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == ["0", f"[Errno 27] File too large: '{tmp_path / 'out.part'}'", "True"]
    assert (tmp_path / "out.part").stat().st_size == 2 + 60 * 91


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_killed_run_leaves_the_part_file_and_no_target(drive, tmp_path, kind):
    code = (
        "import json, sys, time\n"
        "from types import SimpleNamespace as N\n"
        "from importlib import import_module\n"
        "plugin = getattr(import_module(f'frame_files.{sys.argv[1]}_sink'), sys.argv[1].capitalize() + 'Sink')\n"
        "sink = plugin(plugin.Config(path=sys.argv[2]))\n"
        "sink.start(N(node='s')); sink.open(None); sink.write([{'a': 1}], '1')\n"
        "print(json.dumps(sink.position()), flush=True)\n"
        "sink.write([{'a': 9}], '2')\n"
        "print('written', flush=True)\n"
        "time.sleep(60)\n"
    )
    target = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", code, kind, str(target)], stdout=subprocess.PIPE, text=True
    )
    position = json.loads(process.stdout.readline())
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert not target.exists()
    resumed = drive.opened(kind, target, position)
    drive.put(resumed, [{"a": 2}])
    resumed.finish(drive.context())
    assert [int(row["a"]) for row in drive.read(kind, target)] == [1, 2]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_standard_output_takes_rows(kind):
    code = (
        "import sys\n"
        "from types import SimpleNamespace as N\n"
        "from importlib import import_module\n"
        "plugin = getattr(import_module(f'frame_files.{sys.argv[1]}_sink'), sys.argv[1].capitalize() + 'Sink')\n"
        "sink = plugin(plugin.Config(path='-'))\n"
        "sink.start(N(node='s')); sink.open(None); sink.write([{'a': 1}], '1'); sink.position()\n"
        "artifact = sink.finish(N(node='s')); sink.close()\n"
        "print(artifact.uri, artifact.size_bytes, artifact.rows, file=sys.stderr)\n"
    )

    done = subprocess.run([sys.executable, "-c", code, kind], capture_output=True, text=True, check=True)

    expected = "a\n1\n" if kind == "csv" else '{"a":1}\n'
    assert done.stdout == expected
    assert done.stderr == f"stdout: {len(expected)} 1\n"


def test_a_url_gets_the_whole_file_at_the_end(drive, tmp_path):
    import fsspec

    memory = fsspec.filesystem("memory")
    options = {"spool_folder": str(tmp_path / "spool")}
    url = "memory://made/out.jsonl"
    sink = drive.opened("jsonl", url, **options)
    drive.put(sink, [{"a": 1}])
    position = sink.position()
    assert not memory.exists("/made/out.jsonl")
    artifact = sink.finish(drive.context())
    assert memory.cat("/made/out.jsonl") == b'{"a":1}\n'
    assert artifact.uri == url
    assert list((tmp_path / "spool").iterdir()) == []

    resumed = drive.opened("jsonl", url, position, **options)
    resumed.finish(drive.context())
    drive.written("jsonl", url, [{"a": 2}], on_existing="append", **options)
    assert memory.cat("/made/out.jsonl") == b'{"a":1}\n{"a":2}\n'
    with pytest.raises(ConfigError, match="exists already"):
        drive.opened("jsonl", url, **options)


def test_a_run_stopped_between_upload_and_tidying_up_resumes(drive, tmp_path):
    options = {"spool_folder": str(tmp_path / "spool")}
    sink = drive.opened("jsonl", "memory://twice/out.jsonl", **options)
    drive.put(sink, [{"a": 1}])
    position = sink.position()
    (spooled,) = (tmp_path / "spool").iterdir()
    content = spooled.read_bytes()
    sink.finish(drive.context())
    spooled.write_bytes(content)

    drive.opened("jsonl", "memory://twice/out.jsonl", position, **options).finish(drive.context())

    assert list((tmp_path / "spool").iterdir()) == []


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(st.fixed_dictionaries({"a": TEXTS, 'é, "': TEXTS}), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, cut=st.integers(0, 20), name=st.sampled_from(["out.csv", "out.csv.zst"]))
def test_text_comes_back_from_csv_as_it_was_written(drive, tmp_path_factory, rows, cut, name):
    path = tmp_path_factory.mktemp("round") / name

    drive.written("csv", path, rows[:cut], rows[cut:], escape_formulas=False)

    assert drive.read("csv", path, null_values=[]) == rows


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.dictionaries(TEXTS, JSON, min_size=1, max_size=4), max_size=8))
def test_json_comes_back_with_its_types(drive, tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("round") / "out.jsonl"

    drive.written("jsonl", path, rows)

    back = drive.read("jsonl", path)
    assert back == rows
    assert repr(back) == repr(rows)


def test_compressed_files_are_those_that_other_programs_read(drive, tmp_path):
    for name in ("out.jsonl.gz", "out.jsonl.zst"):
        drive.written("jsonl", tmp_path / name, [{"a": 1}], [{"a": 2}])

    assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()) == b'{"a":1}\n{"a":2}\n'
    reader = zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO((tmp_path / "out.jsonl.zst").read_bytes()), read_across_frames=True
    )
    assert reader.read() == b'{"a":1}\n{"a":2}\n'
