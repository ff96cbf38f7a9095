"""The rows of tokens, made again from the record and the plugins, and held against the digests on record.

Intermediate rows are stored nowhere (DESIGN §8). So what a token carries is its source row taken through every visit
again: where a node's output was kept it is taken from there, and where it was not the plugin is called once more,
with the token, the visit and the attempt that it was called with, and with the answers that it got then.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from frame.canonical import canonical_row, digest
from frame.engine.ancestry import Step, ancestry
from frame.engine.assembly import Assembly
from frame.engine.context import RunFacts
from frame.engine.executors.coalesce import unite
from frame.engine.inflight import InFlight
from frame.engine.kept_bytes import SOURCE_ROWS, Kept, Place, invalid_row, picked
from frame.engine.recorder import History
from frame.engine.remaking import Made, Otherwise, call_again, made_row, made_rows
from frame.errors import FrameError, ReplayDiffers
from frame.events import (
    BatchFlushed,
    Carried,
    Chunk,
    Event,
    Expanded,
    Merged,
    PayloadKind,
    Routed,
    RowInvalid,
    RowsRead,
    SinkIntended,
    Tokens,
    Visited,
)
from frame.graph.model import CoalesceNode, Graph, TransformNode
from frame.plugin.protocols import RECOMPUTABLE
from frame.rows import Row, freeze
from frame.scheduler.state import RunState


def tokens_under_way(state: RunState) -> Iterator[int]:
    """The open tokens that wait at a node, at a sink or for the other branches of their fork."""
    for groups in state.waiting.values():
        for group in groups.values():
            yield from group
    for arrivals in state.at_sinks.values():
        for arrival in arrivals:
            yield from arrival.tokens
    for fork in state.forks.values():
        if not fork.closed:
            yield from fork.arrived.values()


class Reenactment:
    """Makes rows again and puts them into `inflight`. `facts`: of the run that made them, if it is not this one."""

    def __init__(
        self, graph: Graph, assembly: Assembly, inflight: InFlight, facts: RunFacts | None = None
    ) -> None:
        self._graph, self._assembly, self._inflight, self._facts = graph, assembly, inflight, facts
        self._names: Mapping[int, str] = {}

    def make(self, history: History, chunks: int, wanted: Iterable[int]) -> None:
        """The rows of tokens `wanted` as they are after the first `chunks` chunks, and the errors they carry.

        The plugins of the assembly have been started. Raises ReplayDiffers if one makes something else now than it
        did then, Refused if something is needed that is no longer on record.
        """
        found = ancestry(self._graph, history, chunks, wanted)
        self._names = found.names
        by_chunk: dict[int, list[Step]] = defaultdict(list)
        for step in found.steps:
            by_chunk[step.chunk].append(step)
        for number, steps in by_chunk.items():
            for chunk in history.chunks(number, number):
                self._do(chunk, steps)
        self._inflight.errors.update(found.errors)

    def _do(self, chunk: Chunk, steps: Sequence[Step]) -> None:
        kept = Kept(chunk)
        for step in steps:
            event = chunk.events[step.index]
            self._DO[type(event)](self, event, step.tokens, kept)

    # --- Kept -----------------------------------------------------------------------------------

    def _rows_read(self, event: RowsRead | Carried, tokens: Sequence[int], kept: Kept) -> None:
        self._take_kept(kept, SOURCE_ROWS, event.tokens, event.digests, tokens)

    def _row_invalid(self, event: RowInvalid, tokens: Sequence[int], kept: Kept) -> None:
        item = kept.item(SOURCE_ROWS, event.token, self._name(0))
        if digest(item) != event.digest:
            raise kept.damaged(event.token)
        row = invalid_row(event, item, kept.shape(SOURCE_ROWS, event.token))
        self._inflight.put((event.token,), (row,), (canonical_row(row),))

    def _batch_flushed(self, event: BatchFlushed, tokens: Sequence[int], kept: Kept) -> None:
        place = PayloadKind.OUTPUTS, event.node, 0
        members = event.outputs or kept.keys(place, tokens[0])
        self._take_kept(kept, place, members, event.digests, tokens)

    def _sink_intended(self, event: SinkIntended, tokens: Sequence[int], kept: Kept) -> None:
        place = PayloadKind.OUTBOX, event.node, event.intent
        for token in tokens:
            item = kept.item(place, token, self._name(event.node))
            self._inflight.put((token,), kept.rows(place, (token,), (item,)), (item,))

    def _take_kept(
        self, kept: Kept, place: Place, of: Tokens, recorded: bytes, tokens: Sequence[int]
    ) -> None:
        name = self._name(place[1])
        forms = [kept.item(place, token, name) for token in tokens]
        for token, form, wanted in zip(tokens, forms, picked(recorded, of, tokens), strict=True):
            if digest(form) != wanted:
                raise kept.damaged(token)
        self._inflight.put(tokens, kept.rows(place, tokens, forms), forms)

    # --- Made again -----------------------------------------------------------------------------

    def _visited(self, event: Visited, tokens: Sequence[int], kept: Kept) -> None:
        recorded = event.digests
        assert recorded is not None
        if not self._is_made_again(event.node):
            place = PayloadKind.OUTPUTS, event.node, event.visit
            self._take_kept(kept, place, event.tokens, recorded, tokens)
            return
        values = self._call(event, tokens, kept)
        made = [self._row(event.node, token, value) for token, value in zip(tokens, values, strict=True)]
        self._put(event.node, tokens, made, picked(recorded, event.tokens, tokens))

    def _expanded(self, event: Expanded, tokens: Sequence[int], kept: Kept) -> None:
        if not self._is_made_again(event.node):
            place = PayloadKind.OUTPUTS, event.node, event.visit
            self._take_kept(kept, place, event.children, event.digests, tokens)
            return
        (value,) = self._call(event, (event.parent,), kept)
        redactor = self._redactor(event.node)
        try:
            made = made_rows(value, redactor)
        except Otherwise as other:
            raise ReplayDiffers(self._name(event.node), event.parent, "Expand", str(other)) from other
        if len(made) != len(event.children):
            recorded, now = f"{len(event.children)} rows", f"{len(made)} rows"
            raise ReplayDiffers(self._name(event.node), event.parent, recorded, now)
        some = [made[child - event.children.start] for child in tokens]
        self._put(event.node, tokens, some, picked(event.digests, event.children, tokens))

    def _routed(self, event: Routed, tokens: Sequence[int], kept: Kept) -> None:
        width = len(event.children) // len(event.tokens)
        parents = [event.tokens[(child - event.children.start) // width] for child in tokens]
        self._inflight.put(tokens, self._inflight.rows_of(parents), self._inflight.forms_of(parents))

    def _merged(self, event: Merged, tokens: Sequence[int], kept: Kept) -> None:
        node = self._graph.nodes[event.node]
        assert isinstance(node, CoalesceNode)
        wanted, parents = set(tokens), iter(event.parents)
        made: list[Made] = []
        for child, width in zip(event.children, event.widths, strict=True):
            merged = [next(parents) for _ in range(width)]
            if child in wanted:
                branches = {self._names[parent]: self._inflight.rows[parent] for parent in merged}
                made.append(self._united(node, branches, child))
        self._put(event.node, tokens, made, picked(event.digests, event.children, tokens))

    def _united(self, node: CoalesceNode, branches: Mapping[str, Row], child: int) -> Made:
        try:
            row = freeze(unite(node, branches))
            return row, canonical_row(row)
        except FrameError as error:
            raise ReplayDiffers(node.name, child, "a row", str(error)) from error

    def _call(self, event: Visited | Expanded, tokens: Sequence[int], kept: Kept) -> list[Any]:
        plugin, executor = self._assembly.node(event.node), self._assembly.executors[event.node]
        assert plugin is not None
        rows = self._inflight.rows_of(tokens)
        attempt = event.visit, event.attempt
        return call_again(plugin, executor.around, attempt, tokens, rows, kept.answers, facts=self._facts)

    def _row(self, node: int, token: int, value: Any) -> Made:
        try:
            return made_row(value, self._redactor(node))
        except Otherwise as other:
            raise ReplayDiffers(self._name(node), token, "a row", str(other)) from other

    def _put(self, node: int, tokens: Sequence[int], made: Sequence[Made], recorded: Iterable[bytes]) -> None:
        for token, (_, form), wanted in zip(tokens, made, recorded, strict=True):
            if digest(form) != wanted:
                raise ReplayDiffers(self._name(node), token, wanted.hex(), digest(form).hex())
        self._inflight.put(tokens, [row for row, _ in made], [form for _, form in made])

    # --- The graph ------------------------------------------------------------------------------

    def _is_made_again(self, number: int) -> bool:
        node = self._graph.nodes[number]
        assert isinstance(node, TransformNode)
        return node.plugin.determinism in RECOMPUTABLE

    def _name(self, number: int) -> str:
        return self._graph.nodes[number].name

    def _redactor(self, number: int) -> Any:
        return self._assembly.executors[number].around.facts.redactor

    _DO: Mapping[type[Event], Callable[["Reenactment", Any, Sequence[int], Kept], None]] = {
        RowsRead: _rows_read,
        Carried: _rows_read,
        RowInvalid: _row_invalid,
        BatchFlushed: _batch_flushed,
        SinkIntended: _sink_intended,
        Visited: _visited,
        Expanded: _expanded,
        Routed: _routed,
        Merged: _merged,
    }
