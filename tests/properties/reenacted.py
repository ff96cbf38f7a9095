"""Runs whose open tokens are known at every commit, to hold against what is made again of them."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from frame.config.models import PipelineConfig
from frame.engine.assembly import Assembly
from frame.engine.context import RunFacts
from frame.engine.executors.sink import BY_ERROR
from frame.engine.inflight import InFlight
from frame.engine.nodes import Surroundings
from frame.engine.reenactment import Reenactment, tokens_under_way
from frame.engine.runner import Runner
from frame.events import Chunk, ErrorInfo, Noted
from frame.graph.model import Graph
from frame.operations.compile import Compiled, compile_pipeline
from frame.plugin import Context, Determinism, TransformResult
from frame.plugin.registry import Registry
from frame.rows import Row
from frame.scheduler.evolve import restore
from frame.scheduler.state import RunState
from frame.testing import ListSource, ManualClock, MemoryRecorder
from frame.testing.chance import ChanceExpansion, ChanceTransform
from frame.testing.recorder import MemoryHistory

Errors = dict[int, tuple[int, ErrorInfo]]
Carried = tuple[bytes, str]
"""A row's canonical form, and how it shows with its fields in their order."""


class OutsideTransform(ChanceTransform):
    """Calls the outside world, so that its outputs are kept and its visits are announced."""

    name = "outside"
    determinism = Determinism.EXTERNAL_CALL

    def process(self, row: Row, context: Context) -> TransformResult:
        context.call("test", {"n": row.get("n")}, lambda request: request)
        return self.outcome(row, context.attempt)


class OutsideExpansion(ChanceExpansion):
    name = "outside_expansion"
    determinism = Determinism.NON_DETERMINISTIC


class SeededTransform(ChanceTransform):
    """Draws by chance and asks the clock, both through its context."""

    name = "seeded"
    determinism = Determinism.SEEDED

    def success(self, row: Row) -> TransformResult:
        return {**row, "n": row.get("n", 0) + 1}

    def process(self, row: Row, context: Context) -> TransformResult:
        moment = context.now()
        made = self.outcome(row, context.attempt)
        if isinstance(made, Mapping) and made is not row:
            return {**made, "drawn": context.random.random(), "at": moment, "attempt": context.attempt}
        return made


class ManyTransform(ChanceTransform):
    """All rows at once."""

    name = "many"

    def process_many(self, rows: Sequence[Row], context: Context) -> list[TransformResult]:
        return [self.outcome(row, context.attempt) for row in rows]


VARIANTS: dict[Any, tuple[type, ...]] = {
    ChanceTransform: (ChanceTransform, OutsideTransform, SeededTransform, ManyTransform),
    ChanceExpansion: (ChanceExpansion, OutsideExpansion),
}


def varied(pipeline: PipelineConfig, choices: Sequence[int], chunk_rows: int) -> PipelineConfig:
    """The same pipeline with other kinds of plugins at its nodes."""
    nodes: list[Any] = []
    for index, node in enumerate(pipeline.nodes):
        variants = VARIANTS.get(getattr(node, "plugin", None), ())
        if variants:
            choice = choices[index % len(choices)] % len(variants)
            nodes.append(node.model_copy(update={"plugin": variants[choice]}))
        else:
            nodes.append(node)
    settings = pipeline.settings.model_copy(update={"chunk_rows": chunk_rows})
    return pipeline.model_copy(update={"nodes": tuple(nodes), "settings": settings})


class Remembering(InFlight):
    """Forgets what it has to, and remembers what every token carried last."""

    ever: dict[int, Carried]

    @classmethod
    def watch(cls, inflight: InFlight) -> "Remembering":
        """`inflight`, which others hold as well, made to remember."""
        inflight.__class__ = cls
        assert isinstance(inflight, cls)
        inflight.ever = {}
        return inflight

    def put(self, tokens: Any, rows: Any, forms: Any) -> None:
        rows, forms = list(rows), list(forms)
        super().put(tokens, rows, forms)
        self.ever.update(zip(tokens, zip(forms, map(repr, rows), strict=True), strict=True))


@dataclass
class Watched(MemoryRecorder):
    """What every token carried at each commit."""

    inflight: Remembering = field(init=False)

    def __post_init__(self) -> None:
        super().__init__()
        self.carried: list[dict[int, Carried]] = []
        self.errors: list[Errors] = []

    def commit(self, chunk: Chunk) -> None:
        super().commit(chunk)
        self.carried.append(dict(self.inflight.ever))
        self.errors.append(dict(self.inflight.errors))


@dataclass(frozen=True)
class Told:
    """A run that was watched."""

    compiled: Compiled
    recorder: Watched
    run_id: str

    @property
    def graph(self) -> Graph:
        return self.compiled.graph

    def state_after(self, chunks: int) -> RunState:
        return restore(self.graph, [e for chunk in self.recorder.chunks[:chunks] for e in chunk.events])


def watched_run(pipeline: PipelineConfig, rows: Sequence[Any], stop: threading.Event | None = None) -> Told:
    """Run `pipeline` over `rows`, remembering what its tokens carry."""
    clock = ManualClock(automatic=True)
    source = pipeline.source.model_copy(update={"plugin": ListSource(rows, clock), "options": {}})
    compiled = compile_pipeline(pipeline.model_copy(update={"source": source}), Registry.of([]))
    recorder = Watched()
    runner = Runner(
        compiled.graph, recorder, clock, stop=stop, redactor=compiled.redactor, write_beside=False
    )
    recorder.inflight = Remembering.watch(runner._inflight)
    runner.run()
    return Told(compiled, recorder, recorder.run_id)


def open_tokens(state: RunState) -> Iterator[int]:
    """The tokens whose rows a run that stands at `state` needs to go on, but for those of announced writes."""
    yield from tokens_under_way(state)
    for batch in state.batches.values():
        for _, members in batch.parts:
            yield from members


def made_again(told: Told, chunks: int) -> tuple[RunState, InFlight]:
    """What is open after so many chunks, with its rows made again by fresh plugins."""
    state, inflight = told.state_after(chunks), InFlight()
    facts = RunFacts(
        told.run_id, told.graph.settings.seed, ManualClock(automatic=True), told.compiled.redactor
    )
    around = Surroundings(facts, threading.Event(), lambda: None, _unheard)
    assembly = Assembly(told.graph, around, inflight, [])
    try:
        assembly.start()
        wanted = set(open_tokens(state))
        history = MemoryHistory(told.recorder.chunks[:chunks])
        Reenactment(told.graph, assembly, inflight).make(history, chunks, wanted)
        inflight.keep_only(wanted)
    finally:
        assembly.close()
        around.close()
    return state, inflight


def _unheard(note: Noted) -> None:
    """Nobody listens."""


def by_error(state: RunState) -> list[int]:
    """Open tokens that have come to a sink by an error way."""
    return [
        token
        for arrivals in state.at_sinks.values()
        for arrival in arrivals
        if arrival.path in BY_ERROR
        for token in arrival.tokens
    ]


def carried(told: Told, chunks: int) -> dict[int, Carried]:
    """What the open tokens carried after so many chunks, as the engine had it."""
    had = told.recorder.carried[chunks - 1]
    return {token: had[token] for token in open_tokens(told.state_after(chunks))}


def shown(inflight: InFlight) -> dict[int, Carried]:
    """What tokens carry now."""
    return {token: (inflight.forms[token], repr(row)) for token, row in inflight.rows.items()}
