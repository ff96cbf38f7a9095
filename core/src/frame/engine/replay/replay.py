"""A run done over, chunk by chunk, by what is on record of it.

The record says what was to be done and in which order; the plugins that can be called again do it once more, with
the rows, tokens, visits and attempts of then, and what comes out is held against what is on record. Where a plugin
called the outside world it is given the answers of then; where it cannot be called again, what it made is taken from
the record. Nothing is written: no source is read, no sink is opened, and the record stays as it is.

A row that comes out otherwise is told once: what is made of it is not looked at, until a row that was kept takes its
place.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from frame.canonical import canonical_row, digest
from frame.engine.assembly import Assembly
from frame.engine.context import RunFacts
from frame.engine.executors.aggregation import AggregationExecutor
from frame.engine.inflight import InFlight
from frame.engine.kept_bytes import SOURCE_ROWS, Kept, invalid_row
from frame.engine.nodes import Surroundings
from frame.engine.recorded_calls import Answers
from frame.engine.redaction import Redactor
from frame.engine.reenactment import tokens_under_way
from frame.engine.replay.batches import Batches
from frame.engine.replay.differences import Findings
from frame.engine.replay.ground import Ground
from frame.engine.replay.joins import Joins
from frame.engine.replay.sinks import Sinks
from frame.engine.replay.unhurried import Unhurried
from frame.engine.replay.visits import Visits, fork, remember_error
from frame.events import (
    AttemptFailed,
    BatchAttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Carried,
    Chunk,
    Dropped,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    Noted,
    Payloads,
    Routed,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    Visited,
)
from frame.graph.model import (
    AggregationNode,
    CallPolicy,
    GateNode,
    Graph,
    RateLimit,
    TransformNode,
)
from frame.scheduler.evolve import evolve

OF_VISITS = (Visited, Expanded, Dropped, Routed, Failed, AttemptFailed)
ONE_AT_A_TIME = RateLimit(1_000_000_000, 1.0, "frame-replay")
"""A limit that limits nothing; a node that had a breaker was called for one row at a time."""


class Replay:
    """The run `run_id` of `graph`, done over. `live`: the number of a node that is called for real.

    Use it as a context manager, and give it the chunks in order. `findings` grow with each.
    """

    def __init__(
        self, graph: Graph, run_id: str, redactor: Redactor, *, live: int | None = None, most: int = 20
    ) -> None:
        payloads: list[Payloads] = []
        stop, inflight = threading.Event(), InFlight()
        answers = Answers(live=() if live is None else (live,))
        facts = RunFacts(run_id, graph.settings.seed, Unhurried(stop), redactor, answers)
        self._around = Surroundings(facts, stop, lambda: None, _unheard)
        graph = _without_breakers(graph)
        self._assembly = Assembly(graph, self._around, inflight, payloads)
        self._on = Ground(graph, self._assembly, inflight, payloads, answers, most=most, live=live)
        self._visits, self._joins, self._sinks = Visits(self._on), Joins(self._on), Sinks(self._on)
        self._batches = {
            node.number: Batches(self._on, node, executor)
            for node in graph.nodes
            if isinstance(node, AggregationNode)
            and isinstance(executor := self._assembly.executors[node.number], AggregationExecutor)
        }
        self._started = False

    @property
    def findings(self) -> Findings:
        """What has been found so far."""
        return self._on.findings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for batches in self._batches.values():
            batches.close()
        self._assembly.close()
        self._around.close()

    # --- Chunk by chunk -------------------------------------------------------------------------

    def take_in(self, chunk: Chunk) -> None:
        """Do the next chunk over.

        Raises Refused if something that is needed is no longer on record, AuditError if it is damaged.
        """
        on = self._on
        on.answers.take_in(chunk)
        on.kept, on.chunk = Kept(chunk), chunk.number
        if not self._started:
            self._start()
        for event in chunk.events:
            if isinstance(event, Noted) and event.kind == "names_normalized":
                # What is noted stands at the end of its chunk, and holds for the whole of it.
                self._assembly.source.know(None, event.detail["names"])
        for events in _works(chunk.events, on.graph):
            self._do(events)
            for event in events:
                evolve(on.state, event)
        held = set(tokens_under_way(on.state))  # whose rows a later chunk needs
        on.inflight.keep_only(held)
        on.astray &= held

    def _start(self) -> None:
        """Start the plugins that will be called. Raises PluginFailed."""
        self._started = True
        for number in self._assembly.executors:
            plugin = self._assembly.node(number)
            if plugin is not None and self._on.is_called(number):
                plugin.start()
        self._on.answers.missing.clear()

    def _do(self, events: Sequence[Event]) -> None:
        event = events[0]
        match event:
            case RowsRead() | Carried():
                self._on.take_kept(SOURCE_ROWS, event.tokens, event.digests, event.tokens)
                self._on.findings.at(0).taken += len(event.tokens)
            case RowInvalid():
                self._row_invalid(event)
            case Merged():
                self._joins.merged(event)
            case MergeFailed():
                self._joins.failed(event)
            case SinkIntended():
                self._sinks.intended(event)
            case SinkConfirmed():
                self._sinks.confirmed(event)
            case _:
                self._do_work(event, events)

    def _do_work(self, event: Event, events: Sequence[Event]) -> None:
        number = getattr(event, "node", None)
        if isinstance(event, OF_VISITS) and number not in self._batches:
            self._visits.replay(event.node, event.visit, events)
            for each in events:
                if isinstance(each, Routed):
                    fork(self._on, each)
                elif isinstance(each, Failed):
                    remember_error(self._on, each)
        elif isinstance(event, (*OF_VISITS, Buffered, BatchAttemptFailed, BatchFlushed, BatchFailed)):
            self._batches[event.node].replay(events)

    def _row_invalid(self, event: RowInvalid) -> None:
        on = self._on
        kept = on.kept.item(SOURCE_ROWS, event.token, on.name(0))
        if digest(kept) != event.digest:
            raise on.kept.damaged(event.token)
        on.findings.at(0).taken += 1
        if event.sink is not None:
            row = invalid_row(event, kept, on.kept.shape(SOURCE_ROWS, event.token))
            on.put((event.token,), (row,), (canonical_row(row),))
            on.inflight.errors[event.token] = 0, event.error


def _works(events: Sequence[Event], graph: Graph) -> Iterator[Sequence[Event]]:
    """The events in their order, those that one piece of work came to together."""
    work: list[Event] = []
    for event in events:
        if work and (key := _key(event, graph)) is not None and key == _key(work[0], graph):
            work.append(event)
            continue
        if work:
            yield work
        work = [event]
    if work:
        yield work


def _key(event: Event, graph: Graph) -> tuple[object, ...] | None:
    """What events of one piece of work have in common, None for events that stand alone."""
    match event:
        case BatchAttemptFailed() | BatchFlushed() | BatchFailed():
            return "flush", event.node, event.batch
        case Buffered():
            return "accept", event.node
        case Visited() | Expanded() | Dropped() | Routed() | Failed() | AttemptFailed():
            if isinstance(graph.nodes[event.node], AggregationNode):
                return "accept", event.node
            return "visit", event.node, event.visit
    return None


def _without_breakers(graph: Graph) -> Graph:
    """The same nodes without breakers, which would refuse what is done over in no time."""
    nodes = tuple(
        replace(node, policy=_policy(node.policy))
        if isinstance(node, TransformNode | GateNode | AggregationNode)
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _policy(policy: CallPolicy) -> CallPolicy:
    if policy.breaker is None and policy.rate_limit is None:
        return policy
    return replace(policy, breaker=None, rate_limit=ONE_AT_A_TIME)


def _unheard(note: Noted) -> None:
    """What plugins note in passing was noted when the run took place."""
