"""Whatever a run did, doing it over with the same plugins comes to the same."""

from frame.config.models import PipelineConfig
from frame.engine.replay.replay import Replay
from frame.testing.strategies import pipelines
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.reenacted import Told, varied, watched_run

ROWS = [{"id": number, "n": 0} for number in range(14)]


def replayed(told: Told) -> Replay:
    with Replay(told.graph, told.run_id, told.compiled.redactor) as replay:
        for chunk in told.recorder.chunks:
            replay.take_in(chunk)
    return replay


@given(pipelines(), st.lists(st.integers(0, 11), min_size=1, max_size=6), st.sampled_from([1, 4, 1000]))
def test_a_replay_finds_nothing(pipeline: PipelineConfig, choices: list[int], chunk_rows: int):
    told = watched_run(varied(pipeline, choices, chunk_rows), ROWS)

    replay = replayed(told)

    assert replay.findings.first == []
    assert all(tally.unreached == 0 for tally in replay.findings.nodes.values())
