"""OpenTelemetry metrics of runs, from recorded events. No attribute has a value a run or a row: those are in spans."""

from typing import TYPE_CHECKING

from frame.events import (
    AttemptFailed,
    BatchAttemptFailed,
    BatchFlushed,
    Chunk,
    Dropped,
    Event,
    Expanded,
    Noted,
    Routed,
    RunStatus,
    Visited,
)
from frame.telemetry.counts import SOURCE, NodeCounts
from frame.telemetry.listeners import RunInfo
from frame.telemetry.progress import ProgressState

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

BREAKER_STATES = {"closed": 0, "half_open": 1, "open": 2}
Labels = dict[str, str]


class MetricsListener:
    """Feeds the instruments that it makes with `meter`.

    `frame.visit.duration` has one value an event: the mean of the tokens that it speaks of.
    """

    def __init__(self, meter: "Meter") -> None:
        self._rows = meter.create_counter("frame.rows", "{row}", "Rows read from the source")
        self._visits = meter.create_counter("frame.visits", "{visit}", "Tokens that entered a node")
        self._failures = meter.create_counter("frame.failures", "{visit}", "Tokens that failed at a node")
        self._retries = meter.create_counter("frame.retries", "{attempt}", "Attempts after the first")
        self._breaker = meter.create_gauge(
            "frame.breaker.state", "1", "0 closed, 1 half-open, 2 open, by the node that moved it last"
        )
        self._queue = meter.create_gauge("frame.queue.depth", "{token}", "Tokens that wait at a node")
        self._chunk = meter.create_histogram(
            "frame.chunk.duration", "s", "From opening a chunk to its commit"
        )
        self._visit = meter.create_histogram("frame.visit.duration", "s", "Time a token spent in a plugin")
        self._batch = meter.create_histogram("frame.batch.size", "{token}", "Members of flushed batches")
        self._runs = meter.create_counter("frame.runs", "{run}", "Runs that ended, by status")
        self._state: ProgressState | None = None
        self._labels: dict[int, Labels] = {}

    def run_started(self, info: RunInfo) -> None:
        """Learn the names of the nodes."""
        self._state = ProgressState.begin(info)
        for node in info.nodes:
            plugin = {"plugin.name": node.plugin, "plugin.version": node.version} if node.plugin else {}
            self._labels[node.number] = {"pipeline.name": info.pipeline, "node.name": node.name, **plugin}

    def committed(self, chunk: Chunk, took_us: int) -> None:
        """Count what `chunk` came to."""
        if self._state is None:
            return
        before, self._state = self._state, self._state.after(chunk, chunk.opened_us + took_us)
        self._chunk.record(took_us / 1_000_000, {"pipeline.name": self._state.info.pipeline})
        for node, counts in self._state.counts.items():
            self._count(node, counts - before.at(node), counts.held)
        for event in chunk.events:
            self._measure(event)

    def run_finished(self, status: RunStatus, at_us: int) -> None:
        """Count the run."""
        if self._state is not None:
            labels = {"pipeline.name": self._state.info.pipeline, "run.status": str(status)}
            self._runs.add(1, labels)

    def _count(self, node: int, more: NodeCounts, held: int) -> None:
        labels = self._labels[node]
        if node == SOURCE and more.entered:
            self._rows.add(more.entered, labels)
        if node != SOURCE and more.entered:
            self._visits.add(more.entered, labels)
        if more.failed:
            self._failures.add(more.failed, labels)
        if more.retries:
            self._retries.add(more.retries, labels)
        if more.held:
            self._queue.set(held, labels)

    def _measure(self, event: Event) -> None:
        match event:
            case Visited(tokens=tokens) | Dropped(tokens=tokens) | Routed(tokens=tokens):
                seconds = event.duration_us / 1_000_000 / max(1, len(tokens))
                self._visit.record(seconds, self._labels[event.node])
            case AttemptFailed() | BatchAttemptFailed() | Expanded():
                self._visit.record(event.duration_us / 1_000_000, self._labels[event.node])
            case BatchFlushed(node=node, members=members):
                self._visit.record(event.duration_us / 1_000_000, self._labels[node])
                self._batch.record(members, self._labels[node])
            case Noted(kind="breaker", node=int(node), detail={"after": state}):
                self._breaker.set(BREAKER_STATES[state], self._labels[node])
            case _:
                pass
