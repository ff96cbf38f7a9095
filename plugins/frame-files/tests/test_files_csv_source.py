"""The CSV source on good, bad and hostile files."""

import gzip
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest
import zstandard
from frame.errors import ConfigError, Refused, SourceError
from frame_files.blocks import Blocks
from frame_files.csv_records import CsvRecords, Dialect
from frame_files.csv_source import CsvSource
from frame_files.records import Place
from hypothesis import given, settings
from hypothesis import strategies as st


def file(tmp_path, data, name="in.csv"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_every_value_is_text_and_an_empty_cell_is_null(drive, tmp_path):
    path = file(tmp_path, b"id,name\n1,Ann\n2,\n")

    assert drive.read("csv", path) == [{"id": "1", "name": "Ann"}, {"id": "2", "name": None}]


def test_the_texts_of_null_values_are_null_and_no_others(drive, tmp_path):
    path = file(tmp_path, b"a,b,c\nNA,,-\nx,NAN,-\n")

    rows = drive.read("csv", path, null_values=["NA", "-"])

    assert rows == [{"a": None, "b": "", "c": None}, {"a": "x", "b": "NAN", "c": None}]


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"delimiter": ";"}, b"a;b\n1;x,y\n"),
        ({"delimiter": "\t"}, b"a\tb\n1\tx,y\n"),
        ({"quotechar": "'"}, b"a,b\n1,'x,y'\n"),
        ({"header": ["a", "b"], "delimiter": ";"}, b"1;x,y\n"),
        ({"encoding": "latin-1", "delimiter": "\xa7"}, b"a\xa7b\n1\xa7x,y\n"),
        ({"delimiter": "§"}, "a§b\n1§x,y\n".encode()),
        ({"encoding": "utf-16"}, 'a,b\n1,"x,y"\n'.encode("utf-16")),
        ({"encoding": "shift_jis"}, b'a,b\r\n1,"x,y"\r\n'),
        ({}, b'\xef\xbb\xbfa,b\n1,"x,y"\n'),
        ({}, b'\n\r\na,b\n1,"x,y"'),
    ],
)
def test_the_dialect_and_the_encoding_can_be_chosen(drive, tmp_path, options, data):
    assert drive.read("csv", file(tmp_path, data), **options) == [{"a": "1", "b": "x,y"}]


def test_without_a_quotechar_quotes_are_text(drive, tmp_path):
    assert drive.read("csv", file(tmp_path, b'a,b\n"x,y"\n'), quotechar="") == [{"a": '"x', "b": 'y"'}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"3,x,extra\n", "3 fields, and there are 2 columns"),
        (b"3\n", "1 fields, and there are 2 columns"),
        (b'"x"y,3\n', "text after the closing quote of field 1"),
        (b'3,"x" \n', "text after the closing quote of field 2"),
        (b'"a\nb"c,d\n', "text after the closing quote of field 1"),
        (b"3,\xff\n", "is not valid utf-8"),
    ],
)
@pytest.mark.parametrize("neighbour", [b"7,z\n", b'7,"z"\n'])
def test_a_malformed_record_is_an_invalid_row_and_its_neighbours_stay_intact(
    drive, tmp_path, line, reason, neighbour
):
    path = file(tmp_path, b"id,name\n" + neighbour + line + neighbour)

    before, bad, after = drive.read("csv", path)

    assert before == after == {"id": "7", "name": "z"}
    assert (bad.raw, bad.place) == (line, "in.csv:3")
    assert reason in bad.reason


def test_the_offset_of_a_byte_that_is_not_in_the_encoding_is_told(drive, tmp_path):
    path = file(tmp_path, b"id,name\n" + b"1,x\n" * 50_000 + b"2,a\xffb\n")

    bad = drive.read("csv", path)[-1]

    assert bad.reason == f"byte {8 + 200_000 + 3} (0xff) is not valid utf-8"
    assert bad.place == "in.csv:50002"


@pytest.mark.parametrize(("header", "text"), [(b"id,x,id", "columns 1 and 3"), (b"id,,x", "column 2")])
def test_a_header_without_a_name_of_its_own_for_each_column_is_refused_at_the_start(
    drive, tmp_path, header, text
):
    with pytest.raises(ConfigError, match=text):
        drive.started("csv", file(tmp_path, header + b"\n1,2,3\n"))


@pytest.mark.parametrize(
    "data", [b"", b"a,b", b"a,b\n", b"\n\n\r\n", b"a,b\n\n\n", b"\xef\xbb\xbf", b"\n" * 200_000]
)
def test_a_file_without_records_has_no_rows(drive, tmp_path, data):
    assert drive.read("csv", file(tmp_path, data)) == []


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"])
@pytest.mark.parametrize("quoted", [b"x", b'"x"'])
def test_every_line_end_gives_the_same_rows(drive, tmp_path, end, quoted):
    path = file(tmp_path, end.join([b"a,b", b"1," + quoted, b"2,y", b"3,z"]) + end)

    assert drive.read("csv", path) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}, {"a": "3", "b": "z"}]


def test_mixed_line_ends_give_the_same_rows_and_quoted_ones_are_kept(drive, tmp_path):
    path = file(tmp_path, b'a,b\r\n1,x\r2,y\n\r\n3,"z\r\nz\rz\n"\r\n')

    assert drive.read("csv", path) == [
        {"a": "1", "b": "x"},
        {"a": "2", "b": "y"},
        {"a": "3", "b": "z\r\nz\rz\n"},
    ]


def test_blank_lines_in_a_file_of_one_column_are_no_rows(drive, tmp_path):
    assert drive.read("csv", file(tmp_path, b'a\n1\n\n2\n""\n')) == [{"a": "1"}, {"a": "2"}, {"a": None}]


def test_a_quote_that_is_never_closed_stops_the_source_and_names_its_line(drive, tmp_path):
    path = file(tmp_path, b'a,b\n1,x\n2,"y\n' + b"3,z\n" * 100_000)
    source = drive.started("csv", path)
    rows = source.read()

    assert next(rows) == {"a": "1", "b": "x"}
    with pytest.raises(SourceError, match=r"opens in line 3 .*bytes 8 to 400013"):
        next(rows)


def test_a_quote_that_is_never_closed_stops_at_the_limit(drive, tmp_path):
    path = file(tmp_path, b'a,b\n1,x\n2,"y\n' + b"3,z\n" * 500_000)
    source = drive.started("csv", path, max_line_bytes=100_000)
    rows = source.read()

    assert next(rows) == {"a": "1", "b": "x"}
    with pytest.raises(SourceError, match="opens in line 3 is not closed before 100000 bytes on"):
        next(rows)


@pytest.mark.parametrize(
    ("tail", "reason"), [(b"2", "it may be truncated"), (b'2,"y', "not closed; the file ends")]
)
def test_a_file_cut_off_in_a_row_has_that_row_flagged(drive, tmp_path, tail, reason):
    good, bad = drive.read("csv", file(tmp_path, b"a,b\n1,x\n" + tail))

    assert good == {"a": "1", "b": "x"}
    assert (bad.raw, bad.place) == (tail, "in.csv:3")
    assert reason in bad.reason


def test_a_long_field_is_read_and_one_beyond_the_limit_is_not(drive, tmp_path):
    path = file(tmp_path, b"a,b\n1," + b"x" * 200_000 + b'\n2,"' + b"y" * 1_100_000 + b'"\n3,z\n')

    first, bad, last = drive.read("csv", path)

    assert first == {"a": "1", "b": "x" * 200_000}
    assert "'b' has 1100000 bytes, more than max_field_bytes" in bad.reason
    assert len(bad.raw) == 65_536
    assert last == {"a": "3", "b": "z"}


MEASURE = """
import resource, sys
from types import SimpleNamespace
from frame_files.csv_source import CsvSource
source = CsvSource(CsvSource.Config(path=sys.argv[1]))
source.start(SimpleNamespace(node="source"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count, first, last = 0, [], None
try:
    for item in source.read():
        count, last = count + 1, type(item).__name__
        first = [*first, last][:3]
except Exception as error:
    last = str(error)
print(count, first, last)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def measured(path):
    """What reading the file in a process of its own comes to, and by how many MB it grew."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    said, grown = done.stdout.splitlines()
    return said, int(grown)


def test_a_line_of_50_mb_is_one_invalid_row_and_takes_little_memory(tmp_path):
    path = tmp_path / "in.csv"
    with path.open("wb") as out:
        out.write(b"a,b\n1,x\n")
        for _ in range(50):
            out.write(b"y" * 1_000_000)
        out.write(b"\n2,z\n")

    said, grown_mb = measured(path)

    assert said == "3 ['dict', 'InvalidRow', 'dict'] dict"
    assert grown_mb < 100


@pytest.mark.parametrize("content", [b"x", b"1," + b"x" * 997 + b"\n"])
def test_a_gzip_bomb_is_stopped(tmp_path, content):
    path = tmp_path / "in.csv.gz"
    with gzip.open(path, "wb") as out:
        out.write(b"a,b\n1,x\n")
        for _ in range(150):
            out.write(content * (1_000_000 // len(content)))

    said, grown_mb = measured(path)

    assert "more than max_expansion (200)" in said
    assert grown_mb < 150


def compressed(data, name):
    if name.endswith(".zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("in.csv", data)
        return buffer.getvalue()
    return gzip.compress(data) if name.endswith(".gz") else zstandard.compress(data)


@pytest.mark.parametrize("name", ["in.csv.gz", "in.csv.zst", "in.csv.zip"])
def test_the_end_of_the_name_tells_the_compression(drive, tmp_path, name):
    path = file(tmp_path, compressed(b"a,b\n" + b"1,x\n" * 50_000, name), name)

    assert drive.read("csv", path) == [{"a": "1", "b": "x"}] * 50_000


@pytest.mark.parametrize("name", ["in.csv.gz", "in.csv.zst"])
def test_a_compressed_file_may_have_several_members(drive, tmp_path, name):
    path = file(tmp_path, b"".join(compressed(part, name) for part in (b"a,b\n1,", b"x\n", b"2,y\n")), name)

    assert drive.read("csv", path) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


@pytest.mark.parametrize("name", ["in.csv.gz", "in.csv.zst"])
def test_a_truncated_compressed_file_gives_its_whole_rows_and_then_stops(drive, tmp_path, name):
    lines = b"".join(b"%d,%s\n" % (n, os.urandom(20).hex().encode()) for n in range(20_000))
    whole = compressed(b"a,b\n" + lines, name)
    source = drive.started("csv", file(tmp_path, whole[: len(whole) * 3 // 4], name))
    items = []

    with pytest.raises(SourceError, match=f"ends at byte {len(whole) * 3 // 4} in the middle"):
        fill(items, source.read())

    assert len(items) > 5_000
    assert [item["a"] for item in items] == [str(n) for n in range(len(items))]


def fill(items, iterator):
    """Move everything into `items`, keeping what came before an error."""
    for item in iterator:
        items.append(item)


def test_a_damaged_gzip_is_told_with_its_offset(drive, tmp_path):
    whole = bytearray(compressed(b"a,b\n" + os.urandom(200_000).hex().encode() + b",x\n", "in.csv.gz"))
    whole[150_000:150_100] = b"\0" * 100

    with pytest.raises(SourceError, match="damaged near byte"):
        drive.read("csv", file(tmp_path, bytes(whole), "in.csv.gz"))


@pytest.mark.parametrize("members", [0, 2])
def test_a_zip_archive_holds_one_file(drive, tmp_path, members):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number in range(members):
            archive.writestr(f"{number}.csv", "a\n1\n")

    with pytest.raises(ConfigError, match=f"holds {members} files"):
        drive.started("csv", tmp_path / "in.zip")


def test_a_missing_file_is_told_with_near_names(drive, tmp_path):
    file(tmp_path, b"a\n", "flights.csv")

    with pytest.raises(ConfigError, match=r"no such file: .*flight.csv(.|\n)*Did you mean .*flights.csv"):
        drive.started("csv", tmp_path / "flight.csv")


def test_what_is_no_regular_file_is_refused(drive, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    for path, text in [
        (tmp_path / "fifo", "a FIFO"),
        (tmp_path, "a folder"),
        ("/dev/zero", "a device"),
        (tmp_path / "loop", "cannot"),
    ]:
        with pytest.raises(ConfigError, match=text):
            drive.started("csv", path)


@pytest.mark.parametrize(
    ("data", "text"),
    [("a,b\n1,ä\n".encode("utf-16"), "in UTF-16"), ("a,b\n".encode("utf-16-le"), "looks like UTF-16")],
)
def test_another_encoding_is_told_at_the_start(drive, tmp_path, data, text):
    with pytest.raises(ConfigError, match=text):
        drive.started("csv", file(tmp_path, data))


@pytest.mark.parametrize(
    "options",
    [
        {"path": ""},
        {"path": "~/a.csv"},
        {"path": "a\0b"},
        {"path": "a", "delimiter": ""},
        {"path": "a", "delimiter": ",,"},
        {"path": "a", "delimiter": '"'},
        {"path": "a", "encoding": "utf-9"},
        {"path": "a", "encoding": "base64"},
        {"path": "a", "header": ["x", "x"]},
        {"path": "a", "header": []},
        {"path": "a", "delimeter": ";"},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(ValueError, match=r"."):
        CsvSource.Config(**options)


def test_a_glob_is_read_in_the_order_of_names_with_places_that_tell_the_files_apart(drive, tmp_path):
    for name, data in [("b/2.csv", b"x,y\n3\n"), ("a/1.csv", b"y,x\n1,2\n")]:
        (tmp_path / name).parent.mkdir()
        file(tmp_path, data, name)

    items = drive.read("csv", tmp_path / "*" / "*.csv")

    assert items[0] == {"y": "1", "x": "2"}
    assert items[1].place == "b/2.csv:2"


def test_files_of_a_glob_have_the_same_columns(drive, tmp_path):
    file(tmp_path, b"x,y\n", "1.csv")
    file(tmp_path, b"x,z\n", "2.csv")

    with pytest.raises(ConfigError, match=r"2.csv: has other columns than 1.csv: .*'y', 'z'"):
        drive.started("csv", tmp_path / "*.csv")


def test_a_glob_without_a_match_is_an_error(drive, tmp_path):
    with pytest.raises(ConfigError, match="no file matches"):
        drive.started("csv", tmp_path / "*.csv")


def test_urls_are_read_through_fsspec(drive, tmp_path):
    import fsspec

    with fsspec.open("memory://in/1.csv.gz", "wb") as out:
        out.write(gzip.compress(b"a,b\n1,x\n"))

    assert drive.read("csv", "memory://in/1.csv.gz") == [{"a": "1", "b": "x"}]
    assert drive.read("csv", "memory://in/*.gz") == [{"a": "1", "b": "x"}]
    assert drive.read("csv", file(tmp_path, b"a b\n1\n", "x y.csv").as_uri()) == [{"a b": "1"}]
    with pytest.raises(ConfigError, match="nothing at memory://none"):
        drive.started("csv", "memory://none.csv")


def test_standard_input_gives_rows_as_they_come(tmp_path):
    code = (
        "from types import SimpleNamespace as N\n"
        "from frame_files.csv_source import CsvSource\n"
        "source = CsvSource(CsvSource.Config(path='-'))\n"
        "source.start(N(node='s'))\n"
        "for row in source.read(): print(row, source.position(), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )

    process.stdin.write("a,b\n1,x\n")
    first = process.stdout.readline()
    process.stdin.write("2,y\n")
    second = process.stdout.readline()
    rest, _ = process.communicate()

    assert (first, second, rest) == ("{'a': '1', 'b': 'x'} None\n", "{'a': '2', 'b': 'y'} None\n", "")


def test_only_what_may_block_says_that_it_waits(drive):
    waits = {
        path: drive.make_source("csv", path).may_wait()
        for path in ("a.csv", "-", "s3://b/a.csv", "file:///a")
    }

    assert waits == {"a.csv": False, "-": True, "s3://b/a.csv": True, "file:///a": False}


def test_the_evidence_is_the_hash_of_the_file_as_sha256sum_gives_it(drive, tmp_path):
    import hashlib

    for name in ("in.csv", "in.csv.gz", "in.csv.zip", "in.csv.zst"):
        data = b"\xef\xbb\xbfa,b\n" + b"1,x\n" * 30_000
        data = data if name == "in.csv" else compressed(data, name)
        source = drive.started("csv", file(tmp_path, data, name))

        list(source.read())

        evidence = source.evidence()
        assert evidence["sha256"] == hashlib.sha256(data).hexdigest()
        assert (evidence["size_bytes"], evidence["rows"]) == (len(data), 30_000)
        assert evidence["uri"] == (tmp_path / name).as_uri()


CELLS = st.text(st.sampled_from('ab,"\n\r\u00e4\u2028 ;'), max_size=6)
PIECES = st.lists(
    st.sampled_from(
        [b"1,x\n", b"2,y\r\n", b"\n", b'3,"a\nb"\n', b"4\n", b'"x"y,5\n', b"6,\xff\n", b"7,z\r", b'8,""""\n']
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(pieces=PIECES, data=st.data())
def test_reading_on_from_any_position_gives_the_rest(drive, tmp_path_factory, pieces, data):
    folder = tmp_path_factory.mktemp("split")
    cut = data.draw(st.integers(0, len(pieces)))
    (folder / "1.csv").write_bytes(b"a,b\n" + b"".join(pieces[:cut]))
    (folder / "2.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"".join(pieces[cut:])))
    whole = list(drive.started("csv", folder / "*").read())
    taken = data.draw(st.integers(0, len(whole)))
    source = drive.started("csv", folder / "*")
    rows = source.read()
    head = [next(rows) for _ in range(taken)]
    position = source.position()
    source.close()

    resumed = drive.started("csv", folder / "*")
    resumed.seek(position)

    assert head + list(resumed.read()) == whole
    assert resumed.evidence()["rows"] == len(whole)


def test_positions_inside_large_blocks_are_exact(drive, tmp_path):
    lines = b"".join(b'%d,"q%d"\n' % (n, n) if n % 997 == 0 else b"%d,x\n" % n for n in range(20_000))
    path = file(tmp_path, b"a,b\n" + lines)
    source = drive.started("csv", path)
    rows = source.read()
    for taken in (1, 999, 1000, 4321, 0, 9000):
        for _ in range(taken):
            last = next(rows)
        position = source.position()
        again = drive.started("csv", path)
        again.seek(position)
        assert int(next(again.read())["a"]) == int(last["a"]) + 1
        assert position["line"] == int(last["a"]) + 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data.replace(b"1,x", b"1,X"), "has changed"),
        (lambda data: data[:8], "has become shorter"),
    ],
)
def test_a_file_that_was_changed_is_not_read_on(drive, tmp_path, change, text):
    data = b"a,b\n1,x\n2,y\n3,z\n"
    path = file(tmp_path, data)
    source = drive.started("csv", path)
    rows = source.read()
    next(rows), next(rows)
    position = source.position()
    path.write_bytes(change(data))

    with pytest.raises(Refused, match=text):
        drive.started("csv", path).seek(position)


def test_files_that_were_read_before_and_have_changed_are_noticed(drive, tmp_path):
    for name in ("1.csv", "2.csv"):
        file(tmp_path, b"a,b\n1,x\n2,y\n", name)
    source = drive.started("csv", tmp_path / "*.csv")
    rows = source.read()
    for _ in range(3):
        next(rows)
    position = source.position()
    file(tmp_path, b"a,b\n1,x\n2,Y\n", "1.csv")

    with pytest.raises(Refused, match="that were read before have changed"):
        drive.started("csv", tmp_path / "*.csv").seek(position)

    (tmp_path / "2.csv").unlink()
    with pytest.raises(Refused, match="fewer files than before"):
        drive.started("csv", tmp_path / "*.csv").seek(position)


def test_a_file_that_was_appended_to_is_read_on_unless_its_end_was_reached(drive, tmp_path):
    path = file(tmp_path, b"a,b\n1,x\n")
    source = drive.started("csv", path)
    rows = source.read()
    next(rows)
    before_the_end = source.position()
    assert next(rows, None) is None
    at_the_end = source.position()
    with path.open("ab") as out:
        out.write(b"2,y\n")

    resumed = drive.started("csv", path)
    resumed.seek(before_the_end)

    assert list(resumed.read()) == [{"a": "2", "b": "y"}]
    with pytest.raises(Refused, match="have changed"):
        drive.started("csv", path).seek(at_the_end)


def test_a_line_end_of_two_bytes_is_not_cut_between_two_reads():
    class Bytewise:
        def __init__(self, data):
            self.data = data

        def read(self, size):
            head, self.data = self.data[:1], self.data[1:]
            return head

    blocks = Blocks(Bytewise(b"a\rb\r\nc"), 100, lambda skipped: None)

    assert list(iter(blocks.take, None)) == [b"a\r", b"b\r\n", b"c"]


@settings(max_examples=200, deadline=None)
@given(table=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=20))
def test_what_the_standard_library_writes_is_read_the_same_way(drive, tmp_path_factory, table):
    import csv

    path = tmp_path_factory.mktemp("stdlib") / "in.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([["a", "b"], *table])

    assert drive.read("csv", path, null_values=[]) == [{"a": a, "b": b} for a, b in table]


@settings(max_examples=500, deadline=None)
@given(
    text=st.text(st.sampled_from('ab,"\n\r\u00e4'), max_size=60),
    last=st.booleans(),
    columns=st.integers(1, 2),
)
def test_the_fast_ways_and_the_careful_way_agree(text, last, columns):
    dialect = Dialect(",", '"', "utf-8", ("", "a"), 1000, 1000)
    records = CsvRecords(dialect, ["x", "y"][:columns])
    data, place = text.encode() + (b"" if last else b"\n"), Place("in.csv", 7, 70)

    parsed, careful = records.parse(data, place, last), records._carefully(data, place, last)

    if parsed.names:
        parsed = replace(
            parsed, items=[dict(zip(parsed.names, row, strict=True)) for row in parsed.items], names=None
        )
    assert replace(parsed, line_ends=list(parsed.line_ends)) == careful


def test_a_record_beyond_the_limit_is_an_invalid_row_wherever_it_stands(drive, tmp_path):
    long = [b"1," + b"x" * 100, b'1,"' + b"x\n" * 50 + b'"', b'1,"' + b'""' * 50 + b'"']
    path = file(tmp_path, b"a,b\n" + b"".join(b"0,y\n" + line + b"\n" for line in long) + b"0,y\n")

    items = drive.read("csv", path, max_line_bytes=100)

    assert drive.rows_of(items) == [{"a": "0", "b": "y"}] * 4
    assert [place for place, _ in drive.invalids(items)] == ["in.csv:3", "in.csv:5", "in.csv:57"]


def test_memory_stays_flat(tmp_path):
    path = tmp_path / "in.csv"
    with path.open("wb") as out:
        out.write(b"a,b\n")
        for _ in range(100):
            out.write(b"1234567890,abcdefghijklmnop\n" * 10_000)

    said, grown_mb = measured(path)

    assert said == "1000000 ['dict', 'dict', 'dict'] dict"
    assert grown_mb < 20
