"""Pipelines in tests: rows from lists into lists, with everything that can go wrong on the way."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.errors import ConfigError, SinkError, SourceError
from frame.events import AttemptFailed, RunStatus, VisitStatus
from frame.plugin import (
    Determinism,
    Drop,
    Expand,
    Fail,
    InvalidRow,
    PluginConfig,
    Rejected,
    Route,
    Sink,
    Suspend,
)
from frame.rows import Row
from frame.testing import (
    Applied,
    Asked,
    Expanding,
    FlakyTransform,
    Hangs,
    ListSink,
    ListSource,
    ManualClock,
    Mutates,
    Raises,
    Returns,
    Unsteady,
    Until,
    row,
    run_pipeline,
)

from tests.unit.scheduler_examples import gather

ROWS = [row(id=1), row(id=2)]


def through(plugin: Any, out: ListSink | None = None, **keys: Any) -> PipelineConfig:
    return pipeline(
        "p",
        source=ListSource(ROWS),
        nodes=[{"name": "t", "plugin": plugin, "on_error": "bad", "to": "out", **keys}],
        sinks={"out": out or ListSink(), "bad": ListSink()},
    )


def errors(written: Mapping[str, Sequence[Row]]) -> list[str]:
    return [each["_error"]["type"] for each in written["bad"]]


# --- Plugins that misbehave -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugin", "error"),
    [
        (Raises(ValueError("no")), "ValueError"),
        (Raises(SystemExit(1)), "SystemExit"),
        (Mutates(), "TypeError"),
        (Returns(None), "WrongResult"),
        (Returns("text"), "WrongResult"),
        (Returns([1]), "WrongResult"),
        (Returns({1: 2}), "NotCanonical"),
        (Returns({"a": float("nan")}), "NotCanonical"),
        (Returns({"a": object()}), "NotCanonical"),
        (Returns(Route("x")), "WrongResult"),
        (Returns(Suspend()), "Suspend"),
        (Returns(Fail(None)), "Fail"),  # type: ignore[arg-type]
        (Returns(Expand([])), "WrongResult"),
        (Expanding(lambda _: Expand([1])), "WrongResult"),  # type: ignore[list-item]
        (Expanding(lambda _: Expand(None)), "WrongResult"),  # type: ignore[arg-type]
        (Expanding(lambda _: Expand({"a": 1})), "WrongResult"),  # type: ignore[arg-type]
        (Expanding(lambda _: Expand([{"a": 1}, {"a": object()}])), "NotCanonical"),
    ],
)
def test_a_transform_that_answers_with_nonsense_fails_its_rows_and_the_run_goes_on(plugin: Any, error: str):
    run = run_pipeline(through(plugin))

    assert run.result.error is None
    assert run.written["out"] == []
    assert errors(run.written) == [error, error]


def test_the_reason_of_a_drop_may_be_anything():
    run = run_pipeline(through(Returns(Drop(5))))  # type: ignore[arg-type]

    assert run.result.counters["dropped"] == 2


@pytest.mark.parametrize(
    "label", [None, 5, [1], Route(5), Route([1]), Route("a", {"x": object()}), Fail(None)]
)  # type: ignore[arg-type]
def test_a_gate_that_answers_with_nonsense_fails_its_rows(label: Any):
    gate = {"name": "g", "plugin": Asked(lambda _: label), "routes": {"a": "out"}, "on_error": "bad"}
    sinks = {"out": ListSink(), "bad": ListSink()}

    run = run_pipeline(pipeline("p", source=ListSource(ROWS), nodes=[gate], sinks=sinks))

    assert run.result.error is None
    assert len(run.written["bad"]) == 2


class Refusing(Sink):
    """Gives back `answer` from every write."""

    name = "refusing"
    determinism = Determinism.IO_WRITE

    def __init__(self, answer: Any) -> None:
        super().__init__(PluginConfig())
        self.answer = answer

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        refused: Sequence[Rejected] = self.answer
        return refused


@pytest.mark.parametrize(
    "answer",
    [
        5,
        [1],
        [Rejected(2, "there is no row 2")],
        [Rejected(-1, "nor one before the first")],
        [Rejected("0", "x")],  # type: ignore[arg-type]
        [Rejected(0, "twice"), Rejected(0, "twice")],
    ],
)
def test_a_sink_that_refuses_what_it_was_not_given_stops_the_run(answer: Any):
    run = run_pipeline(pipeline("p", source=ListSource(ROWS), sinks={"out": Refusing(answer)}))

    assert run.result.status is RunStatus.FAILED
    assert isinstance(run.result.cause, SinkError)
    assert run.result.counters["open"] == 2


@pytest.mark.parametrize("item", [5, None, [1], "text", {1: 2}, {"a": object()}, InvalidRow(b"x", "torn")])
def test_what_a_source_gives_and_is_no_row_is_invalid_and_the_others_are_read(item: Any):
    out = ListSink()
    run = run_pipeline(pipeline("p", source=ListSource([row(id=1), item, row(id=2)]), sinks={"out": out}))

    assert run.result.error is None, run.result.cause
    assert [each["id"] for each in out.rows] == [1, 2]
    assert run.result.counters["invalid"] == 1


def test_a_call_that_hangs_is_left_behind_and_the_rows_after_it_go_on():
    hanging = Hangs(calls=[1])
    run = run_pipeline(through(hanging, timeout="1s"))
    hanging.release.set()

    attempts = [event for event in run.events if isinstance(event, AttemptFailed)]
    assert [attempt.status for attempt in attempts] == [VisitStatus.TIMED_OUT]
    assert run.written["out"] == [{"id": 2}]


def test_retries_help_against_what_passes_and_cost_a_test_no_time():
    flaky = FlakyTransform(fails=[1, 3])
    run = run_pipeline(through(flaky, retry={"attempts": 3, "wait": "30s"}))

    assert sorted(each["id"] for each in run.written["out"]) == [1, 2]
    assert flaky.calls == 4


def test_an_unsteady_transform_gives_another_answer_at_every_call():
    run = run_pipeline(through(Unsteady()))

    assert run.written["out"] == [{"id": 1, "number": 0}, {"id": 2, "number": 1}]


# --- Sources and sinks in lists -------------------------------------------------------------------------------


def test_an_exception_in_the_list_ends_the_source_after_the_rows_before_it():
    run = run_pipeline(
        through(Applied(lambda row: row)), rows=[{"id": 1}, OSError("the disk is gone"), {"id": 2}]
    )

    assert run.written["out"] == [{"id": 1}]
    assert run.result.status is RunStatus.FAILED
    assert isinstance(run.result.cause, SourceError)


def test_a_sink_fails_so_often_and_no_more():
    sinks = {"out": {"plugin": ListSink(fails=2), "retry": {"attempts": 3}}}
    run = run_pipeline(pipeline("p", source=ListSource(ROWS), sinks=sinks))

    assert run.written["out"] == ROWS


def test_a_sink_that_fails_as_a_whole_loses_nothing_that_is_on_record():
    run = run_pipeline(pipeline("p", source=ListSource(ROWS), sinks={"out": ListSink(fails=1)}))

    assert run.result.status is RunStatus.FAILED
    assert run.result.resumable
    assert run.result.counters["open"] == 2
    assert sum(len(intent.tokens) for intent in run.state.intents.values()) == 2


def test_refused_rows_go_one_step_to_another_sink():
    sinks = {
        "out": {"plugin": ListSink(rejects=lambda row: "odd" if row["id"] % 2 else None), "on_error": "bad"},
        "bad": {"plugin": ListSink(), "error_field": "why"},
    }
    source = {"plugin": ListSource(ROWS), "to": "out"}
    run = run_pipeline(pipeline("p", source=source, sinks=sinks))

    assert run.written["out"] == [{"id": 2}]
    assert [each["why"]["message"] for each in run.written["bad"]] == ["odd"]


def test_a_batch_falls_due_while_the_source_is_silent():
    clock, go = ManualClock(), threading.Event()
    sink = ListSink()
    whole = pipeline(
        "p",
        source=ListSource([]),
        nodes=[gather(trigger={"after": "10s"})],
        sinks={"out": sink},
        settings={"max_latency": "1ms"},
    )
    runs: list[Any] = []
    rows = [{"id": 1}, Until(go), {"id": 2}]
    running = threading.Thread(target=lambda: runs.append(run_pipeline(whole, rows=rows, clock=clock)))
    running.start()

    pause = threading.Event()
    for _ in range(2_000):
        if sink.rows:
            break
        clock.advance(0.5)
        pause.wait(0.005)
    before = list(sink.rows)
    go.set()
    while running.is_alive():
        clock.advance(0.5)
        running.join(0.005)

    assert before == [{"ids": [1]}]
    assert runs[0].written["out"] == [{"ids": [1]}, {"ids": [2]}]


# --- Pipelines ------------------------------------------------------------------------------------------------


def test_a_pipeline_file_runs_without_its_files(tmp_path: Path):
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        "name: p\n"
        "source: {plugin: csv, options: {path: in.csv}}\n"
        "nodes: [{name: big, gate: 'row.n > 1', routes: {'true': continue, 'false': discard}}]\n"
        "sinks: {out: {plugin: csv, options: {path: out.csv}}}\n"
    )

    run = run_pipeline(file, rows=[{"n": 1}, {"n": 2}])

    assert run.written == {"out": [{"n": 2}]}
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]


def test_a_pipeline_that_cannot_be_is_refused_with_all_that_is_wrong():
    with pytest.raises(ConfigError) as caught:
        pipeline("p", source={"plugin": 5, "too": "x"}, nodes=[{"name": "n"}], sinks={})

    assert len(caught.value.problems) >= 3
