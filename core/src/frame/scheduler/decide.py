"""The next piece of work, what its answer means, and the decisions that need nobody's work.

All functions take a state and give events or work; none changes the state.

Order: the lowest node with something to do goes first, so a chunk moves through the graph node by node and a
loop sends it round again. When nothing can move and the source has ended, open batches are flushed in graph
order, then forks that wait at a coalesce are closed, until nothing moves.
"""

from collections.abc import Callable, Iterator, Sequence

from frame.errors import FrameBug
from frame.events import (
    BatchFailed,
    BatchFlushed,
    Buffered,
    Dropped,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Path,
    Tokens,
    Visited,
    Waiting,
)
from frame.graph.model import AggregationNode, CoalesceNode, GateNode, To, TransformNode
from frame.scheduler import aggregation, coalesce, gates, triggers
from frame.scheduler.coalesce import Verdict
from frame.scheduler.state import ForkGroup, RunState
from frame.scheduler.tokens import in_order, share_visits
from frame.scheduler.work import (
    Accept,
    Accepted,
    Answer,
    Evaluate,
    Evaluated,
    Flush,
    Flushed,
    FlushFailed,
    Join,
    Merge,
    MergeDone,
    Process,
    Processed,
    Tally,
    TokenFailed,
    Work,
    Write,
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
    return aggregation.last_flush(state) or _closing_merge(state)


def _first_group(state: RunState, node: int) -> tuple[int, Tokens]:
    groups = state.waiting[node]
    visit = min(groups)
    return visit, groups[visit].ordered(state.root_of)


def _merge(state: RunState, node: CoalesceNode, now_us: int, closing: str = "") -> Merge | None:
    """The forks that are to merge at `node` now, all for the first one's reason."""
    ready: list[ForkGroup] = []
    reason = ""
    for group in state.forks.values():
        if group.coalesce != node.number or group.closed:
            continue
        verdict, why = verdict_on(node, group, now_us, closing)
        if verdict is Verdict.MERGE and reason in ("", why):
            ready.append(group)
            reason = why
    return Merge(node.number, tuple(_join(group) for group in ready), reason) if ready else None


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
    for node in state.graph.nodes:
        if isinstance(node, CoalesceNode):
            work = _merge(state, node, 0, "end_of_source")
            if work is not None:
                return work
    return None


def next_deadline_us(state: RunState) -> int | None:
    """The earliest moment at which time alone makes something due."""
    deadlines: list[int | None] = []
    for number, batch in state.batches.items():
        node = state.graph.nodes[number]
        assert isinstance(node, AggregationNode)
        deadlines.append(triggers.deadline_us(node.trigger, batch.opened_us))
    for group in state.forks.values():
        node = state.graph.nodes[group.coalesce]
        assert isinstance(node, CoalesceNode)
        if not group.decided:
            deadlines.append(_deadline_us(node, group))
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


# --- Decisions that need nobody's work ------------------------------------------------------------


def advance(state: RunState, now_us: int) -> list[Event]:
    """What is settled already: arrivals at a coalesce, joins that cannot come about, batches that are refused."""
    events: list[Event] = []
    for node in state.graph.nodes:
        if isinstance(node, CoalesceNode):
            events += _arrivals(state, node, now_us)
            if not events:
                events += _failed_joins(state, node, now_us)
        if events:
            return events
    if state.source_ended and next_work(state, now_us) is None:
        events += aggregation.refused_at_end(state)
        for node in state.graph.nodes:
            if isinstance(node, CoalesceNode) and not events:
                events += _failed_joins(state, node, now_us, "end_of_source")
    return events


def _arrivals(state: RunState, node: CoalesceNode, now_us: int) -> Iterator[Event]:
    """The first group of tokens at the coalesce: those whose fork is undecided wait, the others are late."""
    if node.number not in state.waiting:
        return
    visit, tokens = _first_group(state, node.number)
    in_time: list[int] = []
    late: list[Event] = []
    arriving: dict[int, int] = {}
    for token in tokens:
        group = state.forks[state.branch_of[token][0]]
        # Several branches of one fork may stand in this group, and the first may already decide.
        if group.decided or _decided_by(node, group, arriving.get(group.number, 0)):
            late.append(MergeLate(node.number, group.number, token, visit))
        else:
            arriving[group.number] = arriving.get(group.number, 0) + 1
            in_time.append(token)
    if in_time:
        yield Waiting(node.number, visit, in_time, now_us)
    yield from late


def _decided_by(node: CoalesceNode, group: ForkGroup, more: int) -> bool:
    if not more:
        return False
    verdict, _ = coalesce.decide(node, len(group.expected), len(group.arrived) + more, group.lost)
    return verdict is not Verdict.WAIT


def _failed_joins(
    state: RunState, node: CoalesceNode, now_us: int, closing: str = ""
) -> Iterator[MergeFailed]:
    for group in state.forks.values():
        if group.coalesce != node.number or group.closed:
            continue
        verdict, reason = verdict_on(node, group, now_us, closing)
        if verdict is Verdict.FAIL:
            error = ErrorInfo("MergeIncomplete", f"{reason}: {_who_is_there(group)}")
            yield MergeFailed(
                node.number, group.number, [group.arrived[n] for n in sorted(group.arrived)], error
            )


def _who_is_there(group: ForkGroup) -> str:
    there = [group.names[index] for index in sorted(group.arrived)]
    missing = [group.names[index] for index in sorted(group.expected - group.arrived.keys())]
    return f"arrived: {', '.join(there) or 'none'}; missing: {', '.join(missing) or 'none'}"


# --- What an answer means -------------------------------------------------------------------------


def settle(state: RunState, work: Work, answer: Answer, now_us: int) -> Iterator[Event]:
    """The events that `answer` to `work` comes to."""
    yield from answer.calls
    yield from answer.attempts
    match work, answer:
        case Process(), Processed():
            yield from _processed(state, work, answer)
        case Evaluate(), Evaluated():
            if answer.tokens:
                yield from gates.route(state, work, answer)
        case Accept(), Accepted():
            yield from _accepted(state, work, answer, now_us)
        case Flush(), Flushed():
            yield from _flushed(state, work, answer)
        case Flush(), FlushFailed():
            yield from answer.flush_attempts
            yield BatchFailed(work.node, work.batch, work.trigger, work.members, answer.error, answer.clause)
        case Merge(), MergeDone():
            yield from _joined(state, work, answer)
        case _:
            raise FrameBug(f"{type(answer).__name__} does not answer {type(work).__name__}")
    yield from _failures(state, work, answer)


def _failures(state: RunState, work: Work, answer: Tally) -> Iterator[Failed]:
    if not answer.failed:
        return
    assert isinstance(work, Process | Evaluate | Accept)
    visit_of = _visit_of(work)
    for failure in answer.failed:
        limit = _loop_used_up(state, work.node, failure)
        yield Failed(work.node, visit_of(failure.token), failure.token, failure.error, failure.clause, limit)


def _visit_of(work: Process | Evaluate | Accept) -> Callable[[int], int]:
    if not isinstance(work, Accept):
        same = work.visit
    elif isinstance(work.visits, int):
        same = work.visits
    else:
        return dict(zip(work.tokens, work.visits, strict=True)).__getitem__
    return lambda token: same


def _loop_used_up(state: RunState, node: int, failure: TokenFailed) -> bool:
    if failure.clause is None:
        return False
    owner = state.graph.nodes[node]
    assert isinstance(owner, TransformNode | GateNode | AggregationNode)
    way = owner.on_error[failure.clause].to
    if not isinstance(way, To) or way.loop_max is None:
        return False
    return state.loops.get((failure.token, node), 0) >= way.loop_max


def _processed(state: RunState, work: Process, answer: Processed) -> Iterator[Event]:
    when = answer.started_us, answer.duration_us
    for attempt, tokens, digests in _by_attempt(answer):
        yield Visited(work.node, work.visit, tokens, digests, *when, attempt)
    next_token = state.next_token
    for parent, count, digests in answer.expanded:
        children = range(next_token, next_token + count)
        next_token = children.stop
        attempt = answer.attempts_of.get(parent, 0)
        yield Expanded(work.node, work.visit, parent, children, digests, *when, attempt)
    reasons: dict[tuple[str, int], list[int]] = {}
    for token, reason in answer.dropped:
        reasons.setdefault((reason, answer.attempts_of.get(token, 0)), []).append(token)
    for (reason, attempt), tokens in reasons.items():
        yield Dropped(work.node, work.visit, tokens, reason, *when, attempt)


def _by_attempt(answer: Processed) -> Iterator[tuple[int, Tokens, bytes | None]]:
    """The tokens that went through, by the number of the attempt that succeeded."""
    if not answer.done:
        return
    if not answer.attempts_of:
        yield 0, answer.done, answer.digests
        return
    groups: dict[int, list[int]] = {}
    for index, token in enumerate(answer.done):
        groups.setdefault(answer.attempts_of.get(token, 0), []).append(index)
    for attempt, indexes in sorted(groups.items()):
        digests = answer.digests
        if digests is not None:
            digests = b"".join(digests[32 * index : 32 * index + 32] for index in indexes)
        yield attempt, [answer.done[index] for index in indexes], digests


def _accepted(state: RunState, work: Accept, answer: Accepted, now_us: int) -> Iterator[Event]:
    if not answer.tokens:
        return
    batch = state.batches.get(work.node)
    visit_of = _visit_of(work)
    visits = share_visits([visit_of(token) for token in answer.tokens])
    yield Buffered(
        work.node,
        visits,
        answer.tokens,
        work.batch,
        batch.opened_us if batch else now_us,
        answer.started_us,
        answer.duration_us,
    )


def _flushed(state: RunState, work: Flush, answer: Flushed) -> Iterator[Event]:
    yield from answer.flush_attempts
    yield BatchFlushed(
        work.node,
        work.batch,
        work.trigger,
        work.members,
        range(state.next_token, state.next_token + answer.outputs),
        answer.digests,
        answer.started_us,
        answer.duration_us,
        answer.attempt,
    )


def _joined(state: RunState, work: Merge, answer: MergeDone) -> Iterator[Event]:
    done = [
        (join, digest)
        for join, digest in zip(work.joins, answer.digests, strict=True)
        if isinstance(digest, bytes)
    ]
    if done:
        yield Merged(
            work.node,
            [join.group for join, _ in done],
            [token for join, _ in done for _, token in join.branches],
            [len(join.branches) for join, _ in done],
            range(state.next_token, state.next_token + len(done)),
            b"".join(digest for _, digest in done),
            work.reason,
            answer.started_us,
            answer.duration_us,
        )
    for join, error in zip(work.joins, answer.digests, strict=True):
        if isinstance(error, ErrorInfo):
            yield MergeFailed(work.node, join.group, [token for _, token in join.branches], error)


# --- Sinks ----------------------------------------------------------------------------------------


def pending_writes(state: RunState) -> Sequence[Write]:
    """What has come to each sink and is not announced yet."""
    return [_write(state, node) for node in sorted(state.at_sinks)]


def _write(state: RunState, node: int) -> Write:
    arrivals = state.at_sinks[node]
    if len(arrivals) == 1 and isinstance(arrivals[0].tokens, range):
        only = arrivals[0]
        return Write(node, only.visit, only.tokens, ((only.path, len(only.tokens)),))
    came = {token: arrival for arrival in arrivals for token in arrival.tokens}
    tokens = in_order(came, state.root_of)
    paths: list[tuple[Path, int]] = []
    for token in tokens:
        path = came[token].path
        if paths and paths[-1][0] is path:
            paths[-1] = path, paths[-1][1] + 1
        else:
            paths.append((path, 1))
    visits = share_visits([came[token].visit for token in tokens])
    return Write(node, visits, tokens, tuple(paths))


def open_tokens(state: RunState) -> list[int]:
    """Every token that has not ended, in order."""
    tokens: list[int] = []
    for groups in state.waiting.values():
        for group in groups.values():
            tokens += group
    for arrivals in state.at_sinks.values():
        for arrival in arrivals:
            tokens += arrival.tokens
    for intent in state.intents.values():
        tokens += intent.tokens
    for batch in state.batches.values():
        for _, members in batch.parts:
            tokens += members
    for fork in state.forks.values():
        if not fork.closed:
            tokens += fork.arrived.values()
    return sorted(tokens)
