"""Where a run stands by its record alone: what a process that takes it over has to know before it opens anything."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from frame.engine.result import Tally
from frame.events import (
    Abandoned,
    ArtifactMade,
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
    Noted,
    Routed,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    Visited,
    VisitsBegun,
)
from frame.garbage import collecting_rarely
from frame.graph.model import Graph
from frame.scheduler.evolve import evolve
from frame.scheduler.state import RunState

Attempted = tuple[int, int, int]
"""Node, visit and token of a visit that is not over."""


@dataclass(slots=True)
class Standing:
    """Where a run stands.

    `next_chunk`: the number of the next commit. `position`: where the source stood after the last row that was read;
    None if it cannot tell. `sinks`: the position that each sink confirmed last. `published`: sinks whose artifact is on
    record. `intents`: writes that were announced and not confirmed, oldest first, by their number and with the chunk
    that announced them. `attempts` and `flushes`: how many attempts of open visits and of open batches have failed.
    `accepted`: by open batch, the chunk in which each part of its members was accepted. `in_doubt`: visits that the
    last commit announced. `observed`, `names`: what the first rows have fixed. `abandoned`: the run was given up
    with tokens that were open. `stopped`: the last commit says why the run stopped short of its end. `tries`: how often
    it was resumed since a chunk was last finished; `careful`: the last time with one row in hand at a time.
    """

    state: RunState
    tally: Tally
    next_chunk: int = 0
    position: Any = None
    sinks: dict[int, Any] = field(default_factory=dict)
    published: set[int] = field(default_factory=set)
    intents: dict[int, tuple[int, SinkIntended]] = field(default_factory=dict)
    attempts: dict[Attempted, int] = field(default_factory=dict)
    flushes: dict[int, int] = field(default_factory=dict)
    accepted: dict[int, list[int]] = field(default_factory=dict)
    in_doubt: list[VisitsBegun] = field(default_factory=list)
    observed: dict[str, str] | None = None
    names: dict[str, str] = field(default_factory=dict)
    abandoned: bool = False
    stopped: bool = False
    tries: int = 0
    careful: bool = False

    def take_in(self, chunk: Chunk) -> None:
        """The next chunk of the record."""
        for event in chunk.events:
            evolve(self.state, event)
            self._follow(event, chunk.number)
        if any(isinstance(event, RowsRead | RowInvalid | Carried) for event in chunk.events):
            self.position = chunk.position
        self.tally.add(chunk.events)
        self.stopped = any(isinstance(event, Noted) and event.kind == "stopped" for event in chunk.events)
        self.in_doubt = [event for event in chunk.events if isinstance(event, VisitsBegun)]
        self.next_chunk = chunk.number + 1

    def _follow(self, event: Event, chunk: int) -> None:
        match event:
            case AttemptFailed():
                self.attempts[event.node, event.visit, event.token] = event.attempt + 1
            case Failed() | Visited() | Routed() | Expanded() | Dropped():
                self._visit_over(event)
            case BatchAttemptFailed():
                self.flushes[event.batch] = event.attempt + 1
            case Buffered():
                self.accepted.setdefault(event.batch, []).append(chunk)
            case BatchFlushed() | BatchFailed():
                self.accepted.pop(event.batch, None)
                self.flushes.pop(event.batch, None)
            case _:
                self._follow_others(event, chunk)

    def _follow_others(self, event: Event, chunk: int) -> None:
        match event:
            case SinkIntended():
                self.intents[event.intent] = chunk, event
            case SinkConfirmed():
                del self.intents[event.intent]
                self.sinks[event.node] = event.position
            case ArtifactMade():
                self.published.add(event.node)
            case Noted():
                self._read_note(event)
            case Abandoned():
                self.abandoned = True

    def _visit_over(self, event: Failed | Visited | Routed | Expanded | Dropped) -> None:
        if not self.attempts:
            return
        match event:
            case Failed(token=token) | Expanded(parent=token):
                self.attempts.pop((event.node, event.visit, token), None)
            case Visited(attempt=attempt) | Routed(attempt=attempt) | Dropped(attempt=attempt) if attempt:
                for token in event.tokens:
                    self.attempts.pop((event.node, event.visit, token), None)

    def _read_note(self, note: Noted) -> None:
        match note.kind:
            case "schema_observed":
                self.observed = note.detail["fields"]
            case "names_normalized":
                self.names = note.detail["names"]
            case "resumed":
                self.tries, self.careful = self.tries + 1, note.detail["careful"]
            case "caught_up" | "stopped":
                self.tries, self.careful = 0, False
            case "sink_opened":
                assert note.node is not None
                self.sinks.setdefault(note.node, note.detail["position"])

    def doubts(self) -> Iterable[tuple[VisitsBegun, list[int]]]:
        """Visits that had begun when the process ended, with their tokens; how far the calls came nobody knows."""
        for begun in self.in_doubt:
            groups = self.state.waiting.get(begun.node, {})
            waiting = set(groups.get(begun.visit, ()))
            tokens = [token for token in begun.tokens if token in waiting]
            if tokens:
                yield begun, tokens


def standing(graph: Graph, chunks: Iterable[Chunk]) -> Standing:
    """Where a run of `graph` stands after `chunks`, which are all that is on record of it."""
    stands = Standing(RunState(graph), Tally(graph))
    with collecting_rarely():
        for chunk in chunks:
            stands.take_in(chunk)
    return stands
