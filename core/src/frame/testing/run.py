"""Running a pipeline in a test: no file, no database, no waiting."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from frame.config.load import load
from frame.config.models import PipelineConfig
from frame.engine.result import RunResult
from frame.engine.resumption import Resumption
from frame.engine.runner import Runner
from frame.engine.standing import standing
from frame.events import Event
from frame.graph.model import Graph
from frame.ids import uuid7
from frame.operations.compile import compile_pipeline
from frame.plugin.registry import Registry
from frame.rows import Row
from frame.scheduler.evolve import restore
from frame.scheduler.state import RunState
from frame.testing.clock import ManualClock
from frame.testing.recorder import MemoryRecorder
from frame.testing.sinks import ListSink
from frame.testing.sources import Listed, ListSource


@dataclass(frozen=True, slots=True)
class TestRun:
    """What came of a run. `written`: the rows of each sink; `recorder`: all that was put on record."""

    __test__ = False

    result: RunResult
    written: Mapping[str, Sequence[Row]]
    graph: Graph
    recorder: MemoryRecorder

    @property
    def events(self) -> list[Event]:
        """All that happened, in order."""
        return self.recorder.events

    @property
    def state(self) -> RunState:
        """What the scheduler knows at the end: the fold of the events."""
        return restore(self.graph, self.recorder.events)


def run_pipeline(
    pipeline: PipelineConfig | str | PathLike[str],
    *,
    rows: Sequence[Listed] | None = None,
    clock: ManualClock | None = None,
    registry: Registry | None = None,
    stop: threading.Event | None = None,
    recorder: MemoryRecorder | None = None,
) -> TestRun:
    """Run `pipeline` with its record in memory, and with sinks in memory for those that it names.

    `rows` stand in for its source: rows, `InvalidRow`s, exceptions. Sinks that are plugin objects are used as they
    are. `clock`: an automatic ManualClock if none is given, so that retries cost no time. `recorder`: one that has
    chunks already is gone on from.

    Raises ConfigError or PluginError for a pipeline that cannot run. What a run fails with is in
    `result.error`.
    """
    clock = clock or ManualClock(automatic=True)
    compiled = compile_pipeline(_in_memory(pipeline, rows, clock), registry)
    recorder = recorder or MemoryRecorder(uuid7(clock.time_us()))
    runner = Runner(
        compiled.graph,
        recorder,
        clock,
        stop=stop,
        redactor=compiled.redactor,
        write_beside=False,
        resumption=_left_of(compiled.graph, recorder) if recorder.chunks else None,
    )
    result = runner.run()
    return TestRun(result, recorder.written(compiled.graph), compiled.graph, recorder)


def _left_of(graph: Graph, recorder: MemoryRecorder) -> Resumption:
    history = recorder.history()
    return Resumption(graph, standing(graph, history.chunks()), history)


def _in_memory(
    pipeline: PipelineConfig | str | PathLike[str], rows: Sequence[Listed] | None, clock: ManualClock
) -> PipelineConfig:
    config = pipeline if isinstance(pipeline, PipelineConfig) else load(pipeline).config
    changes: dict[str, Any] = {
        "sinks": {
            name: sink.model_copy(update={"plugin": ListSink(), "options": {}})
            if isinstance(sink.plugin, str)
            else sink
            for name, sink in config.sinks.items()
        }
    }
    if rows is not None:
        listed = {"plugin": ListSource(rows, clock), "options": {}}
        changes["source"] = config.source.model_copy(update=listed)
    return config.model_copy(update=changes)
