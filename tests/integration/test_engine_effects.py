"""The order of effects, seen from a second connection; what is kept of payloads; runs side by side."""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import frame
import pytest
import zstandard
from frame.config.in_code import pipeline
from frame.engine.runner import Runner
from frame.errors import AuditError
from frame.events import Chunk, PayloadKind, RunStatus, SinkConfirmed, SinkIntended
from frame.operations.compile import compile_pipeline
from frame.operations.run import run
from frame.plugin import Context, Determinism, PluginConfig, Rejected, Transform
from frame.rows import Row
from frame.testing import Applied, ListSink, ListSource, ManualClock, MemoryRecorder, run_pipeline
from pydantic import SecretStr

CANARY = "c4nary-in-the-coal-mine"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def kinds(store: Path) -> list[str]:
    """The kinds of events that are on record for somebody else at this moment."""
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        found = [kind for (kind,) in connection.execute("SELECT kind FROM segments")]
        [confirmed] = connection.execute("SELECT count(*) FROM confirmations").fetchone()
        return [*found, *["sink_confirmed"] * confirmed]


class Looking(ListSink):
    """Looks at the record, from outside, whenever it is written to."""

    name = "looking"

    def __init__(self, store: Path, **behaviour: Any) -> None:
        super().__init__(**behaviour)
        self._store = store
        self.saw: list[tuple[int, int]] = []

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        seen = kinds(self._store)
        self.saw.append((seen.count("sink_intended"), seen.count("sink_confirmed")))
        return super().write(rows, key)


@pytest.mark.parametrize("writer", ["inline", "thread"])
def test_a_write_is_on_record_before_it_is_made_and_confirmed_after(store: Path, writer: str) -> None:
    sink = Looking(store)
    pipe = pipeline(
        "effects",
        source=ListSource([{"n": n} for n in range(6)]),
        sinks={"out": sink},
        settings={"chunk_rows": 2},
        audit={"url": f"sqlite:///{store}", "writer": writer},
    )

    result = run(pipe)

    assert result.status is RunStatus.COMPLETED
    assert [row["n"] for row in sink.rows] == list(range(6))
    for number, (intended, confirmed) in enumerate(sink.saw, start=1):
        assert intended == number
        assert confirmed < number
    assert kinds(store).count("sink_confirmed") == 3


class Outside(Transform):
    """Calls the outside world, which looks at the record."""

    name = "outside"
    determinism = Determinism.EXTERNAL_CALL

    def __init__(self, store: Path) -> None:
        super().__init__(PluginConfig())
        self._store = store
        self.saw: list[list[str]] = []

    def process(self, row: Row, context: Context) -> Row:
        self.saw.append(kinds(self._store))
        return row


def test_visits_that_call_the_outside_world_are_on_record_before_they_begin(store: Path) -> None:
    plugin = Outside(store)

    run(
        pipeline(
            "outside",
            source=ListSource([{"n": n} for n in range(4)]),
            nodes=[{"name": "ask", "plugin": plugin}],
            sinks={"out": ListSink()},
            settings={"chunk_rows": 2},
        ),
        audit=f"sqlite:///{store}",
    )

    assert [seen.count("visits_begun") for seen in plugin.saw] == [1, 1, 2, 2]
    assert all("rows_read" in seen for seen in plugin.saw)


@pytest.mark.parametrize("settings", [{"chunk_rows": 1}, {"chunk_rows": 3}, {}])
def test_it_does_not_matter_where_the_writer_works(store: Path, settings: dict[str, Any]) -> None:
    def written(writer: str) -> tuple[dict[str, int], list[Row]]:
        sink = ListSink(rejects=lambda row: "odd" if row["n"] % 2 else None)
        other = ListSink()
        pipe = pipeline(
            "writers",
            source={"plugin": ListSource([{"n": n} for n in range(10)]), "to": "out"},
            sinks={"out": {"plugin": sink, "on_error": "other"}, "other": other},
            settings=settings,
            audit={"url": f"sqlite:///{store}", "writer": writer},
        )
        return dict(run(pipe).counters), [*sink.rows, *other.rows]

    assert written("inline") == written("thread")


# --- When something fails --------------------------------------------------------------------------


class Failing(MemoryRecorder):
    """Cannot commit chunk number `at`."""

    def __init__(self, at: int, error: Exception) -> None:
        super().__init__()
        self._at, self._error = at, error

    def commit(self, chunk: Chunk) -> None:
        if chunk.number == self._at:
            raise self._error
        super().commit(chunk)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("error", [AuditError("here", "disk full"), TypeError("a fault in the recorder")])
def test_a_commit_that_fails_stops_the_run_and_no_sink_is_touched_after(
    error: Exception, beside: bool
) -> None:
    sink = ListSink()
    pipe = pipeline(
        "failing",
        source=ListSource([{"n": n} for n in range(8)]),
        sinks={"out": sink},
        settings={"chunk_rows": 2},
    )
    recorder = Failing(1, error)

    with pytest.raises(AuditError):
        Runner(compile_pipeline(pipe).graph, recorder, ManualClock(automatic=True), write_beside=beside).run()

    assert [row["n"] for row in sink.rows] == [0, 1]
    assert [chunk.number for chunk in recorder.chunks] == [0]
    assert recorder.status is None


@pytest.mark.parametrize("writer", ["inline", "thread"])
def test_what_a_broken_sink_should_have_got_is_on_record(store: Path, writer: str) -> None:
    pipe = pipeline(
        "broken",
        source=ListSource([{"n": n} for n in range(8)]),
        nodes=[{"name": "same", "plugin": Applied(lambda row: row)}],
        sinks={"out": ListSink(fails=99)},
        settings={"chunk_rows": 2},
        audit={"url": f"sqlite:///{store}", "writer": writer},
    )

    result = run(pipe)

    assert (result.status, result.resumable) == (RunStatus.FAILED, True)
    assert result.counters["open"] == result.counters["rows"] > 0
    assert kinds(store).count("sink_confirmed") == 0
    assert kinds(store).count("sink_intended") >= 1


def test_a_source_that_breaks_while_a_sink_fails_ends_the_run_in_order(store: Path) -> None:
    pipe = pipeline(
        "both",
        source=ListSource([{"n": 1}, {"n": 2}, OSError("gone")]),
        sinks={"out": ListSink(fails=99)},
        settings={"chunk_rows": 2},
        audit={"url": f"sqlite:///{store}", "writer": "thread"},
    )

    result = run(pipe)

    assert (result.status, result.counters["open"]) == (RunStatus.FAILED, 2)
    assert result.error is not None
    assert result.error.type in ("SourceError", "SinkError")


# --- What is kept ----------------------------------------------------------------------------------


class Moody(Transform):
    name = "moody"
    determinism = Determinism.NON_DETERMINISTIC

    def process(self, row: Row, context: Context) -> dict[str, Any]:
        return {**row, "at": context.now()}


def test_without_payloads_source_rows_are_hashes_and_what_cannot_be_made_again_stays() -> None:
    ran = {}
    for payloads in ("all", "none"):
        pipe = pipeline(
            "payloads",
            source={
                "plugin": ListSource([{"n": 1}, {"n": "two"}, {"n": 3}]),
                "schema": {"mode": "flexible", "fields": {"n": "int"}},
            },
            nodes=[{"name": "moody", "plugin": Moody}],
            sinks={"out": ListSink()},
            settings={"payloads": payloads},
        )
        ran[payloads] = run_pipeline(pipe, clock=ManualClock())

    def blocks(run: Any) -> set[PayloadKind]:
        return {block.kind for chunk in run.recorder.chunks for block in chunk.payloads}

    kept = {PayloadKind.OUTBOX, PayloadKind.OUTPUTS, PayloadKind.CALLS}
    assert blocks(ran["all"]) == kept | {PayloadKind.ROWS}
    assert blocks(ran["none"]) == kept

    def hashes(run: Any) -> list[Any]:
        return [event for event in run.events if not isinstance(event, SinkIntended | SinkConfirmed)]

    assert hashes(ran["none"]) == hashes(ran["all"])


def texts(store: Path) -> Iterator[bytes]:
    """Everything in the file: as it is, and what is compressed in it."""
    for path in store.parent.iterdir():
        if path.is_file():
            yield path.read_bytes()
    with sqlite3.connect(store) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, bytes) and value[:4] == b"\x28\xb5\x2f\xfd":
                        yield zstandard.ZstdDecompressor().decompress(value)


class Leaking(Transform):
    name = "leaking"
    determinism = Determinism.EXTERNAL_CALL

    class Config(PluginConfig):
        key: SecretStr

    def process(self, row: Row, context: Context) -> Row:
        context.call("http", {"authorization": CANARY}, lambda request: {"echo": f"you said {CANARY}"})
        raise PermissionError(f"denied for {CANARY}")


def test_no_byte_of_the_file_knows_a_secret(store: Path) -> None:
    pipe = pipeline(
        "leaking",
        source=ListSource([{"n": 1}]),
        nodes=[{"name": "leak", "plugin": Leaking(Leaking.Config(key=SecretStr(CANARY)))}],
        sinks={"out": ListSink()},
    )

    result = run(pipe, audit=f"sqlite:///{store}")

    assert result.counters["unhandled"] == 1
    everything = list(texts(store))
    assert any(b"you said [secret]" in text for text in everything)
    assert not any(CANARY.encode() in text for text in everything)


# --- Side by side ----------------------------------------------------------------------------------

PROGRAM = """
import json, sys
import frame
from frame.config.in_code import pipeline
from frame.testing import Applied, ListSink, ListSource

pipe = pipeline(
    sys.argv[2],
    source=ListSource([{"n": n} for n in range(200)]),
    nodes=[{"name": "double", "plugin": Applied(lambda row: {"n": row["n"] * 2})}],
    sinks={"out": ListSink()},
    settings={"chunk_rows": 5},
)
print(json.dumps(frame.run(pipe, audit=f"sqlite:///{sys.argv[1]}").as_json()))
"""


def test_processes_run_at_once_on_one_file(store: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(store)]
    running = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in ("a", "b")
    ]

    ended = [(process.communicate(timeout=60), process.returncode) for process in running]

    assert [code for _, code in ended] == [0, 0], ended
    assert {json.loads(out)["counters"]["succeeded"] for (out, _), _ in ended} == {200}
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2,)


def test_runs_leave_no_thread_behind(store: Path) -> None:
    pipe = pipeline(
        "threads",
        source=ListSource([{"n": n} for n in range(4)]),
        nodes=[{"name": "same", "plugin": Applied(lambda row: row), "concurrency": 2}],
        sinks={"out": ListSink()},
    )

    before = set(threading.enumerate())

    frame.run(pipe, audit=f"sqlite:///{store}")

    waiter, left = threading.Event(), ["not looked yet"]
    for _ in range(100):
        left = [thread.name for thread in set(threading.enumerate()) - before]
        if not left or waiter.wait(0.02):
            break
    assert left == []
