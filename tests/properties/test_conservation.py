"""Conservation (BEHAVIOUR §1): whatever a pipeline does to its rows, none is lost and none is counted twice."""

from collections import Counter

from frame.config.models import PipelineConfig
from frame.counters import COUNTS_AS
from frame.errors import ConfigError
from frame.events import RunStatus
from frame.testing import TestRun, run_pipeline
from frame.testing.strategies import pipelines, wild_pipelines
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties.conservation_ledger import Ledger

ENDED = {RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES, RunStatus.FAILED, RunStatus.EMPTY}


def some_rows(count: int) -> list[dict[str, int]]:
    return [{"id": number, "n": 0} for number in range(count)]


def in_chunks(pipeline: PipelineConfig, chunk_rows: int) -> PipelineConfig:
    return pipeline.model_copy(
        update={"settings": pipeline.settings.model_copy(update={"chunk_rows": chunk_rows})}
    )


def assert_balanced(run: TestRun) -> None:
    """Everything that BEHAVIOUR §1 says of a run that came to its end."""
    assert run.result.error is None, run.result.cause
    assert run.result.status in ENDED
    ledger = Ledger(run.graph, run.events)
    assert ledger.open() == []
    assert set(ledger.ended) == set(ledger.parents)
    assert run.state.open_tokens == 0
    for token in ledger.leaves():
        assert ledger.rows_behind(token), f"token {token} comes from no row"
        assert not ledger.made[token], f"token {token} has ended and has children"
    counted = Counter(name for path in ledger.ended.values() for name in COUNTS_AS[path])
    told = {name: number for name, number in run.result.counters.items() if number}
    assert {**counted, "rows": ledger.rows, "tokens": len(ledger.parents)} | told == {
        **counted,
        "rows": ledger.rows,
        "tokens": len(ledger.parents),
    }
    assert {name: len(tokens) for name, tokens in ledger.at_sink.items()} == run.result.sinks
    assert {name: len(rows) for name, rows in run.written.items()} == run.result.sinks
    assert run.recorder.counters == run.result.counters


@given(pipelines(), st.integers(0, 40), st.sampled_from([1, 3, 1000]))
def test_every_token_comes_from_a_row_and_ends_once(pipeline: PipelineConfig, count: int, chunk_rows: int):
    run = run_pipeline(in_chunks(pipeline, chunk_rows), rows=some_rows(count))

    assert_balanced(run)
    assert run.result.counters["rows"] == count


@given(wild_pipelines())
def test_a_pipeline_that_is_accepted_runs_to_its_end_however_its_ways_are_bent(pipeline: PipelineConfig):
    try:
        run = run_pipeline(pipeline, rows=some_rows(8))
    except ConfigError:
        assume(False)

    assert_balanced(run)
