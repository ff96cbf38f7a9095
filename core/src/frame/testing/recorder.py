"""A record that is kept in memory."""

from collections.abc import Mapping

from frame.canonical import restore
from frame.events import Chunk, Event, PayloadKind, Payloads, RunStatus, SinkConfirmed
from frame.graph.model import Graph
from frame.rows import Row, freeze


class MemoryRecorder:
    """Keeps the chunks of one run, in `chunks`; an engine `Recorder`.

    `status` and `counters` are what the run ended with, None before.
    """

    def __init__(self) -> None:
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


def _rows(block: Payloads) -> list[tuple[object, Row]]:
    return [(key, freeze(restore(item))) for key, item in zip(block.keys, block.items, strict=True)]
