"""How each event changes the state of a run: one function an event, and the fold of them all.

`evolve(state, event)` is the only thing that changes a state, so `restore(graph, events)` gives back the state at
the end of any prefix of the record.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, repeat
from typing import Any

from frame.events import (
    Abandoned,
    ArtifactMade,
    AttemptFailed,
    BatchAttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Called,
    Carried,
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
    TriggerKind,
    Visited,
    Visits,
    VisitsBegun,
    Waiting,
)
from frame.graph.model import (
    AggregationNode,
    BatchMode,
    Discard,
    ErrorClause,
    Fork,
    GateNode,
    Graph,
    To,
)
from frame.scheduler.coalesce import Verdict
from frame.scheduler.state import Batch, ForkGroup, Intent, LoopEdge, RunState
from frame.scheduler.tokens import pack, visits_of


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


def _carried(state: RunState, event: Carried) -> None:
    state.new_tokens(event.tokens)
    state.place(event.tokens, event.node, 0, Path.DEFAULT_FLOW)


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
                _count_loop(state, tokens, (node, clause))
            state.place(tokens, target, visit + 1, Path.ERROR_ROUTED)


def _count_loop(state: RunState, tokens: Tokens, edge: LoopEdge) -> None:
    for token in tokens:
        state.loops.setdefault(token, Counter())[edge] += 1


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
                _count_loop(state, event.tokens, (event.node, event.label))
            path = Path.DEFAULT_FLOW if event.mode is RouteMode.CONTINUE else Path.GATE_ROUTED
            state.place(event.tokens, target, event.visit + 1, path)
        case Fork():
            _fork(state, event, destination)


def _fork(state: RunState, event: Routed, fork: Fork) -> None:
    state.new_tokens(event.children)
    start, stop, width = event.children.start, event.children.stop, len(fork.branches)
    of_branch = [range(start + index, stop, width) for index in range(width)]
    roots = [state.root_of.get(parent, parent) for parent in event.tokens]
    for children in of_branch:
        state.root_of.update(zip(children, roots, strict=True))
    if fork.joins_at is not None:
        _open_groups(state, event, of_branch, fork, fork.joins_at)
    state.end(event.tokens, Path.FORKED)
    for children, branch in zip(of_branch, fork.branches, strict=True):
        state.place(children, branch.to.node, 0, Path.GATE_ROUTED)


def _open_groups(
    state: RunState, event: Routed, of_branch: Sequence[range], fork: Fork, joins_at: int
) -> None:
    names = tuple(branch.name for branch in fork.branches)
    for parent in event.tokens:
        # The place in an outer fork is kept for the merged token: the parent has not lost it by forking.
        outer = state.branch_of.pop(parent, None)
        state.open_fork(ForkGroup(parent, joins_at, names, fork.expected, event.started_us, outer))
    for index in fork.expected:
        places = zip(event.tokens, repeat(index))
        state.branch_of.update(zip(of_branch[index], places, strict=True))


def _buffered(state: RunState, event: Buffered) -> None:
    for visit, tokens in by_visit(event.visits, event.tokens):
        state.take(tokens, event.node, visit)
    batch = state.batches.get(event.node)
    if batch is None:
        batch = state.batches[event.node] = Batch(event.batch, event.opened_us)
        state.next_batch = max(state.next_batch, event.batch + 1)
    batch.count += len(event.tokens)
    batch.parts.append((event.visits, pack(event.tokens)))
    last = event.tokens[-1]
    batch.last_root = state.root_of.get(last, last)
    node = state.graph.nodes[event.node]
    assert isinstance(node, AggregationNode)
    if state.root_of and not node.members_may_go_on:
        for token in event.tokens:
            state.root_of.pop(token, None)


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
    if event.trigger is not TriggerKind.AT_END:
        # Outputs take the place of the row that completed the batch, wherever the chunks were cut.
        state.root_of.update(dict.fromkeys(event.outputs, batch.last_root))
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
        first, *_ = islice(parents, width)
        state.descend(child, first)
        if group.outer is not None:
            state.branch_of[child] = group.outer
        state.close_fork(group, Verdict.MERGE)
    state.end(event.parents, Path.MERGED)
    state.place(event.children, _to(state, event.node), 0, Path.DEFAULT_FLOW)


def _merge_failed(state: RunState, event: MergeFailed) -> None:
    state.end(event.tokens, Path.MERGE_INCOMPLETE)
    group = state.forks.get(event.group)
    if group is None or group.closed:  # a branch that came after the others had failed
        return
    state.close_fork(group, Verdict.FAIL)
    state.lose_branch(group.outer)


def _merge_late(state: RunState, event: MergeLate) -> None:
    state.take((event.token,), event.node, event.visit)
    state.branch_of.pop(event.token)
    group = state.forks[event.group]
    group.late += 1
    state.end((event.token,), Path.LATE_AT_MERGE)
    state.judge(group)


def _sink_intended(state: RunState, event: SinkIntended) -> None:
    announced = {path for path, _ in event.paths}
    left = [arrival for arrival in state.at_sinks.pop(event.node) if arrival.path not in announced]
    if left:
        state.at_sinks[event.node] = left
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
    state.undecided.clear()
    state.decided.clear()
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
    Carried: _carried,
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
