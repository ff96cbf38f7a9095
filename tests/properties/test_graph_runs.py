"""The law of validation: whatever is accepted, the scheduler brings to an end, with every token accounted for."""

import random
from typing import Any

from frame.errors import ConfigError
from frame.events import ErrorInfo, RowsRead, SinkConfirmed
from frame.graph.model import GateNode, Graph, TransformNode
from frame.scheduler.scheduler import Scheduler
from frame.scheduler.work import (
    Accept,
    Accepted,
    Answer,
    Evaluate,
    Evaluated,
    Flush,
    Flushed,
    FlushFailed,
    Merge,
    MergeDone,
    Process,
    Processed,
    TokenFailed,
    Work,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.graph_pipelines import Nodes, bend, pipelines, pruned, sinks_reached
from tests.unit.graph_examples import compiled

ERROR = ErrorInfo("Test", "by chance")
HASH = bytes(32)
MOST_WORK = 20_000


@given(pipelines(), st.randoms(use_true_random=False), st.integers(0, 2))
def test_whatever_is_accepted_runs_to_its_end(made: tuple[Nodes, str], chance: random.Random, bends: int):
    nodes, first = made
    order = [node.name for node in compiled(nodes, sinks_reached(nodes), source={"to": first}).nodes]
    for _ in range(bends):
        bend(nodes, order, chance)
    nodes = pruned(nodes, first)
    try:
        graph = compiled(nodes, sinks_reached(nodes), source={"to": first})
    except ConfigError:
        return

    scheduler = Scheduler(graph)
    for chunk in range(2):
        start, row = scheduler.state.next_token, 3 * chunk
        scheduler.read([RowsRead(row, range(start, start + 3), HASH * 3)])
        work_off(scheduler, graph, chance)
    scheduler.end_source()
    work_off(scheduler, graph, chance)

    assert scheduler.state.open_tokens == 0
    assert scheduler.state.forks == {}
    assert scheduler.state.branch_of == {}


def work_off(scheduler: Scheduler, graph: Graph, chance: random.Random) -> None:
    """Answer everything that is asked for, by chance, and write what came to the sinks."""
    for _ in range(MOST_WORK):
        work = scheduler.next_work(0)
        if work is None:
            break
        scheduler.settle(work, answer(graph, work, chance), 0)
    else:
        raise AssertionError("the run does not come to an end")
    while writes := scheduler.pending_writes():
        for write in writes:
            intent = scheduler.intend(write, HASH, "key")
            scheduler.confirm(SinkConfirmed(write.node, intent.intent, None, 0, 0))


def answer(graph: Graph, work: Work, chance: random.Random) -> Answer:
    match work:
        case Process(number, _, tokens):
            return _processed(graph.nodes[number], list(tokens), chance)
        case Evaluate(number, _, tokens):
            gate = graph.nodes[number]
            assert isinstance(gate, GateNode)
            return Evaluated(tokens=tokens, labels=[chance.choice(sorted(gate.routes)) for _ in tokens])
        case Accept(tokens=tokens):
            return Accepted(tokens=tokens)
        case Flush():
            if chance.random() < 0.2:
                return FlushFailed(error=ERROR)
            return Flushed(outputs=2, digests=HASH * 2)
        case Merge(joins=joins):
            return MergeDone(digests=[ERROR if chance.random() < 0.1 else HASH for _ in joins])


def _processed(node: Any, tokens: list[int], chance: random.Random) -> Processed:
    assert isinstance(node, TransformNode)
    result = Processed(digests=None)
    done = []
    for token in tokens:
        fate = chance.random()
        if fate < 0.1:
            result.failed.append(TokenFailed(token, ERROR, 0 if node.on_error else None))
        elif fate < 0.15:
            result.dropped.append((token, "by chance"))
        elif fate < 0.4 and node.plugin.expands:
            result.expanded.append((token, 2, HASH * 2))
        else:
            done.append(token)
    result.done = done
    return result
