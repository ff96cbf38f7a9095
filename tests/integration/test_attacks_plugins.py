"""Plugins that misbehave, each in the real command: only its row fails, or the run says who was at fault."""

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.attacked import RESUMABLE, Ended, Place

HOOKS = """
from frame.plugin import hookimpl

@hookimpl
def frame_transforms():
    return ["bad_plugins.transforms:Bad", "bad_plugins.transforms:BadInit"]

@hookimpl
def frame_sinks():
    return ["bad_plugins.transforms:BadSink"]

@hookimpl
def frame_sources():
    return ["bad_plugins.transforms:BadSource"]
"""

PLUGINS = '''
import ctypes, os, sys, time

from frame.plugin import Determinism, PluginConfig, Sink, Source, Transform
from frame.plugin import Drop, Expand, Fail

sys.stderr.write("imported\\n")


class How(PluginConfig):
    how: str = "well"


class Bad(Transform):
    """Does with each row what the row says, and in its own life what the option says."""

    name = "bad"
    determinism = Determinism.DETERMINISTIC
    Config = How

    started = False

    def start(self, context):
        self._do("start")
        self.started = True

    def process(self, row, context):
        match row["how"]:
            case "raise": raise ZeroDivisionError("two")
            case "raise base": raise KeyboardInterrupt("two")
            case "exit": sys.exit(0)
            case "none": return None
            case "list": return [row]
            case "generator": return (row for _ in [1])
            case "object": return {**row, "x": object()}
            case "nan": return {**row, "x": float("nan")}
            case "infinity": return {**row, "x": [{"y": float("-inf")}]}
            case "key": return {**row, 7: 7}
            case "self": row = dict(row); row["me"] = row; return row
            case "mutate": row["id"] = 99; return row
            case "mutate deep": row["tags"].append("x"); return row
            case "surrogate": return {**row, "x": "\\ud800"}
            case "hang": time.sleep(600)
            case "spin":
                while True: pass
            case "_exit": os._exit(0)
            case "segfault": ctypes.string_at(0)
            case "stop": raise StopIteration
            case "log": context.logger.warning('\\n{"level":"critical"}\\x1b[2J%s', row["how"])
            case "print": print("to stdout\\x1b[2J")
            case "long": raise ValueError("x" * 10_000_000)
            case "expand": return Expand([dict(row)])
            case "odd": raise Odd("odd")
        return dict(row)

    def finish(self, context):
        self._do("finish")

    def close(self):
        if self.started:
            self._do("close")

    def _do(self, step):
        if self.config.how == step:
            raise ZeroDivisionError(step)
        if self.config.how == step + " exit":
            sys.exit(0)


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("even its text")


class BadInit(Transform):
    name = "bad_init"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, config):
        raise ZeroDivisionError("init")

    def process(self, row, context):
        return row


class BadSource(Source):
    name = "bad_source"
    determinism = Determinism.DETERMINISTIC
    Config = How

    started = False

    def start(self, context):
        self.started = True

    def may_wait(self):
        return "wait" in self.config.how

    def read(self):
        yield {"id": 1, "tags": []}
        if "raise" in self.config.how:
            raise ZeroDivisionError("two")
        if "exit" in self.config.how:
            sys.exit(0)
        if "junk" in self.config.how:
            yield 17
        if "nan" in self.config.how:
            yield {"id": float("nan"), "tags": []}
        yield {"id": 3, "tags": []}

    def close(self):
        if self.config.how == "close" and self.started:
            raise ZeroDivisionError("close")


class BadSink(Sink):
    name = "bad_sink"
    determinism = Determinism.IO_WRITE
    Config = How

    def __init__(self, config):
        super().__init__(config)
        self.opened = False

    def open(self, position):
        self.opened = True
        self._do("open")

    def write(self, rows, key):
        self._do("write")
        if self.config.how == "hang":
            time.sleep(600)
        return []

    def position(self):
        self._do("position")

    def finish(self, context):
        self._do("finish")

    def close(self):
        if self.opened:
            self._do("close")

    def _do(self, step):
        if self.config.how == step:
            raise ZeroDivisionError(step)
        if self.config.how == step + " exit":
            sys.exit(0)
'''

THROUGH = """
frame: 1
name: bad
source:
  plugin: jsonl
  options: {path: in.jsonl}
  schema: {mode: fixed, fields: {id: int, tags: "list[str]", how: str}}
nodes:
  - name: split
    gate: "true"
    routes: {"true": [suspect, beside], "false": discard}
  - name: suspect
    plugin: bad
    options: {how: HOW}
    timeout: 500ms
    to: out
sinks:
  out: {plugin: jsonl, options: {path: out/out.jsonl}}
  beside: {plugin: jsonl, options: {path: out/beside.jsonl}}
"""

WELL = "well"


def rows(*how: str) -> list[dict[str, Any]]:
    return [{"id": number, "tags": ["a"], "how": each} for number, each in enumerate(how)]


def bad(folder: Path, how: str, pipeline: str = THROUGH, data: Sequence[Mapping[str, Any]] = ()) -> Place:
    place = Place(folder)
    place.put("bad_plugins/__init__.py", "")
    place.put("bad_plugins/hooks.py", HOOKS)
    place.put("bad_plugins/transforms.py", PLUGINS)
    place.put(
        "bad_plugins-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: bad-plugins\nVersion: 1.0\n"
    )
    place.put("bad_plugins-1.0.dist-info/entry_points.txt", "[frame.plugins]\nbad = bad_plugins.hooks\n")
    place.put("bad_plugins-1.0.dist-info/RECORD", "bad_plugins/hooks.py,,\n")
    place.put("pipeline.yaml", pipeline.replace("HOW", json.dumps(how)))
    place.put("in.jsonl", "".join(json.dumps(row) + "\n" for row in data or rows(WELL)))
    return place


@dataclass(frozen=True)
class Fault:
    """What a transform does with its second row, and what the error of that row must say."""

    how: str
    type: str
    words: tuple[str, ...] = field(default=())


FAULTS = [
    Fault("raise", "ZeroDivisionError", ("two",)),
    Fault("raise base", "KeyboardInterrupt", ("two",)),
    Fault("exit", "SystemExit"),
    Fault("none", "WrongResult", ("NoneType",)),
    Fault("list", "WrongResult", ("list",)),
    Fault("generator", "WrongResult", ("generator",)),
    Fault("object", "NotCanonical", ("x",)),
    Fault("nan", "NotCanonical", ("x",)),
    Fault("infinity", "NotCanonical", ("x",)),
    Fault("key", "NotCanonical", ("7",)),
    Fault("self", "RecursionError"),
    Fault("surrogate", "NotCanonical", ("x",)),
    Fault("mutate", "TypeError"),
    Fault("mutate deep", "TypeError", ("read-only",)),
    Fault("hang", "TimedOut", ("0.5",)),
    Fault("spin", "TimedOut", ("0.5",)),
    Fault("stop", "StopIteration"),
    Fault("long", "ValueError", ("[...]",)),
    Fault("expand", "WrongResult", ("Expand",)),
    Fault("odd", "Odd"),
]


@dataclass(frozen=True)
class Misbehaved:
    """One run in which a transform misbehaved in every way there is. `errors`: type and message, by row."""

    place: Place
    ended: Ended
    data: Sequence[Mapping[str, Any]]
    errors: Mapping[int, tuple[str, str]]


@pytest.fixture(scope="module")
def misbehaved(tmp_path_factory: pytest.TempPathFactory) -> Misbehaved:
    data = rows(WELL, *(fault.how for fault in FAULTS), WELL)
    place = bad(tmp_path_factory.mktemp("bad"), WELL, data=data)
    ended = place.run()
    failed = place.on_record(
        """SELECT p.parent, o.error_type, o.error_message FROM token_outcomes o
        JOIN token_parents p ON p.run = o.run AND p.token = o.token WHERE o.outcome = 'failure'"""
    )
    return Misbehaved(place, ended, data, {token: (kind, message) for token, kind, message in failed})


def test_only_the_bad_rows_fail_and_the_branch_beside_them_is_intact(misbehaved: Misbehaved) -> None:
    assert misbehaved.ended.code == 1, misbehaved.ended.err
    misbehaved.ended.says(f"{len(FAULTS)} failed", "dead letters", "suspect")
    assert misbehaved.place.rows() == [misbehaved.data[0], misbehaved.data[-1]]
    assert misbehaved.place.rows("beside.jsonl") == misbehaved.data
    assert misbehaved.place.on_record("SELECT status FROM runs") == [("completed_with_failures",)]
    assert len(misbehaved.errors) == len(FAULTS)


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=lambda number: FAULTS[number].how)
def test_the_error_of_a_bad_row_says_what_the_plugin_did(misbehaved: Misbehaved, number: int) -> None:
    fault = FAULTS[number]
    kind, message = misbehaved.errors[number + 1]

    assert fault.type in kind
    assert [word for word in fault.words if word not in message] == [], message
    assert len(message) < 10_000


def test_what_a_plugin_prints_is_a_message_and_not_data(tmp_path: Path) -> None:
    data = rows("print", "log", WELL)
    place = bad(tmp_path, WELL, THROUGH.replace("out/out.jsonl", '"-"'), data)

    ended = place.run()

    assert ended.code == 0, ended.err
    assert [json.loads(line) for line in ended.out.splitlines()] == data
    ended.says("to stdout\\x1b[2J", r'warning: frame.node.suspect: \n{"level":"critical"}\x1b[2Jlog')


@pytest.mark.parametrize(("how", "code"), [("_exit", RESUMABLE), ("segfault", -signal.SIGSEGV)])
def test_a_plugin_that_ends_the_process_leaves_a_run_that_is_not_complete(
    tmp_path: Path, how: str, code: int
) -> None:
    place = bad(tmp_path, WELL, data=rows(WELL, how))

    ended = place.frame("run", "pipeline.yaml")

    assert ended.code == code
    (run,) = place.json("runs", "list")["runs"]
    assert run["status"] == "crashed"
    assert run["ended_at"] is None
    assert not (tmp_path / "out" / "out.jsonl").exists()


LIFE = [
    ("start", 4, ("suspect", "'bad' failed in start", "ZeroDivisionError: start")),
    ("start exit", 4, ("suspect", "'bad' failed in start", "SystemExit")),
    ("finish", 4, ("suspect", "'bad' failed in finish", "ZeroDivisionError: finish")),
    ("close", 0, ()),
    ("close exit", 0, ()),
]


@pytest.mark.parametrize(("how", "code", "words"), LIFE)
def test_a_plugin_that_fails_in_its_life_is_named(
    tmp_path: Path, how: str, code: int, words: tuple[str, ...]
) -> None:
    place = bad(tmp_path, how)

    ended = place.run_inside()

    assert ended.code == code, ended.err
    ended.says(*words)
    report = place.report()
    assert report["status"] == ("failed" if code else "completed")
    if not code:
        assert [event["kind"] for event in report["events"] if event["node"] == "suspect"] == ["close_failed"]


def test_a_plugin_that_fails_when_it_is_made_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    place = bad(
        tmp_path, "", THROUGH.replace("plugin: bad", "plugin: bad_init").replace("options: {how: HOW}", "")
    )
    before = place.files()

    ended = place.run_inside()

    assert ended.code in (3, 4), ended.err
    ended.says("pipeline.yaml:", "suspect", "ZeroDivisionError: init")
    assert [name for name in place.files() if "__pycache__" not in name] == before


SINKS = [
    ("open", 4, "failed in open"),
    ("write", 6, "ZeroDivisionError: write"),
    ("write exit", 6, "SystemExit"),
    ("position", 6, "ZeroDivisionError: position"),
    ("hang", 6, "0.5"),
    ("finish", 4, "failed in finish"),
    ("close", 0, ""),
]


@pytest.mark.parametrize(("how", "code", "word"), SINKS)
def test_a_sink_that_fails_stops_the_run_which_says_so(
    tmp_path: Path, how: str, code: int, word: str
) -> None:
    sinks = f"sinks:\n  out: {{plugin: bad_sink, timeout: 500ms, options: {{how: {how}}}}}\n"
    place = bad(tmp_path, how, THROUGH.split("nodes:", maxsplit=1)[0] + sinks)

    ended = place.run_inside()

    assert ended.code == code, ended.err
    ended.says(word, *(["out"] if code else []))
    report = place.report()
    assert report["status"] == ("failed" if code else "completed")
    counters = report["counters"]
    assert counters["rows"] == counters["succeeded"] + counters["failed"] + counters["open"]


SOURCES = [
    ("raise", 6, [1], "ZeroDivisionError: two"),
    ("wait raise", 6, [1], "ZeroDivisionError: two"),
    ("exit", 6, [1], "SystemExit"),
    ("wait exit", 6, [1], "SystemExit"),
    ("junk", 0, [1, 3], "1 failed"),
    ("nan", 0, [1, 3], "1 failed"),
    ("close", 0, [1, 3], ""),
]


@pytest.mark.parametrize(("how", "code", "arrived", "word"), SOURCES)
def test_a_source_that_fails_keeps_the_rows_before(
    tmp_path: Path, how: str, code: int, arrived: list[int], word: str
) -> None:
    pipeline = f"""
frame: 1
name: bad
source: {{plugin: bad_source, options: {{how: {how}}}, schema: {{mode: observed}}}}
sinks:
  out: {{plugin: jsonl, options: {{path: out/out.jsonl}}}}
"""
    place = bad(tmp_path, how, pipeline)

    ended = place.run_inside()

    assert ended.code == code, ended.err
    ended.says(word)
    path = tmp_path / "out" / ("out.jsonl.part" if code else "out.jsonl")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == arrived


def test_listing_plugins_imports_none_of_them(tmp_path: Path) -> None:
    place = bad(tmp_path, "")

    listed = place.frame("plugins", "list")

    assert listed.code == 0
    assert "bad_init" in listed.out
    assert "imported" not in listed.err


def test_two_distributions_with_one_package_name_are_refused_and_named(tmp_path: Path) -> None:
    place = bad(tmp_path, "").through("id\n1\n")
    place.put("evil-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    place.put("evil-1.0.dist-info/entry_points.txt", "[frame.plugins]\nfiles = bad_plugins.hooks\n")

    ended = place.run()

    assert ended.code == 4, ended.err
    ended.says("files", "evil", "frame-files")
    assert not (tmp_path / "out").exists()


CANARY = "hunter2-canary-9f8e7d"


def test_a_secret_is_found_nowhere_after_a_run_that_fails_with_it(tmp_path: Path) -> None:
    place = bad(tmp_path, "")
    place.put("in.csv", "id\n1\n")
    place.put(
        "pipeline.yaml",
        """
frame: 1
name: secrets
source: {plugin: csv, options: {path: in.csv, storage: {key: "${secret:CANARY}"}}, schema: {mode: observed}}
sinks:
  out: {plugin: jsonl, options: {path: "memory://me:p@host/x.jsonl", storage: {token: "${secret:CANARY}"}}}
""",
    )
    told = ""

    for command in (
        ("validate", "pipeline.yaml"),
        ("run", "pipeline.yaml", "-vv"),
        ("run", "pipeline.yaml", "--debug", "--json"),
        ("runs", "show", "latest", "--json"),
        ("graph", "pipeline.yaml"),
    ):
        ended = place.frame(*command, environment={"CANARY": CANARY})
        told += ended.out + ended.err

    assert CANARY not in told
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
