"""The door to the scheduler: one state, and the events that it has come to since they were last taken."""

from collections.abc import Sequence

from frame.events import (
    Abandoned,
    Carried,
    ErrorInfo,
    Event,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    SourceEnded,
)
from frame.graph.model import Graph
from frame.scheduler import decide, settle, sinks
from frame.scheduler.evolve import evolve
from frame.scheduler.state import RunState
from frame.scheduler.work import Answer, Work, Write


class Scheduler:
    """Keeps a run's state and says what is to be done next.

    `state`: where to begin; a fresh run by default, `restore(...)` for one that goes on.
    """

    def __init__(self, graph: Graph, state: RunState | None = None) -> None:
        self.state = state or RunState(graph)
        self._events: list[Event] = []

    def take_events(self) -> list[Event]:
        """The events since the last call, in order."""
        events, self._events = self._events, []
        return events

    @property
    def has_events(self) -> bool:
        """Whether something has happened that is not taken yet."""
        return bool(self._events)

    def record(self, event: Event) -> None:
        """Let `event` happen."""
        evolve(self.state, event)
        self._events.append(event)

    def read(self, events: Sequence[RowsRead | RowInvalid | Carried]) -> None:
        """Rows have come from the source, or from another run."""
        for event in events:
            self.record(event)

    def end_source(self) -> None:
        """The source has no more rows."""
        if not self.state.source_ended:
            self.record(SourceEnded(self.state.next_row))

    def advance(self, now_us: int) -> list[Event]:
        """Let everything happen that needs nobody's work. Returns the events that this came to."""
        happened: list[Event] = []
        while events := decide.advance(self.state, now_us):
            for event in events:
                self.record(event)
            happened += events
        return happened

    def next_work(self, now_us: int) -> Work | None:
        """What the engine should do now; None when there is nothing to do before more rows or more time come."""
        self.advance(now_us)
        return decide.next_work(self.state, now_us)

    def settle(self, work: Work, answer: Answer, now_us: int) -> list[Event]:
        """The engine has done `work`. Returns the events that this came to."""
        events = list(settle.settle(self.state, work, answer, now_us))
        for event in events:
            self.record(event)
        return events

    def next_deadline_us(self) -> int | None:
        """When time alone will make something due."""
        return decide.next_deadline_us(self.state)

    def pending_writes(self) -> list[Write]:
        """What each sink is to be given."""
        return list(sinks.pending_writes(self.state))

    def intend(self, write: Write, content_sha256: bytes, key: str) -> SinkIntended:
        """Announce a write; the answer is the event, which has to be on record before the sink is touched."""
        event = SinkIntended(
            write.node,
            self.state.next_intent,
            write.visits,
            write.tokens,
            write.paths,
            content_sha256,
            key,
        )
        self.record(event)
        return event

    def confirm(self, event: SinkConfirmed) -> None:
        """A write is done and durable."""
        self.record(event)

    def abandon(self, error: ErrorInfo) -> None:
        """End the run without the tokens that are still open."""
        tokens = sinks.open_tokens(self.state)
        if tokens:
            self.record(Abandoned(tokens, error))
