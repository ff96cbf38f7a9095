"""What has to be made again for some tokens to have their rows: the record read backwards, from its end.

A token's row is needed from the moment on that one wants it, back to where it is stored (source rows, outputs that
nobody could make again, outputs of a batch, what was handed to a sink) or to the tokens that it was made of. What is
found is a list of steps, which done in their order give every row; chunks in which nothing is to be done are not
read again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from frame.engine.recorder import History
from frame.errors import FrameBug
from frame.events import (
    BatchFailed,
    BatchFlushed,
    Buffered,
    Carried,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    Merged,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    Tokens,
    Visited,
)
from frame.graph.model import AggregationNode, BatchMode, Fork, GateNode, Graph, TransformNode
from frame.plugin.protocols import RECOMPUTABLE


@dataclass(slots=True)
class Step:
    """The event at `index` of `chunk` gives these `tokens` their rows.

    Of an event that makes tokens of others they are the new ones; of a SinkIntended those that the sink refused.
    """

    chunk: int
    index: int
    tokens: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Ancestry:
    """How the rows of some tokens came about.

    `steps`: in the order of the record. `names`: of tokens that were merged, the branch that each stood for.
    `errors`: the node and the error that tokens have been through last.
    """

    steps: list[Step] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    errors: dict[int, tuple[int, ErrorInfo]] = field(default_factory=dict)


def ancestry(graph: Graph, history: History, chunks: int, wanted: Iterable[int]) -> Ancestry:
    """How the rows of tokens `wanted` came about, by the first `chunks` chunks of the record."""
    search = _Search(graph, wanted)
    number = chunks
    while number and not search.is_done:
        number -= 1
        for chunk in history.chunks(number, number, payloads=False):
            for index in range(len(chunk.events) - 1, -1, -1):
                search.look_at(chunk.events[index], number, index)
    return search.found()


class _Search:
    """The state of the way back. `need`: tokens whose row, as it was at this point, is needed."""

    def __init__(self, graph: Graph, wanted: Iterable[int]) -> None:
        self._graph = graph
        self._wanted = frozenset(wanted)
        self._need = set(self._wanted)
        self._asked: dict[int, set[int]] = {}
        self._of_batch: dict[int, Step] = {}
        self._failed_batches: dict[int, tuple[int, ErrorInfo]] = {}
        self._refused: dict[tuple[int, int], list[int]] = {}
        self._found = Ancestry()

    @property
    def is_done(self) -> bool:
        return not (self._need or self._asked or self._refused)

    def found(self) -> Ancestry:
        if not self.is_done:
            lost = sorted({*self._need, *self._asked, *(t for ts in self._refused.values() for t in ts)})
            raise FrameBug(f"the record does not say where token {lost[0]} comes from")
        self._found.steps = [step for step in reversed(self._found.steps) if step.tokens]
        return self._found

    def look_at(self, event: Event, chunk: int, index: int) -> None:
        """The event before those that were looked at."""
        look = self._LOOKS.get(type(event))
        if look is not None:
            look(self, event, Step(chunk, index))

    # --- One function an event ------------------------------------------------------------------

    def _rows_read(self, event: RowsRead | Carried, step: Step) -> None:
        self._settle(event.tokens, step)

    def _row_invalid(self, event: RowInvalid, step: Step) -> None:
        self._blame((event.token,), (0, event.error))
        self._settle((event.token,), step)

    def _visited(self, event: Visited, step: Step) -> None:
        if event.digests is None:
            return
        needed = self._needed(event.tokens)
        self._add(step, needed)
        if not _is_recomputable(self._graph, event.node):
            self._need.difference_update(needed)

    def _failed(self, event: Failed, step: Step) -> None:
        self._blame((event.token,), (event.node, event.error))

    def _expanded(self, event: Expanded, step: Step) -> None:
        if self._settle(event.children, step) and _is_recomputable(self._graph, event.node):
            self._need.add(event.parent)

    def _routed(self, event: Routed, step: Step) -> None:
        if event.mode is not RouteMode.FORK or not event.tokens:
            return
        gate = self._graph.nodes[event.node]
        assert isinstance(gate, GateNode)
        fork = gate.routes[event.label]
        assert isinstance(fork, Fork)
        width = len(fork.branches)
        if self._asked:
            for child in self._asked.keys() & set(event.children):
                name = fork.branches[(child - event.children.start) % width].name
                self._found.names.update(dict.fromkeys(self._asked.pop(child), name))
        for child in self._settle(event.children, step):
            self._need.add(event.tokens[(child - event.children.start) // width])

    def _merged(self, event: Merged, step: Step) -> None:
        if self._asked:
            for child in self._asked.keys() & set(event.children):
                group = event.groups[child - event.children.start]
                self._asked.setdefault(group, set()).update(self._asked.pop(child))
        children = set(self._settle(event.children, step))
        if not children:
            return
        parents = iter(event.parents)
        for child, width in zip(event.children, event.widths, strict=True):
            merged = [next(parents) for _ in range(width)]
            if child in children:
                self._need.update(merged)
                for parent in merged:
                    self._asked.setdefault(parent, set()).add(parent)

    def _batch_flushed(self, event: BatchFlushed, step: Step) -> None:
        node = self._graph.nodes[event.node]
        assert isinstance(node, AggregationNode)
        if node.mode is BatchMode.PASSTHROUGH:
            # Its members went on, and who they were has been said before.
            self._of_batch[event.batch] = step
            self._found.steps.append(step)
        else:
            self._settle(event.outputs, step)

    def _batch_failed(self, event: BatchFailed, step: Step) -> None:
        if event.clause is not None:
            self._failed_batches[event.batch] = event.node, event.error

    def _buffered(self, event: Buffered, step: Step) -> None:
        flush = self._of_batch.get(event.batch)
        if flush is not None:
            # In the order of the record, so what came earlier stands before what was found already.
            flush.tokens[:0] = self._settled(event.tokens)
        if event.batch in self._failed_batches:
            self._blame(event.tokens, self._failed_batches[event.batch])

    def _sink_confirmed(self, event: SinkConfirmed, step: Step) -> None:
        for token, reason, fallback in event.rejected:
            if fallback is None:
                continue
            self._blame((token,), (event.node, ErrorInfo("SinkRejected", reason)))
            if token in self._need:
                self._need.remove(token)
                self._refused.setdefault((event.node, event.intent), []).append(token)

    def _sink_intended(self, event: SinkIntended, step: Step) -> None:
        self._add(step, self._refused.pop((event.node, event.intent), []))

    # --- Moves ----------------------------------------------------------------------------------

    def _needed(self, tokens: Tokens) -> list[int]:
        need = self._need
        return [token for token in tokens if token in need] if need else []

    def _add(self, step: Step, tokens: list[int]) -> None:
        if tokens:
            step.tokens = tokens
            self._found.steps.append(step)

    def _settle(self, tokens: Tokens, step: Step) -> list[int]:
        """Those of `tokens` that are needed get their row by `step`, whatever they were before."""
        settled = self._settled(tokens)
        self._add(step, settled)
        return settled

    def _settled(self, tokens: Tokens) -> list[int]:
        needed = self._needed(tokens)
        self._need.difference_update(needed)
        return needed

    def _blame(self, tokens: Tokens, error: tuple[int, ErrorInfo]) -> None:
        for token in tokens:
            if token in self._wanted:
                self._found.errors.setdefault(token, error)

    _LOOKS: Mapping[type, Callable[["_Search", Any, Step], None]] = {
        RowsRead: _rows_read,
        Carried: _rows_read,
        RowInvalid: _row_invalid,
        Visited: _visited,
        Failed: _failed,
        Expanded: _expanded,
        Routed: _routed,
        Merged: _merged,
        BatchFlushed: _batch_flushed,
        BatchFailed: _batch_failed,
        Buffered: _buffered,
        SinkConfirmed: _sink_confirmed,
        SinkIntended: _sink_intended,
    }


def _is_recomputable(graph: Graph, number: int) -> bool:
    node = graph.nodes[number]
    assert isinstance(node, TransformNode)
    return node.plugin.determinism in RECOMPUTABLE
