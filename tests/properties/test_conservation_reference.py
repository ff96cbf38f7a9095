"""Every row ends as an interpreter says that knows nothing of chunks, events or the scheduler."""

from collections import Counter

from frame.config.models import PipelineConfig
from frame.rows import Row, freeze
from frame.testing import run_pipeline
from frame.testing.strategies import Ingredients, pipelines
from hypothesis import given

from tests.properties.conservation_reference import Reference

PLAIN = Ingredients(policies=("require_all", "best_effort"), passthrough=False, counts=False)


@given(pipelines(PLAIN))
def test_rows_end_as_the_reference_says(pipeline: PipelineConfig):
    rows: list[Row] = [freeze({"id": number, "n": 0}) for number in range(12)]

    run = run_pipeline(pipeline, rows=rows)

    assert run.result.error is None, run.result.cause
    expected = Reference(run.graph)
    expected.run(rows)
    assert +run.state.ended == +expected.ends
    assert Counter({name: n for name, n in run.result.sinks.items() if n}) == expected.at_sink
