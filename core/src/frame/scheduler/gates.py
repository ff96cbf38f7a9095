"""What a gate's labels mean: each label stands for one destination, and a destination for one kind of move."""

from collections.abc import Iterator, Sequence

from frame.events import Routed, RouteMode, Tokens
from frame.graph.model import Destination, Discard, Fork, GateNode, To
from frame.scheduler.state import LoopEdge, RunState
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


def route(state: RunState, work: Evaluate, answer: Evaluated) -> Iterator[Routed]:
    """The events that the gate's labels come to, in the order of its routes."""
    gate = state.graph.nodes[work.node]
    assert isinstance(gate, GateNode)
    next_token = state.next_token
    for (label, attempt), tokens in _by_label(gate, answer).items():
        destination = gate.routes[label]
        mode = mode_of(gate, destination)
        for limited, part in _by_limit(state, (work.node, label), destination, tokens):
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


def _by_label(gate: GateNode, answer: Evaluated) -> dict[tuple[str, int], Tokens]:
    labels, attempts_of = answer.labels, answer.attempts_of
    if not attempts_of and len(set(labels)) == 1:
        return {(labels[0], 0): answer.tokens}
    groups: dict[tuple[str, int], list[int]] = {}
    for token, label in zip(answer.tokens, labels, strict=True):
        groups.setdefault((label, attempts_of.get(token, 0)), []).append(token)
    # By route, not by first appearance: the numbers of a row's children must not depend on the rows around it.
    place = {label: number for number, label in enumerate(gate.routes)}
    return {key: groups[key] for key in sorted(groups, key=lambda key: (place[key[0]], key[1]))}


def _by_limit(
    state: RunState, edge: LoopEdge, destination: Destination, tokens: Tokens
) -> Sequence[tuple[bool, Tokens]]:
    """`tokens` split into those that may still take the way and those that have taken a loop edge too often."""
    if not isinstance(destination, To) or destination.loop_max is None:
        return [(False, tokens)]
    used_up = {token for token in tokens if state.turns(token, edge) >= destination.loop_max}
    parts = [
        (False, [token for token in tokens if token not in used_up]),
        (True, [token for token in tokens if token in used_up]),
    ]
    return [(limited, part) for limited, part in parts if part]
