"""restore(events) == state: what goes on in a run follows from its record, at every moment."""

import random
from collections.abc import Iterator
from itertools import count

import pytest
from frame.audit import database as store
from frame.audit.database import Database
from frame.audit.opening import RunOpening, describe
from frame.audit.queries import read_events
from frame.audit.recorder import Recorder
from frame.config.models import PipelineConfig
from frame.events import Chunk, Event
from frame.operations.compile import compile_pipeline
from frame.plugin.registry import Registry
from frame.scheduler.evolve import evolve, restore
from frame.scheduler.scheduler import Scheduler
from frame.scheduler.state import RunState
from frame.testing.strategies import pipelines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.scheduler_driver import Drive, copied, plain

NO_PLUGINS = Registry.of([])
ids = count()


@pytest.fixture(scope="module")
def database(module_store_url: str) -> Iterator[Database]:
    with store.open(module_store_url) as opened:
        yield opened


@given(pipelines(), st.randoms(use_true_random=False), st.integers(0, 4))
def test_the_events_so_far_give_back_the_state_at_every_boundary(
    pipeline: PipelineConfig, chance: random.Random, chunks: int
):
    graph = compile_pipeline(pipeline, NO_PLUGINS).graph
    told: list[Event] = []
    shadow = RunState(graph)

    def compare(scheduler: Scheduler, events: list[Event]) -> None:
        copies = copied(events)
        told.extend(copies)
        for event in copies:
            evolve(shadow, event)
        assert plain(shadow) == plain(scheduler.state)

    drive = Drive(graph, chance, compare)
    drive.run(chunks)

    assert plain(restore(graph, told)) == plain(drive.scheduler.state)
    assert drive.scheduler.state.open_tokens == 0
    assert drive.scheduler.state.forks == {}
    assert not drive.scheduler.state.root_of
    assert not drive.scheduler.state.loops


@settings(suppress_health_check=list(HealthCheck))
@given(pipelines(), st.randoms(use_true_random=False))
def test_the_record_gives_back_the_state_after_every_commit(
    database: Database, pipeline: PipelineConfig, chance: random.Random
):
    graph = compile_pipeline(pipeline, NO_PLUGINS).graph
    nodes, edges = describe(graph)
    recorder = Recorder(database).begin(
        RunOpening(f"run-{next(ids)}", "random", b"{}", nodes, edges, started_us=0)
    )
    states: list[object] = []

    def commit(scheduler: Scheduler, events: list[Event]) -> None:
        recorder.commit(Chunk(len(states), 0, events))
        states.append(plain(scheduler.state))

    Drive(graph, chance, commit).run(chunks=2)

    shadow = RunState(graph)
    with database.reading() as connection:
        for chunk, state in zip(read_events(connection, recorder.run), states, strict=True):
            for event in chunk.events:
                evolve(shadow, event)
            assert plain(shadow) == state
