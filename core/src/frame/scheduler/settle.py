"""What an answer of the engine means: the events that it comes to. Nothing here changes the state."""

from collections.abc import Callable, Iterator

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
    Tokens,
    Visited,
)
from frame.graph.model import AggregationNode, GateNode, To, TransformNode
from frame.scheduler import gates
from frame.scheduler.state import RunState
from frame.scheduler.tokens import share_visits
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
    Tally,
    TokenFailed,
    Work,
)


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
            if not answer.cancelled:
                yield BatchFailed(
                    work.node, work.batch, work.trigger, work.members, answer.error, answer.clause
                )
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
    return state.turns(failure.token, (node, failure.clause)) >= way.loop_max


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
