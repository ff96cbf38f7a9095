"""What a run that goes on finds again, tells, and refuses."""

from collections.abc import Callable
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.errors import AuditError, RetryableError
from frame.events import AttemptFailed, Chunk, Noted, RunStatus, Visited, VisitsBegun, VisitStatus
from frame.plugin import Context, Delivery, Determinism, Transform
from frame.rows import Row
from frame.testing import ListSink, ListSource, MemoryRecorder, TestRun, run_pipeline

ROWS = [{"n": n} for n in range(6)]


class Cut(MemoryRecorder):
    """The process ends at commit number `at`, before it."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def commit(self, chunk: Chunk) -> None:
        if chunk.number == self.at:
            raise AuditError("memory", "cut off")
        super().commit(chunk)

    def left(self) -> MemoryRecorder:
        recorder = MemoryRecorder()
        recorder.chunks = self.chunks
        return recorder


class Unseekable(ListSource):
    """Has to be read from its beginning again."""

    def position(self) -> None:  # type: ignore[override]
        return None


class Careless(ListSink):
    """Writes whatever it is given, however often."""

    delivery = Delivery.AT_LEAST_ONCE

    def write(self, rows: Any, key: str) -> Any:
        self.rows += rows
        return []


class Calling(Transform):
    """Calls the outside world; `calls` counts."""

    name = "calling"
    determinism = Determinism.EXTERNAL_CALL

    def process(self, row: Row, context: Context) -> Any:
        if row["n"] == 3 and context.attempt == 0:
            raise RetryableError("not yet")
        return {**row, "attempt": context.attempt}


def a_pipeline(source: Any, sink: Any, nodes: Any = ()) -> PipelineConfig:
    return pipeline("cut", source=source, nodes=nodes, sinks={"out": sink}, settings={"chunk_rows": 2})


def cut_off(make: Callable[[], PipelineConfig], at: int) -> Cut:
    recorder = Cut(at)
    with pytest.raises(AuditError):
        run_pipeline(make(), recorder=recorder)
    return recorder


def events(run: TestRun, kind: type) -> list[Any]:
    return [event for event in run.events if isinstance(event, kind)]


def test_a_source_that_cannot_seek_is_read_again_and_compared():
    sink = ListSink()
    left = cut_off(lambda: a_pipeline(Unseekable(ROWS), sink), at=2).left()

    run = run_pipeline(a_pipeline(Unseekable(ROWS), sink), recorder=left)

    assert run.result.status is RunStatus.COMPLETED
    assert sink.rows == ROWS


def test_a_source_that_gives_other_rows_than_before_is_refused():
    sink = ListSink()
    left = cut_off(lambda: a_pipeline(Unseekable(ROWS), sink), at=2).left()

    run = run_pipeline(a_pipeline(Unseekable([{"n": 0}, {"n": 7}, *ROWS[2:]]), sink), recorder=left)

    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert "row 1 is not what it was when the run read it" in run.result.error.message


def test_a_source_that_has_become_shorter_is_refused():
    sink = ListSink()
    left = cut_off(lambda: a_pipeline(Unseekable(ROWS), sink), at=2).left()

    run = run_pipeline(a_pipeline(Unseekable(ROWS[:1]), sink), recorder=left)

    assert run.result.error is not None
    assert "row 1 is not what it was" in run.result.error.message


def test_rows_that_a_sink_may_have_twice_are_told():
    sink = Careless()
    left = cut_off(lambda: a_pipeline(ListSource(ROWS), sink), at=2).left()

    run = run_pipeline(a_pipeline(ListSource(ROWS), sink), recorder=left)

    assert [row["n"] for row in sink.rows] == [0, 1, 2, 3, 2, 3, 4, 5]
    assert run.result.possible_duplicates == {"out": 2}
    (note,) = [note for note in events(run, Noted) if note.kind == "possible_duplicate"]
    assert note.detail["rows"] == 2


def test_a_sink_that_knows_its_writes_has_every_row_once_and_nothing_is_told():
    sink = ListSink()
    left = cut_off(lambda: a_pipeline(ListSource(ROWS), sink), at=2).left()

    run = run_pipeline(a_pipeline(ListSource(ROWS), sink), recorder=left)

    assert sink.rows == ROWS
    assert run.result.possible_duplicates == {}


def test_a_call_that_was_cut_short_is_in_doubt_and_the_next_attempt_has_the_next_number():
    sink = ListSink()
    calling = [{"name": "call", "plugin": Calling}]
    left = cut_off(lambda: a_pipeline(ListSource(ROWS), sink, calling), at=1).left()

    run = run_pipeline(a_pipeline(ListSource(ROWS), sink, calling), recorder=left)

    doubts = [one for one in events(run, AttemptFailed) if one.status is VisitStatus.IN_DOUBT]
    assert [(one.token, one.attempt) for one in doubts] == [(0, 0), (1, 0)]
    assert {event.attempt for event in events(run, Visited) if 0 in event.tokens} == {1}
    assert [row["attempt"] for row in sink.rows][:2] == [1, 1]


def test_a_visit_that_was_announced_and_ended_is_not_in_doubt():
    sink = ListSink()
    calling = [{"name": "call", "plugin": Calling, "retry": {"attempts": 2}}]
    left = cut_off(lambda: a_pipeline(ListSource(ROWS), sink, calling), at=3).left()

    run = run_pipeline(a_pipeline(ListSource(ROWS), sink, calling), recorder=left)

    assert len(events(run, VisitsBegun)) >= 3
    assert {one.token for one in events(run, AttemptFailed) if one.status is VisitStatus.IN_DOUBT} <= {2, 3}
    assert [row["n"] for row in sink.rows] == [0, 1, 2, 3, 4, 5]
