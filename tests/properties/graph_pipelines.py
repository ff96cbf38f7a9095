"""Random pipelines: well-formed ones, and ones with ways that were bent."""

import random
from itertools import count
from typing import Any

from hypothesis import strategies as st

from tests.unit.graph_examples import forked, gate, gather, join, out, step

Nodes = list[dict[str, Any]]
SINKS = {"out": out(), "bad": out(on_error="dead"), "dead": out()}


class Builder:
    """Builds pipelines out of pieces that each have one way in and one way on."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.numbers = count()
        self.nodes: Nodes = []

    def name(self, kind: str) -> str:
        return f"{kind}{next(self.numbers)}"

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def piece(self, depth: int, onward: str, token_kept: bool) -> str:
        """The name of the first node of a new piece that leads on to `onward`.

        `token_kept`: the piece may make no new tokens, because a loop or a fork is open around it.
        """
        kinds = ["step", "step", "step", "choice", "sideways"]
        if depth:
            kinds += ["chain", "loop", "fork"] if not token_kept else ["chain", "loop"]
        if not token_kept:
            kinds += ["expand", "gather", "spread"]
        return getattr(self, f"_{self.pick(*kinds)}")(depth, onward, token_kept)

    def _step(self, depth: int, onward: str, token_kept: bool) -> str:
        name = self.name("s")
        error = self.draw(
            st.sampled_from([{}, {"on_error": "bad"}, {"on_error": onward}, {"on_error": name}])
        )
        self.nodes.append(step(name, to=onward, **error))
        return name

    def _expand(self, depth: int, onward: str, token_kept: bool) -> str:
        name = self.name("x")
        self.nodes.append({"name": name, "plugin": "split", "to": onward})
        return name

    def _gather(self, depth: int, onward: str, token_kept: bool) -> str:
        name = self.name("a")
        self.nodes.append(gather(name, to=onward))
        return name

    def _sideways(self, depth: int, onward: str, token_kept: bool) -> str:
        name = self.name("g")
        self.nodes.append(gate(name, routes={"true": onward, "false": self.pick("discard", "bad", "dead")}))
        return name

    def _choice(self, depth: int, onward: str, token_kept: bool) -> str:
        name = self.name("g")
        one, other = (self.piece(max(depth - 1, 0), onward, token_kept) for _ in range(2))
        self.nodes.append(gate(name, routes={"true": one, "false": other}))
        return name

    def _chain(self, depth: int, onward: str, token_kept: bool) -> str:
        return self.piece(depth - 1, self.piece(depth - 1, onward, token_kept), token_kept)

    def _loop(self, depth: int, onward: str, token_kept: bool) -> str:
        head, end = self.name("h"), self.name("g")
        body = self.piece(depth - 1, end, token_kept=True)
        self.nodes.append(step(head, to=body))
        self.nodes.append(gate(end, routes={"true": {"to": head, "max": 3}, "false": onward}))
        return head

    def _spread(self, depth: int, onward: str, token_kept: bool) -> str:
        name = self.name("f")
        self.nodes.append(forked(name, onward, *(["bad"] if onward != "bad" else ["dead"])))
        return name

    def _fork(self, depth: int, onward: str, token_kept: bool) -> str:
        name, meeting = self.name("f"), self.name("j")
        branches = [self.branch(depth, meeting) for _ in range(self.draw(st.integers(2, 3)))]
        self.nodes.append(forked(name, *branches, *self.draw(st.sampled_from([[], ["dead"]]))))
        merge = self.draw(
            st.sampled_from(
                [
                    {},
                    {"policy": "quorum", "quorum": 2},
                    {"merge": "nested"},
                    {"merge": "select", "select": branches[0]},
                ]
            )
        )
        self.nodes.append(join(meeting, to=onward, **merge))
        return name

    def branch(self, depth: int, meeting: str) -> str:
        if depth > 1 and self.draw(st.booleans()):
            return self._fork(depth - 1, meeting, False)
        return self.piece(depth - 1, meeting, token_kept=True)


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Nodes, str]:
    """The nodes of a well-formed pipeline in any order, and the name of the first one."""
    builder = Builder(draw)
    first = "out"
    for depth in draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)):
        first = builder.piece(depth, first, False)
    for node in builder.nodes:
        if "gate" in node:
            # After a nested join there is no field a, and that is known.
            node["gate"] = "has(row.a)"
            node["routes"] = dict(node["routes"])
    return draw(st.permutations(builder.nodes)), first


def sinks_reached(nodes: Nodes) -> dict[str, Any]:
    """The sinks that these nodes name: a sink that nothing leads to is a problem of its own."""
    named = str(nodes)
    found = {name: dict(sink) for name, sink in SINKS.items() if f"'{name}'" in named}
    if "bad" in found:
        found["dead"] = dict(SINKS["dead"])
    return found


def pruned(nodes: Nodes, first: str) -> Nodes:
    """The nodes that can still be reached by name."""
    by_name = {node["name"]: node for node in nodes}
    reached, ahead = {first}, [first]
    while ahead:
        written = str(
            {key: value for key, value in by_name[ahead.pop()].items() if key not in ("name", "coalesce")}
        )
        found = {name for name in by_name if f"'{name}'" in written} - reached
        reached |= found
        ahead += found
    return [node for node in nodes if node["name"] in reached]


def bend(nodes: Nodes, order: list[str], chance: random.Random) -> None:
    """Let one way of one node lead somewhere else; mostly onward in `order`, which lists all nodes and sinks."""
    node = chance.choice(nodes)
    onward = order[order.index(node["name"]) + 1 :]
    target = chance.choice(onward if chance.random() < 0.8 else order[1:])
    if "routes" not in node:
        node["to"] = target
        return
    label = chance.choice(sorted(node["routes"]))
    route = node["routes"][label]
    if isinstance(route, list):
        if target not in route:
            route[chance.randrange(len(route))] = target
    else:
        node["routes"][label] = target
