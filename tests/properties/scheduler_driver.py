"""An engine that calls no plugin: it answers the scheduler by chance, as time passes by chance."""

import pickle
import random
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from frame.events import (
    AttemptFailed,
    BatchAttemptFailed,
    ErrorInfo,
    Event,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    VisitStatus,
)
from frame.graph.model import AggregationNode, BatchMode, GateNode, Graph, SinkNode, To, TransformNode
from frame.scheduler.scheduler import Scheduler
from frame.scheduler.state import Batch, RunState
from frame.scheduler.tokens import Group, visits_of
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

ERROR = ErrorInfo("Test", "by chance")
HASH = bytes(range(32))
MOST_WORK = 20_000
HOUR_US = 3_600_000_000


class Drive:
    """Runs `graph`. `at_boundary` hears the scheduler's new events after each decision."""

    def __init__(
        self, graph: Graph, chance: random.Random, at_boundary: Callable[[Scheduler, list[Event]], None]
    ) -> None:
        self.graph, self.chance, self._at_boundary = graph, chance, at_boundary
        self.scheduler = Scheduler(graph)
        self.now_us = 1_000

    def run(self, chunks: int) -> None:
        """Read some chunks of rows, end the source, and work everything off."""
        for _ in range(chunks):
            self.read()
            self.work_off()
            self.write()
            self.pass_time()
        self.scheduler.end_source()
        self.boundary()
        for _ in range(MOST_WORK):
            self.work_off()
            if not self.write():
                return
        raise AssertionError("the sinks never come to rest")

    def boundary(self) -> None:
        self._at_boundary(self.scheduler, self.scheduler.take_events())

    def pass_time(self) -> None:
        self.now_us += self.chance.choice([1, 1_000, HOUR_US, HOUR_US // 2])

    # --- Rows in ----------------------------------------------------------------------------------------------

    def read(self) -> None:
        state, count = self.scheduler.state, self.chance.randrange(6)
        row, token = state.next_row, state.next_token
        events: list[RowsRead | RowInvalid] = []
        if count:
            events.append(RowsRead(row, range(token, token + count), HASH * count))
        if self.chance.random() < 0.3:
            events.append(RowInvalid(row + count, token + count, HASH, ERROR, self._some_sink(), "here:1"))
        self.scheduler.read(events)
        self.boundary()

    def _some_sink(self) -> int | None:
        return self.chance.choice([None, self.graph.sinks[-1].number])

    # --- Work -------------------------------------------------------------------------------------------------

    def work_off(self) -> None:
        for _ in range(MOST_WORK):
            self.scheduler.advance(self.now_us)
            self.boundary()
            work = self.scheduler.next_work(self.now_us)
            if work is None:
                return
            if self.chance.random() < 0.05:
                self.pass_time()
            self.scheduler.settle(work, self.answer(work), self.now_us)
            self.boundary()
        raise AssertionError("the run does not come to an end")

    def answer(self, work: Work) -> Answer:
        match work:
            case Process():
                return self._processed(work)
            case Evaluate():
                return self._evaluated(work)
            case Accept():
                return self._accepted(work)
            case Flush():
                return self._flushed(work)
            case Merge(joins=joins):
                return MergeDone(
                    self.now_us, 5, digests=[self._one_of(HASH, HASH, HASH, ERROR) for _ in joins]
                )

    def _one_of(self, *options: Any) -> Any:
        return self.chance.choice(options)

    def _fails(self, work: Process | Evaluate | Accept, answer: Any, token: int, visit: int) -> bool:
        """Whether this token's visit fails, with the attempts that it takes to say so noted in `answer`."""
        fails, attempts = self.chance.random() < 0.2, self.chance.choice([0, 0, 0, 1, 2])
        for attempt in range(attempts + fails):
            answer.attempts.append(
                AttemptFailed(work.node, visit, token, attempt, VisitStatus.FAILED, ERROR, self.now_us, 1)
            )
        if fails:
            clauses = self.graph.nodes[work.node].on_error  # type: ignore[union-attr]
            clause = self.chance.choice([None, *range(len(clauses))])
            answer.failed.append(TokenFailed(token, ERROR, clause))
        elif attempts:
            answer.attempts_of[token] = attempts
        return fails

    def _processed(self, work: Process) -> Processed:
        node = self.graph.nodes[work.node]
        assert isinstance(node, TransformNode)
        answer = Processed(self.now_us, 5)
        done: list[int] = []
        for token in work.tokens:
            if self._fails(work, answer, token, work.visit):
                continue
            fate = self.chance.random()
            if fate < 0.1:
                answer.dropped.append((token, self._one_of("this", "that")))
            elif fate < 0.4 and node.plugin.expands:
                count = self.chance.randrange(1, 4)
                answer.expanded.append((token, count, HASH * count))
            else:
                done.append(token)
        answer.done = work.tokens if len(done) == len(work.tokens) else done
        answer.digests = self._one_of(None, HASH * len(done))
        return answer

    def _evaluated(self, work: Evaluate) -> Evaluated:
        node = self.graph.nodes[work.node]
        assert isinstance(node, GateNode)
        answer = Evaluated(self.now_us, 5)
        labels = list(node.routes) if self.chance.random() < 0.5 else [self.chance.choice(list(node.routes))]
        answer.tokens = [token for token in work.tokens if not self._fails(work, answer, token, work.visit)]
        answer.labels = [self.chance.choice(labels) for _ in answer.tokens]
        return answer

    def _accepted(self, work: Accept) -> Accepted:
        answer = Accepted(self.now_us, 5)
        visits = visits_of(work.visits, len(work.tokens))
        answer.tokens = [
            token
            for token, visit in zip(work.tokens, visits, strict=True)
            if not self._fails(work, answer, token, visit)
        ]
        answer.attempts_of = {}
        return answer

    def _flushed(self, work: Flush) -> Flushed | FlushFailed:
        node = self.graph.nodes[work.node]
        assert isinstance(node, AggregationNode)
        tried = [BatchAttemptFailed(work.node, work.batch, 0, VisitStatus.FAILED, ERROR, self.now_us, 1)]
        if self.chance.random() < 0.2:
            clause = self.chance.choice([None, *range(len(node.on_error))])
            return FlushFailed(self.now_us, 5, error=ERROR, clause=clause, flush_attempts=tried)
        if node.mode is BatchMode.PASSTHROUGH:
            return Flushed(self.now_us, 5, digests=HASH * work.members)
        outputs = self.chance.randrange(3)
        return Flushed(
            self.now_us, 5, outputs=outputs, digests=HASH * outputs, attempt=1, flush_attempts=tried
        )

    # --- Rows out ---------------------------------------------------------------------------------------------

    def write(self) -> bool:
        """Announce and confirm what has come to the sinks; whether there was anything."""
        writes = self.scheduler.pending_writes()
        intents = [self.scheduler.intend(write, HASH, "key") for write in writes]
        self.boundary()
        for intent in intents:
            sink = self.graph.nodes[intent.node]
            assert isinstance(sink, SinkNode)
            refused = [token for token in intent.tokens if self.chance.random() < 0.2]
            fallback = sink.on_error
            self.scheduler.confirm(
                SinkConfirmed(
                    intent.node,
                    intent.intent,
                    {"at": 1},
                    self.now_us,
                    5,
                    [(t, "no", fallback) for t in refused],
                )
            )
            self.boundary()
        return bool(intents)


def copied(events: Sequence[Event]) -> list[Event]:
    """The same events, sharing nothing with the originals."""
    copies: list[Event] = pickle.loads(pickle.dumps(list(events)))
    return copies


def plain(state: Any) -> Any:
    """A state in lists and dictionaries, so that a range equals a list of the same tokens."""
    match state:
        case Group():
            return sorted(state)
        case Batch():
            members = [
                pair
                for visits, tokens in state.parts
                for pair in zip(visits_of(visits, len(tokens)), tokens, strict=True)
            ]
            return state.number, state.opened_us, state.count, members
        case RunState() | To():
            return {f.name: plain(getattr(state, f.name)) for f in fields(state) if f.name != "graph"}
        case dict():
            return {key: plain(value) for key, value in state.items() if value}
        case frozenset():
            return sorted(state)
    if is_dataclass(state):
        named = {f.name: plain(getattr(state, f.name)) for f in fields(state)}
        if isinstance(named.get("visits"), int):
            named["visits"] = [named["visits"]] * len(named["tokens"])
        return named
    if isinstance(state, Sequence) and not isinstance(state, str | bytes):
        return [plain(item) for item in state]
    return state
