"""A run that is cut off at any commit, and goes on, comes to what it would have come to."""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass

from frame.config.models import PipelineConfig
from frame.errors import AuditError
from frame.events import Chunk, Event, RowsRead, SinkIntended
from frame.testing import MemoryRecorder, TestRun, run_pipeline
from frame.testing.strategies import pipelines
from hypothesis import given
from hypothesis import strategies as st

ROWS = [{"n": 0, "id": number} for number in range(25)]


class CutOff(AuditError):
    """The process ended here."""

    def __init__(self) -> None:
        super().__init__("memory", "cut off")


class Cutting(MemoryRecorder):
    """A record whose process ends at commit number `at`: before the commit, or right after it."""

    def __init__(self, at: int, kept: bool, chunks: list[Chunk] | None = None) -> None:
        super().__init__()
        self.chunks = list(chunks or ())
        self._at, self._kept = at, kept

    def commit(self, chunk: Chunk) -> None:
        if chunk.number == self._at:
            if self._kept:
                super().commit(chunk)
            raise CutOff
        super().commit(chunk)


@dataclass(frozen=True)
class World:
    """A pipeline whose sinks keep what they got, whatever happens to the process."""

    pipeline: PipelineConfig

    def run(self, recorder: MemoryRecorder) -> TestRun:
        fresh = deepcopy(self.pipeline)
        return run_pipeline(
            fresh.model_copy(update={"sinks": self.pipeline.sinks}), rows=ROWS, recorder=recorder
        )

    def contents(self) -> dict[str, str]:
        """What each sink has, the order of fields included."""
        return {name: str(sink.plugin.rows) for name, sink in self.pipeline.sinks.items()}


def with_chunks_of(pipeline: PipelineConfig, rows: int) -> PipelineConfig:
    settings = pipeline.settings.model_copy(update={"chunk_rows": rows})
    return pipeline.model_copy(update={"settings": settings})


def digests_read(events: list[Event]) -> bytes:
    return b"".join(event.digests for event in events if isinstance(event, RowsRead))


def announced(events: list[Event]) -> Counter[tuple[int, int, bytes]]:
    """What each sink was announced, write by write."""
    return Counter(
        (event.node, len(event.tokens), event.content_sha256)
        for event in events
        if isinstance(event, SinkIntended)
    )


@given(pipelines(), st.integers(1, 9), st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=3))
def test_a_run_cut_off_at_any_commit_goes_on_to_the_same_end(
    pipeline: PipelineConfig, chunk_rows: int, cuts: list[tuple[int, bool]]
):
    pipeline = with_chunks_of(pipeline, chunk_rows)
    undisturbed, disturbed = World(deepcopy(pipeline)), World(deepcopy(pipeline))
    whole = undisturbed.run(MemoryRecorder())

    chunks: list[Chunk] = []
    for at, kept in cuts:
        recorder = Cutting(at, kept, chunks)
        try:
            disturbed.run(recorder)
            break
        except CutOff:
            chunks = recorder.chunks
    else:
        recorder = Cutting(-1, False, chunks)
        disturbed.run(recorder)
    run = TestRun(whole.result, {}, whole.graph, recorder)

    assert disturbed.contents() == undisturbed.contents()
    assert recorder.status == whole.recorder.status
    assert recorder.counters == whole.recorder.counters
    assert run.state.ended == whole.state.ended
    assert digests_read(run.events) == digests_read(whole.events)
    assert announced(run.events) == announced(whole.events)
