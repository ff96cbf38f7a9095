"""Bad input data through the real command: the bad row is told apart, its neighbours arrive, nothing is lost."""

import csv
import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from frame.canonical import canonical, digest
from frame.operations import run

from tests.integration.attacked import RESUMABLE, Place

IDS = "{mode: fixed, fields: {id: int, name: str}}"
MEMORY_BYTES = 300_000_000


@dataclass(frozen=True)
class Bad:
    """A file, the rows that must arrive, and what is said of each that is not among them."""

    name: str
    data: bytes
    rows: Sequence[Mapping[str, Any]]
    invalid: Mapping[str, str] = field(default_factory=dict)
    """Place -> a word of the reason."""
    source: str = "csv"
    schema: str = "{mode: observed}"


def rows(*ids: Any) -> list[dict[str, Any]]:
    return [{"id": each} for each in ids]


def people(*ids: int) -> list[dict[str, Any]]:
    return [{"id": each, "name": "abcdefgh"[each - 1]} for each in ids]


ROWWISE = [
    Bad("too long", b"id,name\n1,a\n2,b,x\n3,c\n", people(1, 3), {"in.csv:3": "3 fields"}, schema=IDS),
    Bad("too short", b"id,name\n1,a\n2\n3,c\n", people(1, 3), {"in.csv:3": "1 field"}, schema=IDS),
    Bad("stray quote", b'id,name\n1,a\n2,"x"y\n3,c\n', people(1, 3), {"in.csv:3": "quote"}, schema=IDS),
    Bad("wrong type", b"id,name\n1,a\nx,b\n3,c\n", people(1, 3), {"": "id"}, schema=IDS),
    Bad("bad byte", b"id,name\n1,a\n2,\xff\n3,c\n", people(1, 3), {"in.csv:3": "byte 14"}, schema=IDS),
    Bad("cut off", b"id,name\n1,a\n2,b\n3", people(1, 2), {"in.csv:4": "1 field"}, schema=IDS),
    Bad("BOM and CRLF", b"\xef\xbb\xbfid,name\r\n1,a\r\n2,b\r\n", people(1, 2), schema=IDS),
    Bad("mixed line ends", b"id,name\n1,a\r\n2,b\r3,c\n", people(1, 2, 3), schema=IDS),
    Bad("field of 200 kB", b"id\n" + b"x" * 200_000 + b"\n", rows("x" * 200_000)),
    Bad("formula in a cell", b"id\n=cmd|' /C calc'!A0\n", rows("=cmd|' /C calc'!A0")),
    Bad("template in a cell", b"id\n{{7*7}}\n${env:HOME}\n", rows("{{7*7}}", "${env:HOME}")),
    Bad("SQL in a cell", b"id\n'; DROP TABLE runs;--\n", rows("'; DROP TABLE runs;--")),
    Bad("NUL in a cell", b"id\na\0b\n", rows("a\0b")),
    Bad("NaN", b'{"id":1}\n{"id":NaN}\n{"id":3}\n', rows(1, 3), {"in.jsonl:2": "NaN"}, "jsonl"),
    Bad("Infinity", b'{"id":-Infinity}\n{"id":3}\n', rows(3), {"in.jsonl:1": "Infinity"}, "jsonl"),
    Bad("1e400", b'{"id":1.5}\n{"id":1e400}\n', rows(1.5), {"in.jsonl:2": "1e400"}, "jsonl"),
    Bad("half surrogate", b'{"id":"\\ud800"}\n{"id":"a"}\n', rows("a"), {"in.jsonl:1": "surrogate"}, "jsonl"),
    Bad("duplicate key", b'{"id":1,"id":2}\n{"id":3}\n', rows(3), {"in.jsonl:1": "'id'"}, "jsonl"),
    Bad("deep", b'{"id":1}\n{"id":' + b"[" * 100_000 + b"\n", rows(1), {"in.jsonl:2": "deep"}, "jsonl"),
    Bad(
        "deep and closed",
        b'{"id":1}\n{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        rows(1),
        {"in.jsonl:2": "deep"},
        "jsonl",
    ),
    Bad(
        "5000 digits", b'{"id":1}\n{"id":' + b"9" * 5_000 + b"}\n", rows(1), {"in.jsonl:2": "digits"}, "jsonl"
    ),
    Bad(
        "large integers",
        b'{"id":9007199254740993}\n{"id":18446744073709551617}\n',
        rows(2**53 + 1, 2**64 + 1),
        {},
        "jsonl",
    ),
    Bad(
        "no object",
        b'{"id":1}\n[2]\n3\n{"id":4}\n',
        rows(1, 4),
        {"in.jsonl:2": "object", "in.jsonl:3": "object"},
        "jsonl",
    ),
    Bad(
        "keys that look equal",
        '{"caf\u00e9":1,"cafe\u0301":2}\n'.encode(),
        [{"caf\u00e9": 1, "cafe\u0301": 2}],
        {},
        "jsonl",
    ),
]


@pytest.mark.parametrize("bad", ROWWISE, ids=lambda bad: bad.name)
def test_a_bad_row_is_told_apart_and_its_neighbours_arrive(tmp_path: Path, bad: Bad) -> None:
    place = Place(tmp_path).through(bad.data, source=bad.source, schema=bad.schema)

    result = run(tmp_path / "pipeline.yaml")

    assert result.error is None
    assert place.rows() == list(bad.rows)
    found = dict(place.on_record("SELECT coalesce(place, ''), error_message FROM validation_errors"))
    assert found.keys() == bad.invalid.keys()
    assert [reason for reason in bad.invalid if bad.invalid[reason] not in found[reason]] == [], found
    counted = [result.counters[name] for name in ("rows", "succeeded", "invalid", "open")]
    assert counted == [len(bad.rows) + len(bad.invalid), len(bad.rows), len(bad.invalid), 0]


WHOLE = {
    "duplicate header": (b"id,name,id\n1,a,2\n", "columns 1 and 3 of the header are both named 'id'"),
    "empty header": (b"id,,name\n1,a,2\n", "column 2"),
    "UTF-16": ("id,name\n1,a\n".encode("utf-16"), "utf-16"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_cannot_be_meant_is_refused_before_its_first_row(tmp_path: Path, name: str) -> None:
    data, word = WHOLE[name]
    place = Place(tmp_path).through(data, schema=IDS)

    ended = place.run()

    assert ended.code == 3, ended.err
    ended.says("pipeline.yaml:6", "in.csv", word)
    assert place.files() == ["in.csv", "pipeline.yaml"]


@pytest.mark.parametrize(
    "data", [b"", b"id,name\n", b"\n\n\n", b"\xef\xbb\xbf"], ids=["empty", "header", "blank", "BOM"]
)
def test_a_file_without_rows_is_a_run_without_rows(tmp_path: Path, data: bytes) -> None:
    place = Place(tmp_path).through(data)

    ended = place.run()

    assert ended.code == 0, ended.err
    ended.says("empty", "0 rows")
    assert place.text("out.jsonl") == ""
    assert place.on_record("SELECT status FROM runs") == [("empty",)]


def test_a_quote_that_is_never_closed_stops_the_run_and_keeps_the_rows_before_it(tmp_path: Path) -> None:
    lines = [f"{n},x" for n in range(100_000)]
    lines[1] = '1,"x'
    place = Place(tmp_path).through("id,name\n" + "\n".join(lines) + "\n", schema=IDS)

    ended = place.run()

    assert ended.code == RESUMABLE
    ended.says("in.csv: a quote that opens in line 3", "Close the quote")
    assert place.report()["status"] == "failed"
    assert place.report()["counters"]["rows"] == 1
    assert not (tmp_path / "out" / "out.jsonl").exists()
    assert (tmp_path / "out" / "out.jsonl.part").read_text() == '{"id":0,"name":"x"}\n'
    assert place.on_record("SELECT rows FROM sink_intents WHERE confirmed_chunk IS NOT NULL") == [(1,)]


def test_a_cut_off_archive_stops_the_run_and_keeps_the_rows_before_the_cut(tmp_path: Path) -> None:
    text = "id,name\n" + "".join(f"{n},{os.urandom(8).hex()}\n" for n in range(5_000))
    packed = gzip.compress(text.encode())
    place = Place(tmp_path).through(packed[: len(packed) // 2], name="in.csv.gz", schema=IDS)

    ended = place.run()

    assert ended.code == RESUMABLE
    ended.says("in.csv.gz", "truncated", f"byte {len(packed) // 2}")
    counters = place.report()["counters"]
    assert counters["rows"] > 1_000
    assert counters["succeeded"] + counters["open"] + counters["invalid"] == counters["rows"]


def test_a_damaged_archive_stops_the_run_and_keeps_the_rows_before_the_damage(tmp_path: Path) -> None:
    text = "id,name\n" + "".join(f"{n},{os.urandom(8).hex()}\n" for n in range(5_000))
    packed = bytearray(gzip.compress(text.encode()))
    packed[len(packed) // 2] ^= 0xFF
    place = Place(tmp_path).through(bytes(packed), name="in.csv.gz", schema=IDS)

    ended = place.run()

    assert ended.code == RESUMABLE
    ended.says("in.csv.gz", "the gzip data is damaged near byte")
    counters = place.report()["counters"]
    assert counters["succeeded"] + counters["open"] + counters["invalid"] == counters["rows"]
    assert not (tmp_path / "out" / "out.jsonl").exists()


ODD_NAMES = [
    "caf\u00e9",
    "cafe\u0301",
    "X",
    "x",
    'x"); DROP TABLE runs;--',
    "c" * 63 + "1",
    "c" * 63 + "2",
    "_error",
    "__class__",
    "${HOME}",
]


@pytest.mark.parametrize("sink", ["csv", "jsonl", "parquet"])
def test_names_of_fields_that_look_alike_are_kept_apart_by_every_sink(tmp_path: Path, sink: str) -> None:
    row = {name: f"value {number}" for number, name in enumerate(ODD_NAMES)}
    place = Place(tmp_path).through(json.dumps(row) + "\n", source="jsonl", sink=sink)

    assert place.run_inside().code == 0

    assert list(read_back(tmp_path, sink)) == [row]
    ((text,),) = place.on_record("SELECT count(*) FROM runs")
    assert text == 1


def read_back(folder: Path, sink: str) -> Iterator[Mapping[str, Any]]:
    path = folder / "out" / f"out.{sink}"
    if sink == "parquet":
        yield from pq.read_table(path).to_pylist()
    else:
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file) if sink == "csv" else map(json.loads, file)


def test_names_that_become_the_same_are_refused(tmp_path: Path) -> None:
    place = Place(tmp_path).through("caf\u00e9,cafe\u0301\n1,2\n")
    text = (tmp_path / "pipeline.yaml").read_text().replace("  schema:", "  normalize: true\n  schema:")
    place.put("pipeline.yaml", text)

    ended = place.run()

    assert ended.code == RESUMABLE
    ended.says("fields 'caf\u00e9' and 'cafe\u0301' would both be called 'caf\u00e9'")
    assert not (tmp_path / "out" / "out.jsonl").exists()


LARGE = [2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63)]


@pytest.mark.parametrize(
    ("sink", "fits"), [("csv", LARGE), ("jsonl", LARGE), ("parquet", [*LARGE[:2], LARGE[4]])]
)
def test_a_large_integer_is_written_exactly_or_refused(tmp_path: Path, sink: str, fits: list[int]) -> None:
    lines = "".join(f'{{"id":{number}}}\n' for number in LARGE)
    place = Place(tmp_path).through(lines, source="jsonl", sink=sink)

    place.run_inside()

    assert [int(row["id"]) for row in read_back(tmp_path, sink)] == fits
    refused = place.on_record("SELECT count(*) FROM token_outcomes WHERE outcome = 'failure'")
    assert refused == [(len(LARGE) - len(fits),)]


def bomb(size_bytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    yield packer.compress(b"id\n")
    step = b"x" * 1_000_000
    for _ in range(size_bytes // len(step)):
        yield packer.compress(step)
    yield packer.flush()


def with_a_bomb(place: Place) -> Place:
    return place.through(b"".join(bomb(200_000_000)), name="in.csv.gz")


def with_a_long_line(place: Place) -> Place:
    place.through(b"id\n1\n")
    with (place.folder / "in.csv").open("ab") as file:
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(b"\n2\n")
    return place


def with_a_line_that_never_ends(place: Place) -> Place:
    place.through(b"id\n1\n")
    with (place.folder / "in.csv").open("r+b") as file:
        file.truncate(400_000_000)
    return place


@pytest.mark.parametrize(
    ("make", "code", "arrived", "word"),
    [
        (with_a_bomb, RESUMABLE, None, "max_expansion"),
        (with_a_long_line, 0, rows(1, 2), "1 failed"),
        (with_a_line_that_never_ends, 0, rows(1), "1 failed"),
    ],
)
def test_what_would_fill_the_memory_is_refused_within_300_MB(
    tmp_path: Path, make: Any, code: int, arrived: Sequence[Mapping[str, Any]] | None, word: str
) -> None:
    place = make(Place(tmp_path))

    ended = place.measured_run()

    assert ended.code == code, ended.err
    ended.says(word)
    assert 10_000_000 < ended.peak_bytes < MEMORY_BYTES
    assert arrived is None or place.rows() == arrived


def test_values_that_look_alike_have_hashes_of_their_own(tmp_path: Path) -> None:
    values = [1, 1.0, "1", True, 2**53, 2**53 + 1, float(2**53)]
    place = Place(tmp_path).through(
        "".join(json.dumps({"id": value}) + "\n" for value in values), source="jsonl"
    )

    run(tmp_path / "pipeline.yaml")

    assert [(row["id"], type(row["id"])) for row in place.rows()] == [
        (value, type(value)) for value in values
    ]
    assert len({digest(canonical({"id": value})) for value in values}) == len(values)
    ((hashes,),) = place.on_record("SELECT count(DISTINCT digest) FROM rows")
    assert hashes == len(values)


def test_a_cell_that_a_spreadsheet_would_run_is_escaped_and_kept_as_it_was_on_record(tmp_path: Path) -> None:
    cells = ["=cmd|' /C calc'!A0", "@SUM(A1)", "\t=1+1", "-2+3", "-17.5"]
    place = Place(tmp_path).through(
        "".join(json.dumps({"id": cell}) + "\n" for cell in cells), source="jsonl", sink="csv"
    )

    assert place.run().code == 0

    assert place.text("out.csv").splitlines() == ["id", *("'" + cell for cell in cells[:4]), "-17.5"]
    assert json.dumps(cells[0]) in json.dumps(place.json("explain", "latest", "--row", "0"))


def test_what_a_row_says_can_play_no_tricks_on_a_log_or_a_terminal(tmp_path: Path) -> None:
    tricks = '\\n{"level":"critical"}\x1b[2Jgone\u202egnp.exe'
    place = Place(tmp_path).through(f'id,name\n"{tricks}",a\n2,b\n', schema=IDS)

    shown = [
        place.run(),
        place.frame("runs", "show", "latest"),
        place.frame("explain", "latest", "--row", "0"),
    ]

    for ended in shown:
        text = ended.out + ended.err
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert any("\\x1b" in ended.out for ended in shown)


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("TZ", {"environment": {"TZ": "Pacific/Kiritimati"}}),
        ("LC_ALL", {"environment": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}}),
        ("PYTHONHASHSEED", {"environment": {"PYTHONHASHSEED": "1"}}),
        ("-O", {"python": ("-O",)}),
    ],
)
def test_hashes_are_the_same_whatever_the_environment(tmp_path: Path, what: str, how: dict[str, Any]) -> None:
    text = "id,name,at\n1,Zo\u00eb,2026-01-01T00:00:00Z\n2,\u0416,2026-07-01T12:00:00+02:00\n3,x,y\n"
    schema = "{mode: fixed, fields: {id: int, name: str, at: datetime}}"
    here = Place(tmp_path / "here").through(text, schema=schema)
    there = Place(tmp_path / "there").through(text, schema=schema)

    ends = [here.run(environment={"PYTHONHASHSEED": "0"}), there.run(**how)]

    assert [ended.code for ended in ends] == [0, 0], ends
    assert here.text("out.jsonl") == there.text("out.jsonl")
    for query in (
        "SELECT row, digest FROM rows ORDER BY row",
        "SELECT node, name, version FROM nodes",
        "SELECT intent, content_sha256 FROM sink_intents",
        "SELECT coalesce(place, ''), error_message FROM validation_errors",
    ):
        assert here.on_record(query) == there.on_record(query)
