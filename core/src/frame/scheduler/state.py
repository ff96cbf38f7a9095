"""What is going on in a run: the fold of its events.

`evolve(state, event)` is the only thing that changes a state, so `restore(graph, events)` gives back the state at
the end of any prefix of the record. Everything here follows from the graph and the events; nothing is remembered
beside them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from frame.errors import FrameBug
from frame.events import (
    Abandoned,
    ArtifactMade,
    AttemptFailed,
    BatchAttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Called,
    Dropped,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Noted,
    Path,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    SourceEnded,
    Tokens,
    Visited,
    Visits,
    VisitsBegun,
    Waiting,
)
from frame.graph.model import (
    AggregationNode,
    BatchMode,
    CoalesceNode,
    Discard,
    ErrorClause,
    Fork,
    GateNode,
    Graph,
    NodeKind,
    To,
)
from frame.scheduler import coalesce
from frame.scheduler.coalesce import Verdict
from frame.scheduler.tokens import Group, pack, visits_of


@dataclass(slots=True)
class Batch:
    """The batch that an aggregation has open. `parts`: its members as they came, with their visits."""

    number: int
    opened_us: int
    count: int = 0
    parts: list[tuple[Visits, Tokens]] = field(default_factory=list)


@dataclass(slots=True)
class ForkGroup:
    """A fork whose branches are to meet again at `coalesce`, until every expected branch is accounted for.

    `outer`: the place of the forked token in a fork around this one, which the merged token takes over.
    `closed`: the merge, or its failure, has been recorded.
    """

    number: int
    coalesce: int
    names: tuple[str, ...]
    expected: frozenset[int]
    opened_us: int
    outer: tuple[int, int] | None
    arrived: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    late: int = 0
    verdict: Verdict = Verdict.WAIT
    reason: str = ""
    closed: bool = False

    @property
    def decided(self) -> bool:
        """Whether the policy has spoken, or time has."""
        return self.closed or self.verdict is not Verdict.WAIT


@dataclass(slots=True)
class Arrival:
    """Tokens that have come to a sink together."""

    path: Path
    visit: int
    tokens: Tokens


@dataclass(slots=True)
class Intent:
    """A write that was announced and is not confirmed yet."""

    sink: int
    tokens: Tokens
    visits: Visits
    paths: Sequence[tuple[Path, int]]


@dataclass(slots=True)
class RunState:
    """Everything that decides what happens next. Compare two of them with ==.

    `root_of`: for tokens that others made, the source token they descend from; `branch_of`: the fork group and
    branch of tokens that a coalesce expects; `loops`: how often a token has taken a loop edge, by its origin.
    """

    graph: Graph
    waiting: dict[int, dict[int, Group]] = field(default_factory=dict)
    at_sinks: dict[int, list[Arrival]] = field(default_factory=dict)
    intents: dict[int, Intent] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    forks: dict[int, ForkGroup] = field(default_factory=dict)
    branch_of: dict[int, tuple[int, int]] = field(default_factory=dict)
    root_of: dict[int, int] = field(default_factory=dict)
    loops: dict[tuple[int, int], int] = field(default_factory=dict)
    ended: Counter[Path] = field(default_factory=Counter)
    source_ended: bool = False
    next_row: int = 0
    next_token: int = 0
    next_batch: int = 0
    next_intent: int = 0

    @property
    def open_tokens(self) -> int:
        """How many tokens have come into being and not ended."""
        return self.next_token - self.ended.total()

    # --- Moves ------------------------------------------------------------------------------------------------

    def place(self, tokens: Tokens, to: int, visit: int, path: Path) -> None:
        """Let `tokens` wait at node `to`; `path` is how they end if that is a sink."""
        if self.graph.nodes[to].kind is NodeKind.SINK:
            self.at_sinks.setdefault(to, []).append(Arrival(path, visit, tokens))
            return
        groups = self.waiting.setdefault(to, {})
        if visit in groups:
            groups[visit].add(tokens)
        else:
            groups[visit] = Group(tokens)

    def take(self, tokens: Tokens, node: int, visit: int) -> None:
        """Let `tokens` no longer wait at `node`."""
        groups = self.waiting.get(node, {})
        if visit not in groups:
            raise FrameBug(f"no token waits at node {node} on visit {visit}")
        groups[visit].take(tokens)
        if not len(groups[visit]):
            del groups[visit]
            if not groups:
                del self.waiting[node]

    def end(self, tokens: Tokens, path: Path) -> None:
        """`tokens` have come to their end by way of `path`."""
        self.ended[path] += len(tokens)
        if self.branch_of:
            for token in tokens:
                self.lose_branch(self.branch_of.pop(token, None))
        if self.root_of:
            for token in tokens:
                self.root_of.pop(token, None)
        if self.loops:
            gone = set(tokens)
            for key in [key for key in self.loops if key[0] in gone]:
                del self.loops[key]

    def lose_branch(self, place: tuple[int, int] | None) -> None:
        """The token that stood for a branch of a fork will never reach the coalesce."""
        if place is None:
            return
        group = self.forks[place[0]]
        group.lost += 1
        self.judge(group)

    def judge(self, group: ForkGroup) -> None:
        """Ask the policy again, unless it has spoken; forget the group when all its branches are accounted for."""
        node = self.graph.nodes[group.coalesce]
        assert isinstance(node, CoalesceNode)
        if not group.decided:
            group.verdict, group.reason = coalesce.decide(
                node, len(group.expected), len(group.arrived), group.lost
            )
        if group.closed and len(group.arrived) + group.lost + group.late == len(group.expected):
            del self.forks[group.number]

    def new_tokens(self, tokens: range) -> None:
        """Numbers are given out in order, without a gap."""
        if tokens.start != self.next_token:
            raise FrameBug(f"token {tokens.start} comes where token {self.next_token} is due")
        self.next_token = tokens.stop

    def descend(self, child: int, parent: int) -> None:
        """Remember which source token `child` goes back to."""
        self.root_of[child] = self.root_of.get(parent, parent)


def restore(graph: Graph, events: Iterable[Event]) -> RunState:
    """The state after `events`, from the beginning of the run."""
    state = RunState(graph)
    for event in events:
        evolve(state, event)
    return state


def evolve(state: RunState, event: Event) -> None:
    """Change `state` by `event`."""
    _EVOLVE[type(event)](state, event)


# --- One function an event ------------------------------------------------------------------------


def _rows_read(state: RunState, event: RowsRead) -> None:
    state.new_tokens(event.tokens)
    state.next_row = event.first_row + len(event.tokens)
    state.place(event.tokens, state.graph.source.to.node, 0, Path.DEFAULT_FLOW)


def _row_invalid(state: RunState, event: RowInvalid) -> None:
    state.new_tokens(range(event.token, event.token + 1))
    state.next_row = event.row + 1
    if event.sink is None:
        state.end((event.token,), Path.INVALID_AT_SOURCE)
    else:
        state.place((event.token,), event.sink, 0, Path.INVALID_AT_SOURCE)


def _source_ended(state: RunState, event: SourceEnded) -> None:
    state.source_ended = True


def _visited(state: RunState, event: Visited) -> None:
    state.take(event.tokens, event.node, event.visit)
    state.place(event.tokens, _to(state, event.node), event.visit + 1, Path.DEFAULT_FLOW)


def _dropped(state: RunState, event: Dropped) -> None:
    state.take(event.tokens, event.node, event.visit)
    state.end(event.tokens, Path.DROPPED)


def _failed(state: RunState, event: Failed) -> None:
    state.take((event.token,), event.node, event.visit)
    if event.limit:
        state.end((event.token,), Path.VISIT_LIMIT)
        return
    clauses: tuple[ErrorClause, ...] = state.graph.nodes[event.node].on_error  # type: ignore[union-attr, assignment]
    _to_clause(state, (event.token,), event.visit, event.node, clauses, event.clause)


def _to_clause(
    state: RunState,
    tokens: Tokens,
    visit: int,
    node: int,
    clauses: Sequence[ErrorClause],
    clause: int | None,
) -> None:
    if clause is None:
        state.end(tokens, Path.UNHANDLED)
        return
    match clauses[clause].to:
        case Discard():
            state.end(tokens, Path.ERROR_DISCARDED)
        case To(target, loop_max):
            if loop_max is not None:
                _count_loop(state, tokens, node)
            state.place(tokens, target, visit + 1, Path.ERROR_ROUTED)


def _count_loop(state: RunState, tokens: Tokens, origin: int) -> None:
    for token in tokens:
        state.loops[token, origin] = state.loops.get((token, origin), 0) + 1


def _expanded(state: RunState, event: Expanded) -> None:
    state.take((event.parent,), event.node, event.visit)
    state.new_tokens(event.children)
    for child in event.children:
        state.descend(child, event.parent)
    state.end((event.parent,), Path.EXPANDED)
    state.place(event.children, _to(state, event.node), 0, Path.DEFAULT_FLOW)


def _routed(state: RunState, event: Routed) -> None:
    state.take(event.tokens, event.node, event.visit)
    gate = state.graph.nodes[event.node]
    assert isinstance(gate, GateNode)
    destination = gate.routes[event.label]
    if event.limit:
        state.end(event.tokens, Path.VISIT_LIMIT)
        return
    match destination:
        case Discard():
            state.end(event.tokens, Path.GATE_DISCARDED)
        case To(target, loop_max):
            if loop_max is not None:
                _count_loop(state, event.tokens, event.node)
            path = Path.DEFAULT_FLOW if event.mode is RouteMode.CONTINUE else Path.GATE_ROUTED
            state.place(event.tokens, target, event.visit + 1, path)
        case Fork():
            _fork(state, event, destination)


def _fork(state: RunState, event: Routed, fork: Fork) -> None:
    state.new_tokens(event.children)
    width = len(fork.branches)
    for parent, first in zip(
        event.tokens, range(event.children.start, event.children.stop, width), strict=True
    ):
        for child in range(first, first + width):
            state.descend(child, parent)
        if fork.joins_at is not None:
            _open_group(state, parent, first, fork, fork.joins_at, event.started_us)
    state.end(event.tokens, Path.FORKED)
    for index, branch in enumerate(fork.branches):
        children = range(event.children.start + index, event.children.stop, width)
        state.place(children, branch.to.node, 0, Path.GATE_ROUTED)


def _open_group(state: RunState, parent: int, first: int, fork: Fork, joins_at: int, now_us: int) -> None:
    # The place in an outer fork is kept for the merged token: the parent has not lost it by forking.
    outer = state.branch_of.pop(parent, None)
    names = tuple(branch.name for branch in fork.branches)
    state.forks[parent] = ForkGroup(parent, joins_at, names, fork.expected, now_us, outer)
    for index in fork.expected:
        state.branch_of[first + index] = (parent, index)


def _buffered(state: RunState, event: Buffered) -> None:
    for visit, tokens in by_visit(event.visits, event.tokens):
        state.take(tokens, event.node, visit)
    batch = state.batches.get(event.node)
    if batch is None:
        batch = state.batches[event.node] = Batch(event.batch, event.opened_us)
        state.next_batch = max(state.next_batch, event.batch + 1)
    batch.count += len(event.tokens)
    batch.parts.append((event.visits, pack(event.tokens)))


def by_visit(visits: Visits, tokens: Tokens) -> Iterable[tuple[int, Tokens]]:
    """`tokens` sorted into groups of one visit number each."""
    if isinstance(visits, int):
        return [(visits, tokens)]
    groups: dict[int, list[int]] = {}
    for visit, token in zip(visits, tokens, strict=True):
        groups.setdefault(visit, []).append(token)
    return groups.items()


def _batch_flushed(state: RunState, event: BatchFlushed) -> None:
    batch = state.batches.pop(event.node)
    node = state.graph.nodes[event.node]
    assert isinstance(node, AggregationNode)
    if node.mode is BatchMode.PASSTHROUGH:
        for visits, members in batch.parts:
            for visit, tokens in by_visit(visits, members):
                state.place(tokens, node.to.node, visit + 1, Path.DEFAULT_FLOW)
        return
    state.new_tokens(event.outputs)
    for _, members in batch.parts:
        state.end(members, Path.BATCHED)
    if event.outputs:
        state.place(event.outputs, node.to.node, 0, Path.DEFAULT_FLOW)


def _batch_failed(state: RunState, event: BatchFailed) -> None:
    batch = state.batches.pop(event.node)
    node = state.graph.nodes[event.node]
    assert isinstance(node, AggregationNode)
    for visits, members in batch.parts:
        for visit, tokens in by_visit(visits, members):
            _to_clause(state, tokens, visit, event.node, node.on_error, event.clause)


def _waiting(state: RunState, event: Waiting) -> None:
    for visit, tokens in by_visit(event.visits, event.tokens):
        state.take(tokens, event.node, visit)
    for token in event.tokens:
        group_number, branch = state.branch_of.pop(token)
        group = state.forks[group_number]
        group.arrived[branch] = token
        state.judge(group)


def _merged(state: RunState, event: Merged) -> None:
    state.new_tokens(event.children)
    parents = iter(event.parents)
    for number, width, child in zip(event.groups, event.widths, event.children, strict=True):
        group = state.forks[number]
        merged = [next(parents) for _ in range(width)]
        state.descend(child, merged[0])
        if group.outer is not None:
            state.branch_of[child] = group.outer
        state.end(merged, Path.MERGED)
        _close(state, group)
    state.place(event.children, _to(state, event.node), 0, Path.DEFAULT_FLOW)


def _merge_failed(state: RunState, event: MergeFailed) -> None:
    group = state.forks[event.group]
    state.end(event.tokens, Path.MERGE_INCOMPLETE)
    outer = group.outer
    _close(state, group)
    state.lose_branch(outer)


def _close(state: RunState, group: ForkGroup) -> None:
    group.closed = True
    state.judge(group)


def _merge_late(state: RunState, event: MergeLate) -> None:
    state.take((event.token,), event.node, event.visit)
    state.branch_of.pop(event.token)
    group = state.forks[event.group]
    group.late += 1
    state.end((event.token,), Path.LATE_AT_MERGE)
    state.judge(group)


def _sink_intended(state: RunState, event: SinkIntended) -> None:
    del state.at_sinks[event.node]
    state.intents[event.intent] = Intent(event.node, event.tokens, event.visits, event.paths)
    state.next_intent = event.intent + 1


def _sink_confirmed(state: RunState, event: SinkConfirmed) -> None:
    intent = state.intents.pop(event.intent)
    refused = {token: fallback for token, _, fallback in event.rejected}
    visits = visits_of(intent.visits, len(intent.tokens))
    start = 0
    for path, count in intent.paths:
        tokens = intent.tokens[start : start + count]
        written = [token for token in tokens if token not in refused] if refused else tokens
        state.end(written, path)
        start += count
    for token, visit in zip(intent.tokens, visits, strict=True) if refused else ():
        if token not in refused:
            continue
        fallback = refused[token]
        if fallback is None:
            state.end((token,), Path.SINK_REJECTED)
        else:
            state.place((token,), fallback, visit + 1, Path.SINK_REJECTED)


def _abandoned(state: RunState, event: Abandoned) -> None:
    state.waiting.clear()
    state.at_sinks.clear()
    state.intents.clear()
    state.batches.clear()
    state.forks.clear()
    state.branch_of.clear()
    state.end(event.tokens, Path.ABANDONED)


def _beside(state: RunState, event: object) -> None:
    """Says something about the run that decides nothing."""


def _to(state: RunState, node: int) -> int:
    target: To = state.graph.nodes[node].to  # type: ignore[union-attr]
    return target.node


_EVOLVE: dict[type, Callable[[RunState, Any], None]] = {
    RowsRead: _rows_read,
    RowInvalid: _row_invalid,
    SourceEnded: _source_ended,
    VisitsBegun: _beside,
    Visited: _visited,
    AttemptFailed: _beside,
    Failed: _failed,
    Dropped: _dropped,
    Expanded: _expanded,
    Routed: _routed,
    Buffered: _buffered,
    BatchAttemptFailed: _beside,
    BatchFlushed: _batch_flushed,
    BatchFailed: _batch_failed,
    Waiting: _waiting,
    Merged: _merged,
    MergeFailed: _merge_failed,
    MergeLate: _merge_late,
    SinkIntended: _sink_intended,
    SinkConfirmed: _sink_confirmed,
    ArtifactMade: _beside,
    Abandoned: _abandoned,
    Called: _beside,
    Noted: _beside,
}
