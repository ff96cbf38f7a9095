"""What a run's commits come to: counts a node, rate, and how they are shown."""

import contextlib
import io
import json
import os
import pty
from collections.abc import Sequence
from dataclasses import replace

import pytest
from frame.clock import SystemClock
from frame.events import (
    Abandoned,
    AttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Chunk,
    Dropped,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Path,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    RunStatus,
    SinkConfirmed,
    SinkIntended,
    SourceEnded,
    TriggerKind,
    Visited,
    VisitStatus,
    Waiting,
)
from frame.graph.model import NodeKind
from frame.telemetry.counts import NodeCounts
from frame.telemetry.listeners import Audience, NodeInfo, RunInfo
from frame.telemetry.progress import ProgressState
from frame.telemetry.progress_display import JsonProgress, TableProgress, display

START = 1_700_000_000_000_000
SECOND = 1_000_000
ERROR = ErrorInfo("ValueError", "no")
INFO = RunInfo(
    "0190",
    "demo",
    START,
    (
        NodeInfo(0, "source", NodeKind.SOURCE, "files.csv", "0.1.0"),
        NodeInfo(1, "work", NodeKind.TRANSFORM, "std.compute", "0.1.0"),
        NodeInfo(2, "out", NodeKind.SINK, "files.csv", "0.1.0"),
    ),
)


class HandClock(SystemClock):
    """Time that a test moves by hand."""

    def __init__(self, now_us: int = START) -> None:
        super().__init__()
        self.now_us = now_us

    def time_us(self) -> int:
        return self.now_us


def chunk(*events: Event, number: int = 0) -> Chunk:
    return Chunk(number, START, events)


def read(rows: int, first: int = 0) -> RowsRead:
    return RowsRead(first, range(first, first + rows), bytes(32 * rows))


def attempt(number: int) -> AttemptFailed:
    return AttemptFailed(1, 0, 7, number, VisitStatus.FAILED, ERROR, START, 10)


COUNTS: list[tuple[str, Sequence[Event], int, NodeCounts]] = [
    ("rows read", [read(3)], 0, NodeCounts(entered=3, left=3)),
    ("an invalid row", [RowInvalid(0, 0, b"", ERROR, None)], 0, NodeCounts(entered=1, failed=1)),
    ("visits", [Visited(1, 0, range(3), None, START, 10)], 1, NodeCounts(entered=3, left=3)),
    (
        "a visit at the third attempt",
        [attempt(0), attempt(1), Visited(1, 0, [7], None, START, 10, attempt=2)],
        1,
        NodeCounts(entered=1, left=1, retries=2),
    ),
    ("a failure", [attempt(0), Failed(1, 0, 7, ERROR, None)], 1, NodeCounts(entered=1, failed=1)),
    ("drops", [Dropped(1, 0, [1, 2], "dull", START, 10)], 1, NodeCounts(entered=2)),
    (
        "an expansion",
        [Expanded(1, 0, 1, range(5, 9), bytes(128), START, 10)],
        1,
        NodeCounts(entered=1, left=4),
    ),
    (
        "a fork",
        [Routed(1, 0, [1, 2], "both", RouteMode.FORK, START, 10, children=range(5, 9))],
        1,
        NodeCounts(entered=2, left=4),
    ),
    (
        "a route",
        [Routed(1, 0, [1, 2], "late", RouteMode.ROUTE, START, 10)],
        1,
        NodeCounts(entered=2, left=2),
    ),
    ("a discard", [Routed(1, 0, [1, 2], "no", RouteMode.DISCARD, START, 10)], 1, NodeCounts(entered=2)),
    (
        "a loop used up",
        [Routed(1, 5, [1], "again", RouteMode.LOOP, START, 10, limit=True)],
        1,
        NodeCounts(entered=1, failed=1),
    ),
    ("an open batch", [Buffered(1, 0, range(5), 0, START, START, 10)], 1, NodeCounts(entered=5, held=5)),
    (
        "a flushed batch",
        [
            Buffered(1, 0, range(5), 0, START, START, 10),
            BatchFlushed(1, 0, TriggerKind.COUNT, 5, range(9, 11), bytes(64), START, 10),
        ],
        1,
        NodeCounts(entered=5, left=2),
    ),
    (
        "a batch that passes its members on",
        [
            Buffered(1, 0, range(5), 0, START, START, 10),
            BatchFlushed(1, 0, TriggerKind.COUNT, 5, range(0), bytes(160), START, 10),
        ],
        1,
        NodeCounts(entered=5, left=5),
    ),
    (
        "a failed batch",
        [
            Buffered(1, 0, range(5), 0, START, START, 10),
            BatchFailed(1, 0, TriggerKind.AT_END, 5, ERROR, None),
        ],
        1,
        NodeCounts(entered=5, failed=5),
    ),
    (
        "merges",
        [
            Waiting(1, 0, [1, 2, 3, 4, 5], START),
            Merged(1, [0, 1], [1, 2, 3, 4], [2, 2], range(8, 10), bytes(64), "all", START, 10),
            MergeFailed(1, 2, [5], ERROR),
            MergeLate(1, 0, 6, 0),
        ],
        1,
        NodeCounts(entered=6, left=2, failed=2),
    ),
    (
        "a write that is on its way",
        [SinkIntended(2, 0, 0, range(5), [(Path.DEFAULT_FLOW, 5)], b"", "k")],
        2,
        NodeCounts(entered=5, held=5),
    ),
    ("abandoned tokens", [Abandoned(range(5), ERROR)], 1, NodeCounts()),
]


@pytest.mark.parametrize(("events", "node", "counts"), [c[1:] for c in COUNTS], ids=[c[0] for c in COUNTS])
def test_each_event_counts_at_its_node(events: Sequence[Event], node: int, counts: NodeCounts) -> None:
    assert ProgressState(INFO).after(chunk(*events), START).at(node) == counts


def test_a_write_is_confirmed_by_a_later_commit() -> None:
    intended = chunk(SinkIntended(2, 0, 0, range(5), [(Path.DEFAULT_FLOW, 5)], b"", "k"))
    confirmed = chunk(SinkConfirmed(2, 0, None, START, 10, rejected=[(3, "too wide", None)]), number=1)

    state = ProgressState(INFO).after(intended, START).after(confirmed, START)

    assert state.at(2) == NodeCounts(entered=5, left=4, failed=1)
    assert state.in_flight == {}
    assert state.failed == 1


def test_folding_a_chunk_leaves_the_earlier_state_as_it_was() -> None:
    before = ProgressState(INFO).after(chunk(read(3)), START)

    before.after(chunk(read(4, first=3)), START)

    assert (before.rows, before.chunks) == (3, 1)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    state = ProgressState(INFO)
    for second in range(1, 11):
        state = state.after(chunk(read(100)), START + second * SECOND)
    for second in range(11, 21):
        state = state.after(chunk(read(1000)), START + second * SECOND)

    assert state.rows_per_s(START + 20 * SECOND) == pytest.approx(1000)
    assert state.rows_per_s(START + 30 * SECOND) == 0
    assert state.elapsed_s(START + 20 * SECOND) == 20
    assert len(state.samples) <= 7


def test_a_thousand_small_commits_keep_few_samples() -> None:
    state = ProgressState(INFO)
    for number in range(1000):
        state = state.after(chunk(read(1)), START + number * 20_000)

    assert len(state.samples) < 60
    assert state.rows_per_s(START + 1000 * 20_000) == pytest.approx(50, rel=0.1)


def test_without_a_terminal_there_is_at_most_one_line_a_second() -> None:
    clock, stream = HandClock(), io.StringIO()
    shown = display(clock, err=stream)
    assert shown is not None

    shown.run_started(INFO)
    for _ in range(25):
        clock.now_us += SECOND // 10
        shown.committed(chunk(read(10)), 1000)
    shown.run_finished(RunStatus.COMPLETED, clock.now_us)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["run_started", "progress", "progress", "run_finished"]
    assert [line.get("rows") for line in lines] == [None, 100, 200, 250]
    assert lines[-1] == {
        "schema_version": 1,
        "event": "run_finished",
        "run_id": "0190",
        "status": "completed",
        "rows": 250,
        "failed": 0,
        "rows_per_s": 100.0,
        "elapsed_s": 2.5,
        "chunks": 25,
        "source_ended": False,
        "nodes": {
            "source": {"in": 250, "out": 250, "failed": 0, "held": 0},
            "work": {"in": 0, "out": 0, "failed": 0, "held": 0},
            "out": {"in": 0, "out": 0, "failed": 0, "held": 0},
        },
    }


@pytest.mark.parametrize(
    ("quiet", "as_json", "where"),
    [(False, False, "err"), (True, False, None), (False, True, "out"), (True, True, "out")],
)
def test_progress_is_shown_where_it_was_asked_for(quiet: bool, as_json: bool, where: str | None) -> None:
    out, err = io.StringIO(), io.StringIO()

    shown = display(HandClock(), quiet, as_json, out, err)
    if shown is not None:
        shown.run_started(INFO)

    assert bool(out.getvalue()) is (where == "out")
    assert bool(err.getvalue()) is (where == "err")


def drawn_on_a_terminal() -> str:
    """What a run writes to a real (pseudo) terminal."""
    master, slave = pty.openpty()
    clock = HandClock(START + SECOND)
    with os.fdopen(slave, "w") as terminal:
        shown = display(clock, err=terminal)
        assert isinstance(shown, TableProgress)
        shown.run_started(INFO)
        shown.committed(chunk(read(1234), Failed(1, 0, 7, ERROR, None), SourceEnded(1234)), 1000)
        assert shown._live is not None
        shown._live.refresh()
        shown.run_finished(RunStatus.COMPLETED_WITH_FAILURES, clock.now_us)
    drawn = b""
    with os.fdopen(master, "rb", buffering=0) as other_end, contextlib.suppress(OSError):
        while piece := other_end.read(65536):
            drawn += piece
    return drawn.decode()


def test_on_a_terminal_a_table_follows_the_run_and_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)

    drawn = drawn_on_a_terminal()

    assert "demo: 1,234 rows, 1,234 rows/s, 1.0 s, 1 failed, source at its end" in drawn
    assert "work" in drawn
    assert "\x1b[31m" in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 1


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b[31m" not in drawn_on_a_terminal()


class Deaf:
    """A listener that cannot bear to listen."""

    def __init__(self) -> None:
        self.heard = 0

    def run_started(self, info: RunInfo) -> None:
        self.heard += 1

    def committed(self, chunk: Chunk, took_us: int) -> None:
        self.heard += 1
        raise OSError("broken pipe")

    def run_finished(self, status: RunStatus, at_us: int) -> None:
        self.heard += 1


def test_a_listener_that_raises_is_left_out_and_the_others_hear_on(caplog: pytest.LogCaptureFixture) -> None:
    clock, stream, deaf = HandClock(), io.StringIO(), Deaf()
    audience = Audience([deaf, JsonProgress(stream, clock)], clock)

    audience.run_started(INFO)
    clock.now_us += SECOND
    audience.committed(chunk(read(5)))
    audience.committed(chunk(read(5, first=5)))
    audience.run_finished(RunStatus.COMPLETED)

    assert deaf.heard == 2
    assert json.loads(stream.getvalue().splitlines()[-1])["rows"] == 10
    assert "Deaf is no longer told of this run: OSError('broken pipe')" in caplog.text


def test_a_run_that_goes_on_counts_from_where_it_stopped():
    info = replace(INFO, counts={0: NodeCounts(entered=7, left=7)}, in_flight={(3, 0): 7})
    confirmed = SinkConfirmed(3, 0, None, 0, 0)

    state = ProgressState.begin(info).after(chunk(confirmed), START)

    assert state.rows == 7
    assert state.at(3) == NodeCounts(left=7, held=-7)
