"""Laws of lineage: the way back from every sink row ends at source rows, and the way forward from these comes to it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from frame.audit import database
from frame.audit.lineage import Lineage
from frame.audit.queries import find_run
from frame.config.models import PipelineConfig
from frame.engine.result import RunResult
from frame.operations import explain, run
from frame.operations.explanation import DataState, Explanation, TokenStory
from frame.plugin.registry import Registry
from frame.testing import ManualClock
from frame.testing.chance import ChanceBatch, ChanceExpansion, ChanceGate, ChanceTransform
from frame.testing.strategies import pipelines
from hypothesis import given, settings
from hypothesis import strategies as st

REGISTRY = Registry.of([ChanceTransform, ChanceExpansion, ChanceGate, ChanceBatch])
FEWER = max(
    5, settings.default.max_examples // 3
)  # each example is a run into a file, and many questions to it


@pytest.fixture(scope="module")
def audit(module_store_url: str) -> str:
    """One store for the runs of all examples."""
    return module_store_url


def chunked(pipeline: PipelineConfig, chunk_rows: int, audit: str) -> RunResult:
    fitted = pipeline.settings.model_copy(update={"chunk_rows": chunk_rows})
    clock = ManualClock(automatic=True)
    return run(pipeline.model_copy(update={"settings": fitted}), audit=audit, registry=REGISTRY, clock=clock)


def sink_rows(result: RunResult) -> list[tuple[str, int]]:
    return [(sink, index) for sink, count in result.sinks.items() for index in range(count)]


def some(rows: list[tuple[str, int]], most: int = 4) -> list[tuple[str, int]]:
    """At most `most` of them, evenly spread."""
    return rows[:: max(1, -(-len(rows) // most))]


@settings(max_examples=FEWER)
@given(pipelines(), st.sampled_from([1, 3, 1000]))
def test_every_sink_row_goes_back_to_source_rows_and_these_lead_to_it(
    audit: str, pipeline: PipelineConfig, chunk_rows: int
) -> None:
    result = chunked(pipeline, chunk_rows, audit)
    ask = partial(explain, result.run_id, audit=audit, registry=REGISTRY, members_limit=None)

    for sink, index in some(sink_rows(result)):
        back = ask(sink=sink, index=index)
        rows = [row for first, last in back.sources.ranges for row in range(first, last + 1)]
        assert rows
        assert back.sources.complete
        for row in {rows[0], rows[-1]}:
            impact = ask(row=row, forward=True).impact
            assert impact is not None
            assert (sink, index) in {(each.sink, each.index) for each in impact.sink_rows}


@settings(max_examples=FEWER)
@given(pipelines(), st.sampled_from([1, 3, 1000]))
def test_the_data_of_every_token_is_at_hand_and_has_the_recorded_hash(
    audit: str, pipeline: PipelineConfig, chunk_rows: int
) -> None:
    result = chunked(pipeline, chunk_rows, audit)

    for row in range(0, result.counters["rows"], 4):
        explanation = explain(result.run_id, row=row, audit=audit, registry=REGISTRY)
        for story in explanation.stories:
            assert set(states(story)) <= {DataState.VERIFIED}, story
            assert story.outcome is not None


def states(story: TokenStory) -> Iterator[DataState]:
    yield story.data.state
    for visit in story.visits:
        yield visit.came.state
        yield from [visit.went.state] if visit.went else []
        yield from [visit.write.row.state] if visit.write else []
        if visit.decision is not None and visit.decision.checked is not None:
            yield visit.decision.checked


@settings(max_examples=FEWER)
@given(pipelines(), st.sampled_from([2, 1000]))
def test_a_sink_row_is_explained_with_the_very_row_that_the_sink_took(
    audit: str, pipeline: PipelineConfig, chunk_rows: int
) -> None:
    result = chunked(pipeline, chunk_rows, audit)

    for sink, index in some(sink_rows(result)):
        explanation = explain(result.run_id, sink=sink, index=index, audit=audit, registry=REGISTRY)
        taken: Any = pipeline.sinks[sink].plugin
        assert written(explanation, sink) == taken.rows[index]


def written(explanation: Explanation, sink: str) -> Any:
    """The row that the token which was asked about brought to `sink`."""
    (story,) = [story for story in explanation.stories if story.token in explanation.subject]
    (write,) = [visit.write for visit in story.visits if visit.node == sink and visit.write is not None]
    return write.row.row


@settings(max_examples=FEWER)
@given(pipelines(), st.sampled_from([1, 3, 1000]))
def test_births_looked_up_in_bulk_are_those_of_the_record(
    audit: str, pipeline: PipelineConfig, chunk_rows: int
) -> None:
    result = chunked(pipeline, chunk_rows, audit)

    with database.open(audit) as store, store.reading() as connection:
        lineage = Lineage(connection, find_run(connection, result.run_id))
        for token in range(min(60, lineage.births.count)):
            birth, story = lineage.births.of(token), lineage.story(token)
            assert (birth.kind, birth.row) == (story.birth.kind, story.birth.row)
            assert all(token in lineage.children(parent) for parent in lineage.births.parents(birth))
            root = lineage.births.root(token)
            assert (root.row is None) != (root.batch is None)
