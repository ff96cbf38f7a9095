"""The balance of a run, drawn up token by token from its events, without the scheduler."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from frame.events import (
    OUTCOME_OF,
    Abandoned,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Dropped,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Outcome,
    Path,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
)
from frame.graph.model import BatchMode, Discard, Fork, Graph


class Ledger:
    """Which tokens came into being from which, how each ended, and in which sink. Complains of any that does twice."""

    def __init__(self, graph: Graph, events: Iterable[Event]) -> None:
        self.graph = graph
        self.rows = 0
        self.parents: dict[int, tuple[int, ...]] = {}
        self.row_of: dict[int, int] = {}
        self.ended: dict[int, Path] = {}
        self.at_sink: dict[str, list[int]] = {sink.name: [] for sink in graph.sinks}
        self.made: Counter[int] = Counter()
        self._members: dict[int, list[int]] = {}
        self._batch_of: dict[int, int] = {}
        self._writes: dict[int, SinkIntended] = {}
        for event in events:
            self._take(event)

    def _take(self, event: Any) -> None:  # noqa: C901, PLR0912, PLR0915 - one case an event
        nodes: Any = self.graph.nodes
        match event:
            case RowsRead():
                for offset, token in enumerate(event.tokens):
                    self.born(token, (), event.first_row + offset)
            case RowInvalid():
                self.born(event.token, (), event.row)
                if event.sink is None:
                    self.end(event.token, Path.INVALID_AT_SOURCE)
            case Failed(limit=True):
                self.end(event.token, Path.VISIT_LIMIT)
            case Failed():
                self._failed(event.node, event.clause, [event.token])
            case Dropped():
                for token in event.tokens:
                    self.end(token, Path.DROPPED)
            case Expanded():
                self.end(event.parent, Path.EXPANDED)
                for child in event.children:
                    self.born(child, (event.parent,))
            case Routed():
                self._routed(event, nodes[event.node].routes[event.label])
            case Buffered():
                members = self._members.setdefault(event.batch, [])
                for token in event.tokens:
                    assert token not in self._batch_of, f"token {token} is in two batches"
                    self._batch_of[token] = event.batch
                    members.append(token)
            case BatchFlushed():
                self._flushed(event, nodes[event.node].mode)
            case BatchFailed():
                members = self._members.pop(event.batch)
                assert len(members) == event.members
                for token in members:
                    del self._batch_of[token]
                self._failed(event.node, event.clause, members)
            case Merged():
                parents = iter(event.parents)
                for group, width, child in zip(event.groups, event.widths, event.children, strict=True):
                    merged = tuple(next(parents) for _ in range(width))
                    assert all(self.fork_of(token) == group for token in merged)
                    for token in merged:
                        self.end(token, Path.MERGED)
                    self.born(child, merged)
            case MergeFailed():
                for token in event.tokens:
                    self.end(token, Path.MERGE_INCOMPLETE)
            case MergeLate():
                self.end(event.token, Path.LATE_AT_MERGE)
            case SinkIntended():
                self._writes[event.intent] = event
            case SinkConfirmed():
                self._confirmed(event)
            case Abandoned():
                for token in event.tokens:
                    self.end(token, Path.ABANDONED)

    def born(self, token: int, parents: tuple[int, ...], row: int | None = None) -> None:
        assert token == len(self.parents), f"token {token} comes out of turn"
        self.parents[token] = parents
        for parent in parents:
            self.made[parent] += 1
        if row is not None:
            assert row == self.rows, f"row {row} comes out of turn"
            self.rows += 1
            self.row_of[token] = row

    def end(self, token: int, path: Path) -> None:
        assert token in self.parents, f"token {token} ends and never was"
        assert token not in self.ended, f"token {token} ended {self.ended[token]} and {path}"
        self.ended[token] = path

    def _failed(self, node: int, clause: int | None, tokens: list[int]) -> None:
        way: Any = None if clause is None else self.graph.nodes[node].on_error[clause].to  # type: ignore[union-attr]
        path = Path.UNHANDLED if way is None else Path.ERROR_DISCARDED if isinstance(way, Discard) else None
        for token in tokens:
            if path is not None:
                self.end(token, path)

    def _routed(self, event: Routed, destination: object) -> None:
        if event.limit or event.mode is RouteMode.DISCARD:
            for token in event.tokens:
                self.end(token, Path.VISIT_LIMIT if event.limit else Path.GATE_DISCARDED)
        if isinstance(destination, Fork):
            width = len(destination.branches)
            assert len(event.children) == width * len(event.tokens)
            for index, token in enumerate(event.tokens):
                self.end(token, Path.FORKED)
                for child in event.children[index * width : (index + 1) * width]:
                    self.born(child, (token,))

    def _flushed(self, event: BatchFlushed, mode: BatchMode) -> None:
        members = self._members.pop(event.batch)
        assert len(members) == event.members
        for token in members:
            del self._batch_of[token]
            if mode is BatchMode.TRANSFORM:
                self.end(token, Path.BATCHED)
        for output in event.outputs:
            self.born(output, tuple(members))

    def _confirmed(self, event: SinkConfirmed) -> None:
        intent = self._writes.pop(event.intent)
        refused = {token: fallback for token, _, fallback in event.rejected}
        paths = [path for path, count in intent.paths for _ in range(count)]
        for token, path in zip(intent.tokens, paths, strict=True):
            if token not in refused:
                self.at_sink[self.graph.nodes[event.node].name].append(token)
                self.end(token, path)
            elif refused[token] is None:
                self.end(token, Path.SINK_REJECTED)

    # --- Questions --------------------------------------------------------------------------------------------

    def fork_of(self, token: int) -> int | None:
        """The fork (its token) of which `token` is a branch; a merged token stands where the forked one stood."""
        parents = self.parents[token]
        if not parents or self.ended[parents[0]] not in (Path.FORKED, Path.MERGED):
            return None
        if self.ended[parents[0]] is Path.FORKED:
            return parents[0]
        merged = self.fork_of(parents[0])
        return None if merged is None else self.fork_of(merged)

    def open(self) -> list[int]:
        return [token for token in self.parents if token not in self.ended]

    def leaves(self) -> list[int]:
        """The tokens that nothing carries on."""
        return [token for token, path in self.ended.items() if OUTCOME_OF[path] is not Outcome.TRANSIENT]

    def rows_behind(self, token: int) -> set[int]:
        """The source rows that `token` comes from."""
        ahead, found, seen = [token], set(), set()
        while ahead:
            token = ahead.pop()
            if token in seen:
                continue
            seen.add(token)
            ahead += self.parents[token]
            if token in self.row_of:
                found.add(self.row_of[token])
        return found
