"""What has come to the sinks, and which tokens are still open."""

from collections.abc import Sequence

from frame.events import Path
from frame.scheduler.state import Arrival, RunState
from frame.scheduler.tokens import in_order, share_visits
from frame.scheduler.work import Write


def pending_writes(state: RunState) -> Sequence[Write]:
    """What has come to each sink and is not announced yet.

    Rows that another sink has refused are writes of their own, after all others: when they come depends on when that
    sink answered, and neither order nor numbers of the other writes may depend on that.
    """
    writes = []
    for refused in (False, True):
        for node in sorted(state.at_sinks):
            arrivals = [one for one in state.at_sinks[node] if (one.path is Path.SINK_REJECTED) is refused]
            if arrivals:
                writes.append(_write(state, node, arrivals))
    return writes


def _write(state: RunState, node: int, arrivals: Sequence[Arrival]) -> Write:
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
