"""Bad pipeline files: exit code 3 (4 for plugins), where, what and what would help, and nothing is made."""

import os
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from frame.errors import ConfigError, Refused
from frame.operations import run, validate

from tests.integration.attacked import Place

GOOD = """frame: 1
name: t
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {id: int, name: str}}
nodes:
  - name: big
    gate: row.id > 1
    routes: {"true": out, "false": small}
sinks:
  out: {plugin: csv, options: {path: out/out.csv}}
  small: {plugin: csv, options: {path: out/small.csv}}
"""


@dataclass(frozen=True)
class Wrong:
    """A line that is replaced in the good pipeline, and the words that the message must have."""

    name: str
    old: str
    new: str
    words: tuple[str, ...]
    code: int = 3


GATE = '  - name: big\n    gate: row.id > 1\n    routes: {"true": out, "false": small}\n'
PASS = "  - name: {0}\n    plugin: rename\n    options: {{fields: {{id: id2}}}}\n    to: {1}\n"

WRONG = [
    Wrong("unknown plugin", "plugin: csv\n", "plugin: cvs\n", ("pipeline.yaml:4", "'cvs'", "mean csv"), 4),
    Wrong(
        "unknown key", "    gate:", "    on_eror: x\n    gate:", ("pipeline.yaml:9", "on_eror", "on_error")
    ),
    Wrong("wrong type", "frame: 1", "frame: [1]", ("pipeline.yaml:1", "frame")),
    Wrong("node twice", GATE, GATE + GATE, ("pipeline.yaml:11", "'big'")),
    Wrong("name of node and sink", "- name: big", "- name: out", ("'out'",)),
    Wrong("route to nowhere", '"true": out', '"true": outt', ("pipeline.yaml:10", "'outt'", "'out'")),
    Wrong("gate without a route", ', "false": small', "", ("pipeline.yaml:10", "false")),
    Wrong("cycle without a gate", GATE, PASS.format("a", "b") + PASS.format("b", "a"), ("'a'", "'b'")),
    Wrong("unreachable", GATE, PASS.format("a", "out") + GATE, ("'big'",)),
    Wrong("tab", "  - name: big", "\t- name: big", ("pipeline.yaml:8", "tab")),
    Wrong("duplicate key", "name: t\n", "name: t\nname: u\n", ("pipeline.yaml:3", "lines 2 and 3")),
    Wrong("two documents", "name: t\n", "name: t\n---\nframe: 1\n", ("pipeline.yaml:3",)),
    Wrong(
        "python tag", "name: t", "name: !!python/object/apply:os.system [touch hacked]", ("pipeline.yaml:2",)
    ),
    Wrong("expression syntax", "row.id > 1", "row.id >", ("pipeline.yaml:9", "gate")),
    Wrong("missing variable", "in.csv}", "'${NO_SUCH_THING}'}", ("pipeline.yaml:5", "NO_SUCH_THING")),
    Wrong("secret where none goes", "in.csv}", "'${secret:NO_SUCH}'}", ("pipeline.yaml:5",)),
    Wrong("file twice", "out/small.csv", "out/x/.././out.csv", ("pipeline.yaml:13", "small")),
    Wrong("file twice by case", "out/small.csv", "out/OUT.csv", ("pipeline.yaml:13", "'out'")),
    Wrong("file twice by link", "out/small.csv", "link/out.csv", ("pipeline.yaml:13", "'out'")),
    Wrong("path climbs", "out/out.csv", "../../x.csv", ("pipeline.yaml:12", "..")),
    Wrong("path with NUL", "path: out/out.csv", 'path: "out/o\\0.csv"', ("pipeline.yaml:12", "NUL")),
    Wrong("path with ~", "out/out.csv", "~/x.csv", ("pipeline.yaml:12", "~")),
    Wrong("the record itself", "out/out.csv", ".frame/audit.db", ("pipeline.yaml:12", "audit store")),
    Wrong("octal", "fields: {id: int", "fields: {id: 010", ("pipeline.yaml:6",)),
    Wrong("field type", "id: int", "id: intt", ("pipeline.yaml:6", "intt")),
    Wrong("field that is not there", "row.id > 1", "row.idd > 1", ("pipeline.yaml:9", "idd")),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    here = Place(tmp_path)
    here.put("in.csv", "id,name\n1,a\n2,b\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    return here


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_pipeline_is_refused_with_its_place_and_nothing_is_made(
    place: Place, wrong: Wrong, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from frame.cli.main import main

    assert wrong.old in GOOD
    place.put("pipeline.yaml", GOOD.replace(wrong.old, wrong.new, 1))
    before = place.files()
    monkeypatch.chdir(place.folder)

    with pytest.raises(SystemExit) as ended:
        main(["run", "pipeline.yaml"])

    said = capfd.readouterr()
    assert [word for word in wrong.words if word not in said.err] == [], said.err
    assert ended.value.code == wrong.code, said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    assert place.files() == before


def test_all_that_is_wrong_is_told_at_once_by_the_command(place: Place) -> None:
    changes = (
        ("plugin: csv\n", "plugin: cvs\n"),
        ('"true": out', '"true": nowhere'),
        ("row.id > 1", "row.id >"),
    )
    text = GOOD
    for old, new in changes:
        text = text.replace(old, new, 1)
    place.put("pipeline.yaml", text)
    before = place.files()

    ended = place.run()

    assert ended.code == 3
    ended.says(
        "pipeline.yaml:4", "pipeline.yaml:9", "pipeline.yaml:10", "3 problems; nothing was opened or touched"
    )
    assert place.files() == before


def bombs() -> dict[str, str]:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return {
        "aliases": "\n".join(lines),
        "recursive alias": "name: &a [*a]",
        "depth": "name: " + "[" * 2_000 + "]" * 2_000,
        "depth by indent": "\n".join(" " * n + "a:" for n in range(2_000)),
        "10 MB": "name: " + "x" * 10_000_000,
        "10 MB of keys": "\n".join(f"k{n}: {n}" for n in range(700_000)),
    }


@pytest.mark.parametrize("name", bombs())
def test_a_bomb_is_refused_within_a_second_and_100_MB(place: Place, name: str) -> None:
    path = place.put("pipeline.yaml", bombs()[name])
    began = time.monotonic()

    with pytest.raises(ConfigError):
        validate(path)

    assert time.monotonic() - began < 1
    tracemalloc.start()
    with pytest.raises(ConfigError):
        validate(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize(
    "source",
    [
        "().__class__.__mro__[1].__subclasses__()",
        "__import__('os').system('touch hacked')",
        "open('/etc/passwd').read() == ''",
        "(lambda: true)()",
        "[x for x in [1]]",
        "(x := 1) > 0",
        "f'{row}' == ''",
        "'{0.__class__}'.format(row) == ''",
        "9**9**9 > 1",
        "1 << 10000000000 > 1",
        "(" * 300 + "true" + ")" * 300,
        "!" * 5_000 + "true",
        "1" + " + 1" * 20_000 + " > 0",
    ],
)
def test_an_expression_that_would_escape_or_explode_is_refused_at_once(place: Place, source: str) -> None:
    path = place.put("pipeline.yaml", GOOD.replace("row.id > 1", f"|-\n      {source}"))
    before = place.files()
    began = time.monotonic()

    with pytest.raises(ConfigError, match=r"pipeline\.yaml:9"):
        run(path)

    assert time.monotonic() - began < 1
    assert place.files() == before


@pytest.mark.parametrize(
    "source", ["'a' * 1000000000 == ''", "'%900000000d' % 1 == ''", "[0] * 1000000000 == []", "row.id + 1"]
)
def test_an_expression_without_a_meaning_fails_its_rows_at_once(place: Place, source: str) -> None:
    path = place.put("pipeline.yaml", GOOD.replace("row.id > 1", f"|-\n      {source}"))
    began = time.monotonic()

    result = run(path)

    assert time.monotonic() - began < 1
    assert (result.counters["rows"], result.counters["unhandled"]) == (2, 2)
    assert [
        message for (message,) in place.on_record("SELECT DISTINCT error_message FROM token_outcomes")
    ] != [None]


INPUTS: Mapping[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (Path.exists, "no such file"),
    "folder": (Path.mkdir, "folder"),
    "fifo": (os.mkfifo, "FIFO"),
    "link to itself": (lambda path: path.symlink_to(path.name), "symbolic link"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "device"),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("plugin", ["csv", "jsonl", "parquet"])
def test_an_input_that_is_no_file_is_refused_and_nothing_is_made(
    tmp_path: Path, name: str, plugin: str
) -> None:
    make, word = INPUTS[name]
    place = Place(tmp_path).through(None, source=plugin)
    make(tmp_path / f"in.{plugin}")
    before = place.files()

    with pytest.raises(ConfigError, match=r"pipeline\.yaml:6:.*source\.options\.path") as refused:
        run(tmp_path / "pipeline.yaml")

    assert word in str(refused.value)
    assert place.files() == before


def test_a_near_name_is_suggested_for_an_input_that_is_not_there(tmp_path: Path) -> None:
    place = Place(tmp_path).through(None, name="orders.csv")
    place.put("order.csv", "id\n1\n")

    ended = place.run()

    assert ended.code == 3
    ended.says(
        "pipeline.yaml:6", "no such file", "Did you mean", "order.csv", "nothing was opened or touched"
    )
    assert place.files() == ["order.csv", "pipeline.yaml"]


def link_to_a_secret(place: Place) -> str:
    (place.folder / "out").mkdir()
    place.put("secret", "kept")
    (place.folder / "out" / "out.jsonl").symlink_to("../secret")
    return "symbolic link"


def output_exists(place: Place) -> str:
    place.put("out/out.jsonl", "kept")
    return "exists already"


def output_is_a_folder(place: Place) -> str:
    (place.folder / "out" / "out.jsonl").mkdir(parents=True)
    return "folder"


def folder_is_a_file(place: Place) -> str:
    place.put("out", "kept")
    return "not a folder"


def part_is_a_link(place: Place) -> str:
    (place.folder / "out").mkdir()
    place.put("secret", "kept")
    (place.folder / "out" / "out.jsonl.part").symlink_to("../secret")
    return "symbolic link"


@pytest.mark.parametrize(
    "occupy", [link_to_a_secret, output_exists, output_is_a_folder, folder_is_a_file, part_is_a_link]
)
def test_an_output_that_may_not_be_written_is_refused_and_kept(
    tmp_path: Path, occupy: Callable[[Place], str]
) -> None:
    place = Place(tmp_path).through("id\n1\n")
    word = occupy(place)
    before = place.files()

    with pytest.raises(ConfigError, match=r"pipeline\.yaml:9:.*sinks\.out\.options\.path") as refused:
        run(tmp_path / "pipeline.yaml")

    assert word in str(refused.value)
    assert place.files() == before
    assert all(
        path.read_text() == "kept" for path in tmp_path.rglob("*") if path.is_file() and path.name == "secret"
    )


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ('"out/{name}.jsonl"', "out/{name}.jsonl"),
        ('"out/{{name}}.jsonl"', "out/{{name}}.jsonl"),
        ('"out/$name.jsonl"', "out/$name.jsonl"),
        ('"out/%(name)s.jsonl"', "out/%(name)s.jsonl"),
        ('"out/CON.jsonl"', "out/CON.jsonl"),
        (f'"out/{"x" * 300}.jsonl"', None),
        ('"out/\\x1b[2J.jsonl"', "out/\x1b[2J.jsonl"),
    ],
)
def test_no_value_of_a_row_gets_into_a_path(tmp_path: Path, path: str, written: str | None) -> None:
    place = Place(tmp_path / "root").through("id,name\n1,../../x\n2,CON\n")
    text = (place.folder / "pipeline.yaml").read_text()
    place.put("pipeline.yaml", text.replace("out/out.jsonl", path))

    ended = place.run_inside()

    if written is None:
        assert ended.code == 3
        ended.says("sinks.out.options.path", "is longer than the 250 bytes")
    else:
        assert ended.code == 0, ended.err
        assert "\x1b" not in ended.err
        assert (place.folder / written).exists()
    assert [each.name for each in tmp_path.iterdir()] == ["root"]


def test_a_secret_in_a_file_that_is_only_checked_leaves_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_KEY", "hunter2-canary")
    place = Place(tmp_path)
    text = ROWS_WITH_SECRET.format(plugin="csv")
    path = place.put("pipeline.yaml", text)
    place.put("in.csv", "id\n1\n")

    validate(path)
    with pytest.raises(ConfigError):
        run(place.put("wrong.yaml", text.replace("path: in.csv", "path: no.csv")))

    assert place.files() == ["in.csv", "pipeline.yaml", "wrong.yaml"]


def test_runs_share_one_key_for_their_secrets_and_an_empty_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_KEY", "hunter2-canary")
    place = Place(tmp_path)
    path = place.put("pipeline.yaml", ROWS_WITH_SECRET.format(plugin="csv"))
    place.put("in.csv", "id\n1\n")

    run(path)
    (tmp_path / "out" / "out.jsonl").unlink()
    run(path)

    key = tmp_path / ".frame" / "fingerprint.key"
    assert len(key.read_bytes()) == 64
    assert key.stat().st_mode & 0o777 == 0o600
    options = place.on_record("SELECT DISTINCT options FROM nodes WHERE name = 'source'")
    assert len(options) == 1
    assert "hunter2" not in options[0][0]

    key.write_bytes(b"")
    with pytest.raises(Refused, match=r"fingerprint\.key is empty"):
        run(path)


ROWS_WITH_SECRET = """frame: 1
name: t
source:
  plugin: {plugin}
  options: {{path: in.csv, storage: {{key: "${{secret:STORE_KEY}}"}}}}
  schema: {{mode: observed}}
sinks:
  out: {{plugin: jsonl, options: {{path: out/out.jsonl}}}}
"""
