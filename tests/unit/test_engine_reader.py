"""Reading a source: how many rows make a chunk, how long rows are held back, and what a source may do wrong."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from frame.clock import SystemClock
from frame.config.in_code import pipeline
from frame.engine.reader import DirectReader, Read, WaitingReader, reader_for
from frame.errors import SourceError
from frame.events import BatchFlushed, RunStatus, TriggerKind
from frame.plugin import Determinism, PluginConfig, Source
from frame.testing import ListSink, ListSource, ManualClock, Until, run_pipeline
from frame.testing.faults import Applied

IN_A_WHILE_US = 5_000_000


class Fed(Source):
    """Yields what a test lets it yield, one item after the other; its position is one mapping that it changes."""

    name = "fed"
    determinism = Determinism.NON_DETERMINISTIC

    def __init__(self, items: list[Any], *, ready: int = 1_000, waits: bool = True) -> None:
        super().__init__(PluginConfig())
        self._items, self._waits = items, waits
        self.ready = threading.Semaphore(ready)
        self.given = 0
        self._at = {"after": -1}

    def may_wait(self) -> bool:
        return self._waits

    def read(self) -> Iterator[Mapping[str, Any]]:
        for number, item in enumerate(self._items):
            self.ready.acquire()
            if isinstance(item, BaseException):
                raise item
            self._at["after"] = number
            self.given = number + 1
            yield item

    def position(self) -> Any:
        return self._at


ROWS = [{"n": n} for n in range(10)]


def numbers(read: Read) -> list[int]:
    return [row["n"] for row in read.rows]


def waiting(source: Source, chunk_rows: int = 4, max_latency_s: float = 0.05) -> WaitingReader:
    return WaitingReader(source, chunk_rows, max_latency_s, SystemClock(), threading.Event())


def soon() -> int:
    return SystemClock().time_us() + IN_A_WHILE_US


def eventually(holds: Callable[[], bool]) -> bool:
    waiter = threading.Event()
    return any(holds() or waiter.wait(0.01) for _ in range(300))


@pytest.mark.parametrize("waits", [True, False])
def test_a_chunk_has_so_many_rows_and_knows_where_the_source_stood_after_them(waits: bool) -> None:
    reader = reader_for(Fed(ROWS, waits=waits), 4, 0.5, SystemClock(), threading.Event())

    reads = [reader.read(soon()) for _ in range(3)]

    assert isinstance(reader, WaitingReader if waits else DirectReader)
    assert [numbers(read) for read in reads] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    if waits:  # the thread reads on; a direct reader asks when it has stopped
        assert [read.position for read in reads] == [{"after": 3}, {"after": 7}, {"after": 9}]
    assert [read.ended for read in reads] == [False, False, True]


def test_rows_of_a_slow_source_are_handed_over_after_the_latency() -> None:
    source = Fed(ROWS, ready=2)

    read = waiting(source).read(soon())

    assert (numbers(read), read.ended, read.position) == ([0, 1], False, {"after": 1})


def test_a_silent_source_gives_nothing_when_the_time_is_up() -> None:
    read = waiting(Fed(ROWS, ready=0)).read(SystemClock().time_us() + 20_000)

    assert read == Read()


def test_a_source_is_read_no_further_than_one_row_beyond_the_chunk() -> None:
    source = Fed(ROWS)
    reader = waiting(source, chunk_rows=2)

    reader.read(soon())

    assert eventually(lambda: source.given == 5)
    assert not threading.Event().wait(0.05)
    assert source.given == 5


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("error", [OSError("gone"), SystemExit(1)])
def test_the_rows_before_an_error_are_kept(error: BaseException, waits: bool) -> None:
    source = Fed([*ROWS[:3], error], waits=waits)
    reader = reader_for(source, 10, 0.5, SystemClock(), threading.Event())

    read = reader.read(soon())

    assert (numbers(read), read.error, read.position) == ([0, 1, 2], error, {"after": 2})


def test_a_stop_ends_the_wait() -> None:
    stop = threading.Event()
    stop.set()

    assert WaitingReader(Fed(ROWS, ready=0), 4, 0.05, SystemClock(), stop).read(soon()) == Read()


def test_the_thread_of_a_closed_reader_ends() -> None:
    reader = waiting(Fed(ROWS), chunk_rows=2)
    reader.read(soon())
    thread = reader._thread
    assert thread is not None

    reader.close()

    thread.join(2)
    assert not thread.is_alive()


# --- In a run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError("the disk is gone"), "source 'source': OSError: the disk is gone"),
        (SystemExit(1), "source 'source': SystemExit: 1"),
        (SourceError("in", "no more"), "source 'in': no more"),
    ],
)
@pytest.mark.parametrize("waits", [True, False])
def test_a_source_that_breaks_stops_the_run_with_its_rows_written(
    error: BaseException, says: str, waits: bool
) -> None:
    source = Fed([*ROWS[:3], error], waits=waits)

    ran = run_pipeline(
        pipeline("broken", source=source, sinks={"out": ListSink()}, settings={"chunk_rows": 2})
    )

    assert (ran.result.status, ran.result.resumable) == (RunStatus.FAILED, True)
    assert ran.result.error is not None
    assert (ran.result.error.type, ran.result.error.message) == ("SourceError", says)
    assert [row["n"] for row in ran.written["out"]] == [0, 1, 2]


class Unplaced(Fed):
    """Cannot say where it stands."""

    name = "unplaced"

    def position(self) -> Any:
        return object()


@pytest.mark.parametrize("waits", [True, False])
def test_a_position_that_cannot_be_recorded_stops_the_run_with_nothing_taken_in(waits: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frame.engine.reader.deepcopy", lambda position: position)
        ran = run_pipeline(
            pipeline("unplaced", source=Unplaced(ROWS, waits=waits), sinks={"out": ListSink()})
        )

    assert ran.result.error is not None
    assert (ran.result.error.type, ran.result.counters["rows"]) == ("SourceError", 0)
    assert "position() gave what cannot be recorded" in ran.result.error.message


def test_a_batch_is_flushed_by_time_while_the_source_is_silent() -> None:
    clock, more = ManualClock(automatic=True), threading.Event()
    source = ListSource([{"n": 1}, {"n": 2}, Until(more), {"n": 3}], clock)
    aggregate = {"plugin": "collect", "options": {}}

    def work(row: Any) -> Any:
        more.set()  # what comes out of the batch lets the source go on
        return row

    nodes: list[dict[str, Any]] = [
        {"name": "batch", "aggregate": aggregate, "trigger": {"after": "2s"}},
        {"name": "then", "plugin": Applied(work)},
    ]
    ran = run_pipeline(pipeline("silent", source=source, nodes=nodes, sinks={"out": ListSink()}), clock=clock)

    flushed = [(event.trigger, event.members) for event in ran.events if isinstance(event, BatchFlushed)]
    assert flushed == [(TriggerKind.AFTER, 2), (TriggerKind.AT_END, 1)]
