"""Whatever a run did, doing it over with the same plugins comes to the same."""

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from itertools import count
from pathlib import Path

import pytest
from frame.config.models import PipelineConfig
from frame.engine.redaction import Redactor
from frame.engine.replay.replay import Replay
from frame.events import Chunk
from frame.graph.model import Graph
from frame.operations import replay, run
from frame.plugin.registry import Registry
from frame.testing import ListSource
from frame.testing.strategies import pipelines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.reenacted import varied, watched_run
from tests.properties.test_resume_laws import CutOff, Cutting, World

ROWS = [{"id": number, "n": 0} for number in range(14)]
CHOICES = st.lists(st.integers(0, 11), min_size=1, max_size=6)
CHUNKS = st.sampled_from([1, 4, 1000])
stores = count()


def replayed(graph: Graph, run_id: str, chunks: Sequence[Chunk]) -> Replay:
    with Replay(graph, run_id, Redactor()) as over:
        for chunk in chunks:
            over.take_in(chunk)
    return over


def assert_agrees(over: Replay) -> None:
    assert over.findings.first == []
    assert all(tally.unreached == 0 for tally in over.findings.nodes.values())


@given(pipelines(), CHOICES, CHUNKS)
def test_a_replay_finds_nothing(pipeline: PipelineConfig, choices: list[int], chunk_rows: int):
    told = watched_run(varied(pipeline, choices, chunk_rows), ROWS)

    assert_agrees(replayed(told.graph, told.run_id, told.recorder.chunks))


@given(pipelines(), CHOICES, CHUNKS, st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=3))
def test_a_replay_of_a_run_that_was_cut_off_and_resumed_finds_nothing(
    pipeline: PipelineConfig, choices: list[int], chunk_rows: int, cuts: list[tuple[int, bool]]
):
    world = World(deepcopy(varied(pipeline, choices, chunk_rows)))
    chunks: list[Chunk] = []
    for at, kept in cuts:
        recorder = Cutting(at, kept, chunks)
        with suppress(CutOff):
            world.run(recorder)
            break
        chunks = recorder.chunks
    ended = world.run(Cutting(-1, False, chunks))

    assert_agrees(replayed(ended.graph, ended.recorder.run_id, ended.recorder.chunks))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replays")


@settings(suppress_health_check=list(HealthCheck), max_examples=15)
@given(pipelines(), CHOICES, CHUNKS)
def test_a_replay_out_of_a_store_finds_nothing(
    folder: Path, pipeline: PipelineConfig, choices: list[int], chunk_rows: int
):
    source = pipeline.source.model_copy(update={"plugin": ListSource(ROWS)})
    ready = varied(pipeline, choices, chunk_rows).model_copy(update={"source": source})
    audit, none = f"sqlite:///{folder}/{next(stores)}.db", Registry.of([])
    run(ready, audit=audit, registry=none)

    found = replay("latest", pipeline=ready, audit=audit, registry=none)

    assert (found.total, found.differences) == (0, ())
