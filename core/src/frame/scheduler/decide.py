"""The next piece of work, and the decisions that need nobody's work.

All functions take a state and give events or work; none changes the state.

Order: the lowest node with something to do goes first, so a chunk moves through the graph node by node and a
loop sends it round again. When nothing can move and the source has ended, open batches are flushed in graph
order, then forks that wait at a coalesce are closed, until nothing moves.
"""

from collections.abc import Iterator

from frame.events import (
    ErrorInfo,
    Event,
    MergeFailed,
    MergeLate,
    Tokens,
    Waiting,
)
from frame.graph.model import AggregationNode, CoalesceNode, GateNode, TransformNode
from frame.scheduler import aggregation, coalesce, triggers
from frame.scheduler.coalesce import Verdict
from frame.scheduler.state import ForkGroup, RunState
from frame.scheduler.work import (
    Evaluate,
    Join,
    Merge,
    Process,
    Work,
)

# --- What to do next ------------------------------------------------------------------------------


def next_work(state: RunState, now_us: int) -> Work | None:
    """What the engine should do now; None when everything waits for rows, for time, or has ended."""
    for node in state.graph.nodes:
        work: Work | None = None
        match node:
            case TransformNode(number) if number in state.waiting:
                visit, tokens = _first_group(state, number)
                work = Process(number, visit, tokens)
            case GateNode(number) if number in state.waiting:
                visit, tokens = _first_group(state, number)
                work = Evaluate(number, visit, tokens)
            case AggregationNode():
                work = aggregation.next_work(state, node, now_us)
            case CoalesceNode() if state.forks:
                work = _merge(state, node, now_us)
            case _:
                continue
        if work is not None:
            return work
    if not state.source_ended:
        return None
    return aggregation.last_flush(state) if state.batches else _closing_merge(state)


def _first_group(state: RunState, node: int) -> tuple[int, Tokens]:
    groups = state.waiting[node]
    visit = min(groups)
    return visit, groups[visit].ordered(state.root_of)


def _merge(state: RunState, node: CoalesceNode, now_us: int, closing: str = "") -> Merge | None:
    """The forks that are to merge at `node` now, all for one reason."""
    ready: dict[str, list[ForkGroup]] = {}
    for group in _judgeable(state, node, now_us, closing):
        verdict, why = verdict_on(node, group, now_us, closing)
        if verdict is Verdict.MERGE:
            ready.setdefault(why, []).append(group)
    if not ready:
        return None
    # Not the first one's reason: the order in which a row's forks merge must not depend on the rows around it.
    reason = min(ready)
    groups = sorted(ready[reason], key=lambda group: _place(state, group))
    return Merge(node.number, tuple(_join(group) for group in groups), reason)


def _judgeable(state: RunState, node: CoalesceNode, now_us: int, closing: str) -> Iterator[ForkGroup]:
    """The open forks at `node` on which there is a verdict, or may be one because waiting is over."""
    for number in state.decided.get(node.number, ()):
        yield state.forks[number]
    for number in state.undecided.get(node.number, ()):
        group = state.forks[number]
        deadline = _deadline_us(node, group)
        if not closing and (deadline is None or now_us < deadline):
            return  # the others were opened later
        yield group


def _place(state: RunState, group: ForkGroup) -> tuple[int, int]:
    """Where `group` stands in the order of the source rows; what it becomes is numbered in that order."""
    token = next(iter(group.arrived.values()))
    return state.root_of.get(token, token), group.number


def verdict_on(node: CoalesceNode, group: ForkGroup, now_us: int, closing: str = "") -> tuple[Verdict, str]:
    """What is to be done with `group` at this moment."""
    if group.verdict is not Verdict.WAIT:
        return group.verdict, group.reason
    deadline = _deadline_us(node, group)
    if not closing and deadline is not None and now_us >= deadline:
        closing = "timeout"
    return coalesce.decide(node, len(group.expected), len(group.arrived), group.lost, closing)


def _deadline_us(node: CoalesceNode, group: ForkGroup) -> int | None:
    return None if node.timeout_s is None else group.opened_us + round(node.timeout_s * 1_000_000)


def _join(group: ForkGroup) -> Join:
    branches = tuple(sorted(group.arrived.items()))
    return Join(group.number, branches, tuple(group.names[index] for index, _ in branches))


def _closing_merge(state: RunState) -> Merge | None:
    """The merges that the end of the source brings about at the first coalesce where forks are open."""
    node = _first_waiting(state)
    return None if node is None else _merge(state, node, 0, "end_of_source")


def _first_waiting(state: RunState) -> CoalesceNode | None:
    for node in state.graph.nodes:
        if isinstance(node, CoalesceNode) and (
            state.decided.get(node.number) or state.undecided.get(node.number)
        ):
            return node
    return None


def next_deadline_us(state: RunState) -> int | None:
    """The earliest moment at which time alone makes something due."""
    deadlines: list[int | None] = []
    for number, batch in state.batches.items():
        node = state.graph.nodes[number]
        assert isinstance(node, AggregationNode)
        deadlines.append(triggers.deadline_us(node.trigger, batch.opened_us))
    for number, groups in state.undecided.items():
        node = state.graph.nodes[number]
        assert isinstance(node, CoalesceNode)
        if groups:
            deadlines.append(_deadline_us(node, state.forks[next(iter(groups))]))
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


# --- Decisions that need nobody's work ------------------------------------------------------------


def advance(state: RunState, now_us: int) -> list[Event]:
    """What is settled already: arrivals at a coalesce, joins that cannot come about, batches that are refused."""
    events: list[Event] = []
    for node in state.graph.nodes:
        if isinstance(node, AggregationNode):
            failed = aggregation.undecidable(state, node, now_us)
            events += [failed] if failed else []
        elif isinstance(node, CoalesceNode):
            events += _failed_joins(state, node, now_us) or _arrivals(state, node, now_us)
        if events:
            return events
    if state.source_ended and next_work(state, now_us) is None:
        return _at_end(state, now_us)
    return events


def _at_end(state: RunState, now_us: int) -> list[Event]:
    """What the end of the source ends at the first place in graph order where rows still wait."""
    if state.batches:
        return [aggregation.refused_at_end(state)]
    node = _first_waiting(state)
    return [] if node is None else [*_failed_joins(state, node, now_us, "end_of_source")]


def _arrivals(state: RunState, node: CoalesceNode, now_us: int) -> Iterator[Event]:
    """The first group of tokens at the coalesce: those whose fork is undecided wait, the others came too late."""
    if node.number not in state.waiting:
        return
    visit, tokens = _first_group(state, node.number)
    in_time: list[int] = []
    too_late: list[Event] = []
    arriving: dict[int, int] = {}
    for token in tokens:
        group = state.forks[state.branch_of[token][0]]
        if group.closed and group.verdict is Verdict.FAIL:
            error = ErrorInfo(
                "MergeIncomplete", "the other branches could not be merged before this one came"
            )
            too_late.append(Waiting(node.number, visit, [token], now_us))
            too_late.append(MergeFailed(node.number, group.number, [token], error))
        # Several branches of one fork may stand in this group, and the first may already decide.
        elif _is_over(node, group, now_us) or _decided_by(node, group, arriving.get(group.number, 0)):
            too_late.append(MergeLate(node.number, group.number, token, visit))
        else:
            arriving[group.number] = arriving.get(group.number, 0) + 1
            in_time.append(token)
    if in_time:
        yield Waiting(node.number, visit, in_time, now_us)
    yield from too_late


def _is_over(node: CoalesceNode, group: ForkGroup, now_us: int) -> bool:
    """Whether `group` is to merge without more branches, by its policy or because time is up."""
    return group.decided or verdict_on(node, group, now_us)[0] is not Verdict.WAIT


def _decided_by(node: CoalesceNode, group: ForkGroup, more: int) -> bool:
    if not more:
        return False
    verdict, _ = coalesce.decide(node, len(group.expected), len(group.arrived) + more, group.lost)
    return verdict is not Verdict.WAIT


def _failed_joins(state: RunState, node: CoalesceNode, now_us: int, closing: str = "") -> list[MergeFailed]:
    """The ends of all forks that cannot be merged at `node` any more, with the branches that are there."""
    failed = []
    for group in _judgeable(state, node, now_us, closing):
        verdict, reason = verdict_on(node, group, now_us, closing)
        if verdict is Verdict.FAIL:
            error = ErrorInfo("MergeIncomplete", f"{reason}: {_who_is_there(group)}")
            arrived = [group.arrived[index] for index in sorted(group.arrived)]
            failed.append(MergeFailed(node.number, group.number, arrived, error))
    return failed


def _who_is_there(group: ForkGroup) -> str:
    there = [group.names[index] for index in sorted(group.arrived)]
    missing = [group.names[index] for index in sorted(group.expected - group.arrived.keys())]
    return f"arrived: {', '.join(there) or 'none'}; missing: {', '.join(missing) or 'none'}"
