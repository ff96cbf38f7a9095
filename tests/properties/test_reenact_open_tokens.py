"""What open tokens carry is made again from the record, wherever it ends."""

from frame.config.models import PipelineConfig
from frame.testing.strategies import pipelines
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.reenacted import by_error, carried, made_again, shown, varied, watched_run

ROWS = [{"id": number, "n": 0} for number in range(14)]


@given(pipelines(), st.lists(st.integers(0, 11), min_size=1, max_size=6), st.sampled_from([1, 4, 1000]))
def test_the_rows_of_open_tokens_are_made_again_at_every_commit(
    pipeline: PipelineConfig, choices: list[int], chunk_rows: int
):
    told = watched_run(varied(pipeline, choices, chunk_rows), ROWS)

    for chunks in range(1, len(told.recorder.chunks) + 1):
        state, inflight = made_again(told, chunks)
        assert shown(inflight) == carried(told, chunks)
        had = told.recorder.errors[chunks - 1]
        blamed = by_error(state)
        assert {token: inflight.errors[token] for token in blamed} == {token: had[token] for token in blamed}
