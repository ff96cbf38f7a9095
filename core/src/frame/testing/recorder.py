"""A record that is kept in memory."""

from collections.abc import Iterator, Mapping, Sequence

from frame.canonical import restore
from frame.events import Chunk, Event, PayloadKind, Payloads, RunStatus, SinkConfirmed
from frame.graph.model import Graph
from frame.ids import uuid7
from frame.rows import Row
from frame.shapes import shaped


class MemoryRecorder:
    """Keeps the chunks of one run, in `chunks`; an engine `Recorder`.

    `status` and `counters` are what the run ended with, None before.
    """

    def __init__(self, run_id: str = "") -> None:
        self.run_id = run_id or uuid7(0)
        self.lease_s = 60.0
        self.chunks: list[Chunk] = []
        self.status: RunStatus | None = None
        self.counters: Mapping[str, int] | None = None

    def commit(self, chunk: Chunk) -> None:
        """Keep `chunk`."""
        self.chunks.append(chunk)

    def renew_lease(self, now_us: int) -> None:
        """Nobody else wants this run."""

    def finish(self, status: RunStatus, counters: Mapping[str, int], at_us: int) -> None:
        """Keep how the run ended."""
        self.status, self.counters = status, counters

    def history(self) -> "MemoryHistory":
        """The chunks so far, to go on from."""
        return MemoryHistory(tuple(self.chunks))

    @property
    def events(self) -> list[Event]:
        """All events, in order."""
        return [event for chunk in self.chunks for event in chunk.events]

    def written(self, graph: Graph) -> dict[str, list[Row]]:
        """The rows that each sink has confirmed, by its name, in the order in which it was given them."""
        written: dict[str, list[Row]] = {sink.name: [] for sink in graph.sinks}
        outbox = {
            (block.node, block.intent): block
            for chunk in self.chunks
            for block in chunk.payloads
            if block.kind is PayloadKind.OUTBOX
        }
        for event in self.events:
            if isinstance(event, SinkConfirmed):
                refused = {token for token, _, _ in event.rejected}
                rows = _rows(outbox[event.node, event.intent])
                written[graph.nodes[event.node].name] += [r for token, r in rows if token not in refused]
        return written


class MemoryHistory:
    """Chunks in memory; an engine `History`."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._chunks = chunks

    def chunks(
        self, first: int = 0, last: int | None = None, *, payloads: bool = True, digests: bool = True
    ) -> Iterator[Chunk]:
        """The chunks from `first` to `last`, always with their payloads and digests."""
        return iter(self._chunks[first : None if last is None else last + 1])

    def kept(self, chunk: int, kind: PayloadKind, node: int) -> Iterator[Payloads]:
        """What was kept of one kind, at one node, with chunk number `chunk`."""
        return (block for block in self._chunks[chunk].payloads if (block.kind, block.node) == (kind, node))


def _rows(block: Payloads) -> list[tuple[object, Row]]:
    rows = shaped([restore(item) for item in block.items], block.shapes)
    return list(zip(block.keys, rows, strict=True))
