"""Random rows, values and pipelines, for tests with Hypothesis (which has to be installed).

rows()          rows as a plugin may see them
values()        values that have a canonical form
pipelines()     pipelines that can run, with all there is in them; each a `PipelineConfig`
wild_pipelines()    the same with ways bent at random, so that some of them are refused
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import count
from typing import Any

from hypothesis import strategies as st

from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.rows import Row, freeze
from frame.testing.chance import ChanceBatch, ChanceExpansion, ChanceGate, ChanceSink, ChanceTransform
from frame.testing.sinks import ListSink
from frame.testing.sources import ListSource

MOST_NODES = 12
SINKS = ("out", "other", "bad", "dead")


def names() -> st.SearchStrategy[str]:
    """Names of fields: mostly plain ones."""
    return st.one_of(
        st.sampled_from(["id", "name", "price", "tags", "at"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    )


def scalars() -> st.SearchStrategy[Any]:
    """Single values of every type that a row may hold."""
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.binary(max_size=20),
        st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12),
        st.dates(),
        st.times(),
        st.datetimes(timezones=st.just(UTC)),
        st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)),
        st.uuids(),
    )


def values() -> st.SearchStrategy[Any]:
    """Values that have a canonical form: scalars, and lists and mappings of them."""
    return st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names(), inner, max_size=4),
        max_leaves=8,
    )


def rows() -> st.SearchStrategy[Row]:
    """Read-only rows."""
    return st.dictionaries(names(), values(), max_size=6).map(freeze)


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What may be in a pipeline, so that a law can leave out what it does not speak of."""

    policies: tuple[str, ...] = ("require_all", "quorum", "best_effort", "first")
    batches: bool = True
    passthrough: bool = True
    counts: bool = True
    merges: tuple[str, ...] = ("union", "fail", "nested", "select")


EVERYTHING = Ingredients()


class _Builder:
    """Builds pipelines out of pieces that each have one way in and lead on to one place."""

    def __init__(self, draw: st.DrawFn, may: Ingredients) -> None:
        self._draw, self._may = draw, may
        self._numbers = count()
        self.nodes: list[dict[str, Any]] = []

    # --- Choices ----------------------------------------------------------------------------------------------

    def _pick(self, *options: Any) -> Any:
        return self._draw(st.sampled_from(options))

    def _name(self, kind: str) -> str:
        return f"{kind}{next(self._numbers)}"

    @property
    def _room(self) -> int:
        return max(0, MOST_NODES - len(self.nodes))

    def _on_error(self, *places: str) -> dict[str, Any]:
        """Nothing, or one of the ways in which a failed row may go on."""
        place = self._pick(*places)
        way: dict[str, Any] = self._pick(
            {},
            {},
            {"on_error": "bad"},
            {"on_error": "discard"},
            {"on_error": place},
            {"on_error": [{"when": "error.type == 'Fail'", "to": place}]},
            {"on_error": [{"when": "has(row.n) && row.n > 100", "to": "other"}, {"to": "bad"}]},
        )
        return way

    def _retry(self) -> dict[str, Any]:
        quick = {"wait": "1ms", "max_wait": "2ms"}
        some: dict[str, Any] = self._pick({"attempts": 2, **quick}, {"attempts": 4, **quick})
        return self._pick({}, {"retry": some})  # type: ignore[no-any-return]

    # --- Pieces -----------------------------------------------------------------------------------------------

    def piece(self, depth: int, onward: str, *, kept: bool) -> str:
        """The first node of a new piece. `kept`: it may make no new tokens, as a loop or a fork is open around it."""
        if self._room <= 1:
            return self.step(onward) if self._room else onward
        kinds: list[Callable[[], str]] = [lambda: self.step(onward)] * 2 + [lambda: self.sideways(onward)]
        if self._room > 3:
            kinds.append(lambda: self.choice(depth, onward, kept))
        if depth and self._room > 4:
            kinds += [lambda: self.chain(depth, onward, kept), lambda: self.loop(depth, onward)]
            kinds += [] if kept else [lambda: self.fork(depth, onward)] * 2
        if not kept:
            kinds += [lambda: self.expansion(onward), lambda: self.spread(onward)]
            kinds += [lambda: self.batch(onward)] * 2 if self._may.batches else []
        elif self._may.batches and self._may.passthrough:
            kinds.append(lambda: self.passthrough(onward))
        return self._draw(st.sampled_from(kinds))()

    def step(self, onward: str) -> str:
        name = self._name("step")
        again = {"on_error": [{"to": name, "max": self._pick(1, 3)}]}
        way = self._pick(self._on_error(onward), again)
        plugin = {"plugin": ChanceTransform, "options": {"salt": name}}
        self.nodes.append({"name": name, **plugin, "to": onward, **way, **self._retry()})
        return name

    def expansion(self, onward: str) -> str:
        name = self._name("expand")
        plugin = {"plugin": ChanceExpansion, "options": {"salt": name}}
        self.nodes.append({"name": name, **plugin, "to": onward, **self._on_error(onward), **self._retry()})
        return name

    def _trigger(self) -> dict[str, Any]:
        if not self._may.counts:
            return {}
        return self._pick(  # type: ignore[no-any-return]
            {},
            {"count": self._draw(st.integers(1, 5))},
            {"when": f"batch.count >= {self._draw(st.integers(1, 5))}"},
            {"after": "1h"},
            {"count": 3, "when": "batch.count > 1 && batch.age >= 0.0"},
            {"count": 4, "at_end": False},
        )

    def batch(self, onward: str) -> str:
        return self._gather(onward, self._pick("transform", "transform", "passthrough"))

    def passthrough(self, onward: str) -> str:
        return self._gather(onward, "passthrough")

    def _gather(self, onward: str, mode: str) -> str:
        mode = mode if self._may.passthrough else "transform"
        name = self._name("batch")
        plugin = {
            "plugin": ChanceBatch,
            "options": {"salt": name, "each": mode == "passthrough"},
            "mode": mode,
        }
        trigger = self._trigger()
        self.nodes.append(
            {"name": name, "aggregate": plugin, "trigger": trigger, "to": onward, **self._on_error(onward)}
        )
        return name

    def _gate(self, name: str, routes: dict[str, Any], onward: str) -> dict[str, Any]:
        plugin = {"plugin": ChanceGate, "options": {"salt": name, "known": tuple(routes)}}
        return {"name": name, **plugin, "routes": routes, **self._on_error(onward), **self._retry()}

    def sideways(self, onward: str) -> str:
        name = self._name("gate")
        routes = {"on": onward, "off": self._pick("discard", "other", "bad")}
        self.nodes.append(self._gate(name, routes, onward))
        return name

    def choice(self, depth: int, onward: str, kept: bool) -> str:
        name = self._name("gate")
        one = self.piece(max(depth - 1, 0), onward, kept=kept)
        two = onward if self._draw(st.booleans()) else self.piece(max(depth - 1, 0), onward, kept=kept)
        self.nodes.append(self._gate(name, {"one": one, "two": two}, onward))
        return name

    def chain(self, depth: int, onward: str, kept: bool) -> str:
        return self.piece(depth - 1, self.piece(depth - 1, onward, kept=kept), kept=kept)

    def loop(self, depth: int, onward: str) -> str:
        head, end = self._name("head"), self._name("turn")
        self.nodes.append(
            self._gate(end, {"back": {"to": head, "max": self._pick(1, 2, 5)}, "on": onward}, onward)
        )
        may, self._may = self._may, Ingredients(batches=False)
        body = self.piece(depth - 1, end, kept=True) if self._room > 2 else end
        self._may = may
        plugin = {"plugin": ChanceTransform, "options": {"salt": head, "keep": 0.0}}
        self.nodes.append({"name": head, **plugin, "to": body, **self._on_error(end), **self._retry()})
        return head

    def spread(self, onward: str) -> str:
        name = self._name("fork")
        beside = self._pick(*(sink for sink in ("other", "bad", "dead") if sink != onward))
        self.nodes.append(self._gate(name, {"both": [onward, beside], "one": onward}, onward))
        return name

    def fork(self, depth: int, onward: str) -> str:
        name, meeting = self._name("fork"), self._name("join")
        self.nodes.append({"name": meeting})
        branches: list[str] = []
        for _ in range(self._draw(st.integers(2, 3))):
            branch = self._branch(depth - 1, meeting)
            branches += [branch] if branch not in branches else []
        if len(branches) < 2:
            branches.append(self.step(meeting) if branches == [meeting] else meeting)
        self.nodes[next(n for n, node in enumerate(self.nodes) if node["name"] == meeting)] |= {
            "coalesce": self._merge(branches),
            "to": onward,
        }
        aside = self._pick([], [], ["dead"])
        past = self._pick("discard", "other", "dead")
        self.nodes.append(self._gate(name, {"split": [*branches, *aside], "past": past}, "bad"))
        return name

    def _branch(self, depth: int, meeting: str) -> str:
        if depth > 0 and self._room > 4 and self._draw(st.booleans()):
            return self.fork(depth, meeting)
        return self.piece(depth, meeting, kept=True)

    def _merge(self, branches: list[str]) -> dict[str, Any]:
        policy = self._pick(*self._may.policies)
        merge: dict[str, Any] = {"policy": policy}
        if policy == "quorum":
            merge["quorum"] = self._draw(st.integers(1, len(branches)))
        if policy == "best_effort" or self._draw(st.booleans()):
            merge["timeout"] = "1h"
        match self._pick(*self._may.merges):
            case "fail":
                merge["on_collision"] = "fail"
            case "nested":
                merge["merge"] = "nested"
            case "select":
                merge |= {"merge": "select", "select": self._pick(*branches)}
        return merge


def sinks_of(nodes: list[dict[str, Any]], first: str) -> dict[str, Any]:
    """The sinks that these nodes name; `other` refuses rows for good, `bad` hands them to `dead`."""
    named = [sink for sink in SINKS if sink == first or f"'{sink}'" in str(nodes)]
    found: dict[str, Any] = {sink: {"plugin": ListSink()} for sink in named}
    if "other" in found:
        found["other"] = {"plugin": ChanceSink("other")}
    if "bad" in found:
        found["bad"] = {"plugin": ChanceSink("bad"), "on_error": "dead"}
        found["dead"] = {"plugin": ChanceSink("dead", refuse=0.1)}
    return found or {"out": {"plugin": ListSink()}}


@st.composite
def _parts(draw: st.DrawFn, may: Ingredients) -> tuple[list[dict[str, Any]], str]:
    builder = _Builder(draw, may)
    first = "out"
    for depth in draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)):
        if len(builder.nodes) < MOST_NODES:
            first = builder.piece(depth, first, kept=False)
    return builder.nodes, first


def _built(nodes: list[dict[str, Any]], first: str) -> PipelineConfig:
    sources = [{"id": number, "n": 0} for number in range(10)]
    return pipeline(
        "random",
        source={"plugin": ListSource(sources), "to": first},
        nodes=nodes,
        sinks=sinks_of(nodes, first),
    )


def pipelines(may: Ingredients = EVERYTHING) -> st.SearchStrategy[PipelineConfig]:
    """Pipelines that can run, of up to some 12 nodes; rows should have fields `id` and `n`, a number.

    What becomes of a row depends on its content alone (see `frame.testing.chance`).
    """
    return _parts(may).map(lambda parts: _built(*parts))


@st.composite
def wild_pipelines(draw: st.DrawFn) -> PipelineConfig:
    """Pipelines some of whose ways lead just anywhere, so that many cannot run."""
    nodes, first = draw(_parts(EVERYTHING))
    chance = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(1, 3))):
        _bend(nodes, chance)
    return _built(_reached(nodes, first), first)


def _reached(nodes: list[dict[str, Any]], first: str) -> list[dict[str, Any]]:
    """The nodes that a row can come to."""
    ways = {node["name"]: str({**node, "name": None, "plugin": None, "options": None}) for node in nodes}
    found, ahead = {first}, [first]
    while ahead:
        ways_out = ways.get(ahead.pop(), "")
        more = {name for name in ways if f"'{name}'" in ways_out} - found
        found |= more
        ahead += more
    return [node for node in nodes if node["name"] in found]


def _bend(nodes: list[dict[str, Any]], chance: random.Random) -> None:
    """Let one way of one node lead somewhere else."""
    node = chance.choice(nodes)
    target = chance.choice([*(other["name"] for other in nodes), "out", "bad"])
    routes = node.get("routes")
    if routes is None:
        node["to"] = target
        return
    label = chance.choice(sorted(routes))
    if not isinstance(routes[label], list):
        routes[label] = target
    elif target not in routes[label]:
        routes[label][chance.randrange(len(routes[label]))] = target
