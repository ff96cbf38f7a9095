"""Dead letters that are retried with plugins that no longer fail end where a run that never failed puts them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from frame.canonical import canonical
from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.engine.carrying import Carrying, Letter
from frame.engine.resumption import Resumption
from frame.engine.runner import Runner
from frame.engine.standing import standing
from frame.errors import AuditError
from frame.events import BatchFailed, Buffered, Carried, Chunk, Failed
from frame.operations.compile import compile_pipeline
from frame.plugin import (
    Context,
    Determinism,
    Expand,
    Gate,
    GateResult,
    PluginConfig,
    Transform,
    TransformResult,
)
from frame.plugin.registry import Registry
from frame.rows import Row
from frame.testing import ListSink, ListSource, ManualClock, MemoryRecorder
from frame.testing.chance import roll
from hypothesis import given
from hypothesis import strategies as st

ROWS = [{"id": number, "n": 1} for number in range(30)]
SINKS = ("out", "other")


class Fault:
    """How many rows in a hundred every plugin of this page fails for."""

    share = 0


def broken(salt: str, row: Mapping[str, Any]) -> bool:
    return chance(f"{salt}/fails", row) * 100 < Fault.share


def chance(salt: str, row: Mapping[str, Any]) -> float:
    """What was drawn has no say: it is another thing in every run."""
    return roll(salt, {name: value for name, value in row.items() if name != "drawn"})


class Step(PluginConfig):
    salt: str


class Brittle(Transform):
    name = "brittle"
    determinism = Determinism.DETERMINISTIC
    Config = Step

    def process(self, row: Row, context: Context) -> TransformResult:
        if broken(self.config.salt, row):
            raise ValueError("not yet mended")
        return self.made(row, context)

    def made(self, row: Row, context: Context) -> TransformResult:
        return {**row, "n": row["n"] * 3 + 1}


class Drawing(Brittle):
    """Draws by chance, and says in which run: both as in the run that the row was made in."""

    name = "drawing"
    determinism = Determinism.SEEDED

    def made(self, row: Row, context: Context) -> TransformResult:
        return {**row, "n": row["n"] + 1, "drawn": f"{context.run_id}/{context.random.random()}"}


class Kept(Brittle):
    """Its outputs cannot be made again, so they are kept."""

    name = "kept"
    determinism = Determinism.NON_DETERMINISTIC


class Splitting(Brittle):
    name = "splitting"
    expands = True

    def made(self, row: Row, context: Context) -> TransformResult:
        return Expand([{**row, "n": row["n"] + part} for part in range(1 + row["n"] % 2)])


class Parting(Gate):
    name = "parting"
    determinism = Determinism.DETERMINISTIC
    Config = Step

    def evaluate(self, row: Row, context: Context) -> GateResult:
        if broken(self.config.salt, row):
            raise ValueError("not yet mended")
        return "on" if chance(self.config.salt, row) < 0.6 else "off"


KINDS: tuple[type, ...] = (Brittle, Drawing, Kept, Splitting, Parting)
WAYS_OFF: tuple[Any, ...] = ("other", "discard", ["out", "other"])


@st.composite
def brittle_pipelines(draw: st.DrawFn) -> PipelineConfig:
    off = {"on": "continue", "off": "other"}
    nodes: list[dict[str, Any]] = [
        {"name": "first", "plugin": Parting, "options": {"salt": "first"}, "routes": off}
    ]
    for number, kind in enumerate(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))):
        node: dict[str, Any] = {"name": f"n{number}", "plugin": kind, "options": {"salt": f"s{number}"}}
        if kind is Parting:
            node["routes"] = {"on": "continue", "off": draw(st.sampled_from(WAYS_OFF))}
        nodes.append(node)
    nodes[-1]["to" if "routes" not in nodes[-1] else "routes"] = (
        "out" if "routes" not in nodes[-1] else {**nodes[-1]["routes"], "on": "out"}
    )
    return pipeline(
        "brittle",
        source={"plugin": ListSource(ROWS)},
        nodes=nodes,
        sinks={name: {"plugin": ListSink()} for name in SINKS},
        settings={"chunk_rows": draw(st.integers(1, 12))},
    )


class CutOff(AuditError):
    """The process ended here."""

    def __init__(self) -> None:
        super().__init__("memory", "cut off")


class Cutting(MemoryRecorder):
    """A record whose process ends before commit number `at`."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def commit(self, chunk: Chunk) -> None:
        if chunk.number == self.at:
            self.at = -1
            raise CutOff
        super().commit(chunk)


def letters_of(recorder: MemoryRecorder) -> list[Letter]:
    """The dead letters of a run, in the order in which they failed."""
    found: list[Letter] = []
    members: dict[int, list[int]] = {}
    for chunk in recorder.chunks:
        for event in chunk.events:
            match event:
                case Failed(clause=None, limit=False):
                    found.append(Letter(event.token, event.node, chunk.number))
                case Buffered():
                    members.setdefault(event.batch, []).extend(event.tokens)
                case BatchFailed(clause=None):
                    found += [Letter(token, event.node, chunk.number) for token in members[event.batch]]
    return found


def run(
    config: PipelineConfig, share: int, recorder: MemoryRecorder, of: MemoryRecorder | None = None
) -> None:
    """Run it, or carry on the dead letters of run `of`, until it is through."""
    Fault.share = share
    while True:
        compiled = compile_pipeline(config, Registry.of([]))
        graph, history = compiled.graph, recorder.history()
        resumption = None
        if of is not None or recorder.chunks:
            carrying = None
            if of is not None:
                positions = {sink.number: 0 for sink in graph.sinks}
                carrying = Carrying(of.run_id, 0, of.history(), letters_of(of), positions)
            resumption = Resumption(graph, standing(graph, history.chunks()), history, carrying)
        clock = ManualClock(automatic=True)
        try:
            result = Runner(
                graph, recorder, clock, redactor=compiled.redactor, write_beside=False, resumption=resumption
            ).run()
        except CutOff:
            continue
        assert result.cause is None, result.cause
        return


def written(config: PipelineConfig) -> dict[str, Counter[bytes]]:
    return {
        name: Counter(canonical({**row, "drawn": None}) for row in sink.plugin.rows)
        for name, sink in config.sinks.items()
    }


def carried(recorder: MemoryRecorder) -> list[tuple[int, int]]:
    events: Iterable[Any] = recorder.events
    return [(event.node, token) for event in events if isinstance(event, Carried) for token in event.origins]


@given(brittle_pipelines(), st.integers(5, 60), st.lists(st.integers(0, 12), min_size=2, max_size=2))
def test_retried_dead_letters_end_where_a_run_that_never_failed_puts_them(
    config: PipelineConfig, share: int, cuts: Sequence[int]
):
    whole = deepcopy(config)
    run(whole, 0, MemoryRecorder())

    origin, first, second = MemoryRecorder("origin"), Cutting(cuts[0]), Cutting(cuts[1])
    run(config, share, origin)
    run(config, share // 2, first, of=origin)
    run(config, 0, second, of=first)

    assert written(config) == written(whole)
    assert carried(first) == [(letter.node, letter.token) for letter in letters_of(origin)]
    assert carried(second) == [(letter.node, letter.token) for letter in letters_of(first)]
    assert letters_of(second) == []
