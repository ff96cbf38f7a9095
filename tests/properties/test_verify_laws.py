"""Whatever a pipeline does, its record verifies, and no honest run is ever accused."""

import random
from collections.abc import Iterator
from itertools import count

import pytest
from frame.audit import database as stores
from frame.audit.database import Database
from frame.audit.opening import RunOpening, describe
from frame.audit.recorder import Recorder, RunRecorder
from frame.audit.verify import verify_store
from frame.errors import ConfigError
from frame.events import Chunk, RowsRead, RunStatus, SinkConfirmed
from frame.graph.model import Graph
from frame.scheduler.scheduler import Scheduler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.graph_pipelines import Nodes, bend, pipelines, pruned, sinks_reached
from tests.properties.test_graph_runs import HASH, MOST_WORK, answer
from tests.unit.graph_examples import compiled

numbers = count()


@pytest.fixture(scope="module")
def store(module_store_url: str) -> Iterator[Database]:
    with stores.open(module_store_url) as database:
        yield database


class Recorded:
    """A run whose work is answered by chance, and whose events are put on record commit by commit."""

    def __init__(self, graph: Graph, recorder: RunRecorder, chance: random.Random) -> None:
        self.scheduler, self.recorder = Scheduler(graph), recorder
        self._graph, self._chance, self._chunks = graph, chance, 0

    def commit(self) -> None:
        events = self.scheduler.take_events()
        if events:
            self.recorder.commit(Chunk(self._chunks, 0, events))
            self._chunks += 1

    def work_off(self) -> None:
        for _ in range(MOST_WORK):
            work = self.scheduler.next_work(0)
            if work is None:
                break
            self.scheduler.settle(work, answer(self._graph, work, self._chance), 0)
            if self._chance.random() < 0.2:
                self.commit()
        while writes := self.scheduler.pending_writes():
            intents = [self.scheduler.intend(write, HASH, "key") for write in writes]
            self.commit()
            for intent in intents:
                self.scheduler.confirm(SinkConfirmed(intent.node, intent.intent, None, 0, 0))
        self.commit()


@given(pipelines(), st.randoms(use_true_random=False), st.integers(0, 2))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_run_that_can_be_verifies(
    store: Database, made: tuple[Nodes, str], chance: random.Random, bends: int
) -> None:
    nodes, first = made
    order = [node.name for node in compiled(nodes, sinks_reached(nodes), source={"to": first}).nodes]
    for _ in range(bends):
        bend(nodes, order, chance)
    nodes = pruned(nodes, first)
    try:
        graph = compiled(nodes, sinks_reached(nodes), source={"to": first})
    except ConfigError:
        return

    places, edges = describe(graph)
    opening = RunOpening(f"run-{next(numbers)}", "any", b"{}", places, edges, started_us=0)
    recorded = Recorded(graph, Recorder(store).begin(opening), chance)
    for chunk in range(2):
        start, row = recorded.scheduler.state.next_token, 3 * chunk
        recorded.scheduler.read([RowsRead(row, range(start, start + 3), HASH * 3)])
        recorded.work_off()
    recorded.scheduler.end_source()
    recorded.work_off()
    recorded.recorder.finish(RunStatus.COMPLETED, {}, 1)

    report = verify_store(store, [recorded.recorder.run])
    assert report.all_findings == []
    assert report.runs[0].tree_root == recorded.recorder.head.tree_root
    assert report.runs[0].tokens == recorded.scheduler.state.next_token
