"""The size of a chunk leaves no trace in what a pipeline does."""

from collections import Counter

from frame.canonical import canonical_row
from frame.config.models import PipelineConfig
from frame.testing import TestRun, run_pipeline
from frame.testing.strategies import Ingredients, pipelines
from hypothesis import given

ROWS = [{"id": number, "n": 0} for number in range(25)]


def in_chunks(pipeline: PipelineConfig, chunk_rows: int) -> TestRun:
    settings = pipeline.settings.model_copy(update={"chunk_rows": chunk_rows})
    return run_pipeline(pipeline.model_copy(update={"settings": settings}), rows=ROWS)


def as_lists(run: TestRun) -> dict[str, list[bytes]]:
    """What each sink got, in order; without those that take what others refuse, which comes a write later."""
    takers = {run.graph.nodes[sink.on_error].name for sink in run.graph.sinks if sink.on_error is not None}
    return {
        sink: [canonical_row(row) for row in rows] for sink, rows in run.written.items() if sink not in takers
    }


def as_multisets(run: TestRun) -> dict[str, Counter[bytes]]:
    """What each sink got, in any order."""
    return {sink: Counter(canonical_row(row) for row in rows) for sink, rows in run.written.items()}


@given(pipelines(Ingredients(batches=False)))
def test_without_batches_each_sink_gets_the_same_rows_in_the_same_order(pipeline: PipelineConfig):
    whole = in_chunks(pipeline, 1000)

    for chunk_rows in (1, 7):
        cut = in_chunks(pipeline, chunk_rows)
        assert as_lists(cut) == as_lists(whole)
        assert cut.result.counters == whole.result.counters


# Which branch comes first (first, quorum) depends on when a batch on one of them is flushed.
@given(pipelines(Ingredients(policies=("require_all", "best_effort"))))
def test_with_batches_each_sink_gets_the_same_rows(pipeline: PipelineConfig):
    whole = in_chunks(pipeline, 1000)

    for chunk_rows in (1, 7):
        cut = in_chunks(pipeline, chunk_rows)
        assert as_multisets(cut) == as_multisets(whole)
        assert cut.result.counters == whole.result.counters
