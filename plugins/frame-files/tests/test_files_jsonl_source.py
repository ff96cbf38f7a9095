"""The JSON Lines source on good, bad and hostile lines."""

import json
import subprocess
import sys

import pytest
from frame.plugin import InvalidRow


def file(tmp_path, data, name="in.jsonl"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (b'{"a":1}', {"a": 1}),
        (b' {"a" : 1.0} ', {"a": 1.0}),
        (b'{"a":9007199254740993,"b":18446744073709551616}', {"a": 2**53 + 1, "b": 2**64}),
        (b'{"a":"\\ud83d\\ude00","b":"\xc3\xa9"}', {"a": "\U0001f600", "b": "é"}),
        (b'{"\\u00e9":1,"e\\u0301":2}', {"\u00e9": 1, "e\u0301": 2}),
        (b'{"a":"[[[[{{{{"}', {"a": "[[[[{{{{"}),
        (b"{}", {}),
        (b'{"a":"\\u0000\xe2\x80\xa8"}', {"a": "\0\u2028"}),
    ],
)
def test_a_line_is_read_exactly(drive, tmp_path, line, row):
    (read,) = drive.read("jsonl", file(tmp_path, line + b"\n"))

    assert repr(read) == repr(row)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b'{"a":1e999}', "too large for a float"),
        (b'{"a":' + b"1" * 400 + b".5}", "too large for a float"),
        (b'{"a":1,"b":{"x":1,"x":2}}', "key 'x' occurs twice"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper than 100"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested deeper than 100"),
        (b'{"a":' + b"1" * 5000 + b"}", "5000 digits, more than 1233"),
        (b'{"a":"\\ud800"}', "\\ud800 is half of a surrogate pair"),
        (b'{"\\udc00":1}', "half of a surrogate pair"),
        (b"[1]", "an array, not an object"),
        (b"17", "a number, not an object"),
        (b"null", "null, not an object"),
        (b'{"a":1} {"b":2}', "Extra data"),
        (b'{"a":1', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":"\xff"}', "byte 14 (0xff) is not valid utf-8"),
        (b'{"a":"' + b"x" * 60_000 + b'"}', "more than max_line_bytes (50000)"),
    ],
)
def test_a_line_that_has_no_exact_meaning_is_an_invalid_row_between_intact_ones(
    drive, tmp_path, line, reason
):
    path = file(tmp_path, b'{"n":1}\n' + line + b'\n{"n":2}\n')

    limit = 50_000 if "max_line" in reason else 1_000_000
    first, bad, last = drive.read("jsonl", path, max_line_bytes=limit)

    assert (first, last) == ({"n": 1}, {"n": 2})
    assert reason in bad.reason
    assert bad.place == "in.jsonl:2"
    assert bad.raw.rstrip(b"\n") == line[:65_536].rstrip(b"\n")


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \r\n\t\n", b"\xef\xbb\xbf"])
def test_a_file_without_objects_has_no_rows(drive, tmp_path, data):
    assert drive.read("jsonl", file(tmp_path, data)) == []


def test_line_ends_may_be_mixed_and_the_last_may_lack(drive, tmp_path):
    path = file(tmp_path, b'\xef\xbb\xbf{"n":1}\r\n{"n":2}\r{"n":3}\n\n{"n":4}')

    assert [row["n"] for row in drive.read("jsonl", path)] == [1, 2, 3, 4]


def test_a_file_cut_off_in_a_line_has_that_line_flagged(drive, tmp_path):
    good, bad = drive.read("jsonl", file(tmp_path, b'{"n":1}\n{"n":'))

    assert good == {"n": 1}
    assert isinstance(bad, InvalidRow)
    assert "may be truncated" in bad.reason


def test_reading_goes_on_from_any_position(drive, tmp_path):
    path = file(tmp_path, b"".join(b'{"n":%d}\n' % n if n % 7 else b"broken\n\n" for n in range(9000)))
    whole = drive.read("jsonl", path)
    for taken in (0, 1, 7, 4500, 8999, 9000):
        source = drive.started("jsonl", path)
        rows = source.read()
        head = [next(rows) for _ in range(taken)]
        resumed = drive.started("jsonl", path)

        resumed.seek(json.loads(json.dumps(source.position())))

        assert head + list(resumed.read()) == whole


def test_nothing_heavy_is_imported_before_it_is_used():
    code = (
        "import sys\n"
        "import frame_files.hooks as hooks\n"
        "from importlib import import_module\n"
        "for name in [*hooks.frame_sources(), *hooks.frame_sinks()]:\n"
        "    module, plugin = name.split(':')\n"
        "    assert getattr(import_module(module), plugin).name in name\n"
        "print([name for name in ('pyarrow', 'fsspec', 'zstandard', 'numpy') if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
