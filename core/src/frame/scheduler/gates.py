"""What a gate's labels mean: each label stands for one destination, and a destination for one kind of move."""

from collections.abc import Iterator, Sequence

from frame.events import AttemptFailed, ErrorInfo, Failed, Routed, RouteMode, Tokens, VisitStatus
from frame.graph.model import Destination, Discard, Fork, GateNode, To
from frame.scheduler.state import RunState
from frame.scheduler.work import Evaluate, Evaluated


def mode_of(gate: GateNode, destination: Destination) -> RouteMode:
    """How tokens move to `destination`."""
    match destination:
        case Discard():
            return RouteMode.DISCARD
        case Fork():
            return RouteMode.FORK
        case To(node, None):
            return RouteMode.CONTINUE if node == gate.next else RouteMode.ROUTE
        case To():
            return RouteMode.LOOP


def route(state: RunState, work: Evaluate, answer: Evaluated) -> Iterator[Routed | AttemptFailed | Failed]:
    """The events that the gate's labels come to, in the order of the labels' first appearance."""
    gate = state.graph.nodes[work.node]
    assert isinstance(gate, GateNode)
    next_token = state.next_token
    for (label, attempt), tokens in _by_label(answer).items():
        destination = gate.routes.get(label)
        if destination is None:
            yield from _no_route(gate, work, answer, tokens, label, attempt)
            continue
        mode = mode_of(gate, destination)
        for limited, part in _by_limit(state, work.node, destination, tokens):
            children = range(0)
            if isinstance(destination, Fork):
                children = range(next_token, next_token + len(part) * len(destination.branches))
                next_token = children.stop
            yield Routed(
                work.node,
                work.visit,
                part,
                label,
                mode,
                answer.started_us,
                answer.duration_us,
                attempt,
                children,
                limited,
            )


def _by_label(answer: Evaluated) -> dict[tuple[str, int], Tokens]:
    labels, attempts_of = answer.labels, answer.attempts_of
    if not attempts_of and len(set(labels)) == 1:
        return {(labels[0], 0): answer.tokens}
    groups: dict[tuple[str, int], list[int]] = {}
    for token, label in zip(answer.tokens, labels, strict=True):
        groups.setdefault((label, attempts_of.get(token, 0)), []).append(token)
    return dict(groups)


def _by_limit(
    state: RunState, gate: int, destination: Destination, tokens: Tokens
) -> Sequence[tuple[bool, Tokens]]:
    """`tokens` split into those that may still take the way and those that have taken a loop edge too often."""
    if not isinstance(destination, To) or destination.loop_max is None:
        return [(False, tokens)]
    used_up = {token for token in tokens if state.loops.get((token, gate), 0) >= destination.loop_max}
    parts = [
        (False, [token for token in tokens if token not in used_up]),
        (True, [token for token in tokens if token in used_up]),
    ]
    return [(limited, part) for limited, part in parts if part]


def _no_route(
    gate: GateNode, work: Evaluate, answer: Evaluated, tokens: Tokens, label: str, attempt: int
) -> Iterator[AttemptFailed | Failed]:
    known = ", ".join(gate.routes)
    error = ErrorInfo(
        "NoRoute", f"gate {gate.name!r} gave {label!r}, for which it has no route (it has {known})"
    )
    for token in tokens:
        yield AttemptFailed(
            work.node,
            work.visit,
            token,
            attempt,
            VisitStatus.FAILED,
            error,
            answer.started_us,
            answer.duration_us,
        )
        yield Failed(work.node, work.visit, token, error, None)
