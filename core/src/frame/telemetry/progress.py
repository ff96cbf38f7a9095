"""How far a run is: a value that each commit turns into the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from frame.events import Chunk, RunStatus, SourceEnded
from frame.telemetry.counts import SOURCE, NodeCounts, counted
from frame.telemetry.listeners import RunInfo

RATE_WINDOW_US = 5_000_000
"""The rate is that of the last five seconds: long enough to stand still to the eye, short enough to show a stall."""
RATE_STEP_US = 100_000

NOTHING = NodeCounts()


@dataclass(frozen=True, slots=True)
class ProgressState:
    """What the commits of a run come to so far. Times are microseconds since 1970.

    `samples`: (time, rows) in the rate window and the one before it, a step or more apart.
    `in_flight`: sink and intent -> tokens that the sink has not confirmed.
    """

    info: RunInfo
    counts: Mapping[int, NodeCounts] = field(default_factory=lambda: MappingProxyType({}))
    chunks: int = 0
    source_ended: bool = False
    status: RunStatus = RunStatus.RUNNING
    samples: tuple[tuple[int, int], ...] = ()
    in_flight: Mapping[tuple[int, int], int] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def begin(cls, info: RunInfo) -> "ProgressState":
        """The state before the first commit, or of a run that goes on where it stopped."""
        return cls(
            info, MappingProxyType(dict(info.counts)), in_flight=MappingProxyType(dict(info.in_flight))
        )

    def after(self, chunk: Chunk, now_us: int) -> "ProgressState":
        """The state once `chunk` is on record, at `now_us`."""
        counts, in_flight = dict(self.counts), dict(self.in_flight)
        for event in chunk.events:
            for node, more in counted(event, in_flight):
                counts[node] = counts.get(node, NOTHING) + more
        return replace(
            self,
            counts=MappingProxyType(counts),
            chunks=self.chunks + 1,
            source_ended=self.source_ended or any(isinstance(event, SourceEnded) for event in chunk.events),
            samples=self._sampled(now_us, counts.get(SOURCE, NOTHING).entered),
            in_flight=MappingProxyType(in_flight),
        )

    def ended(self, status: RunStatus) -> "ProgressState":
        """The state of the run that has come to its end."""
        return replace(self, status=status)

    @property
    def rows(self) -> int:
        """Rows read from the source, those that did not fit included."""
        return self.at(SOURCE).entered

    @property
    def failed(self) -> int:
        """Tokens that failed at some node, whether or not the pipeline caught them."""
        return sum(counts.failed for counts in self.counts.values())

    def at(self, node: int) -> NodeCounts:
        """The counts of a node."""
        return self.counts.get(node, NOTHING)

    def elapsed_s(self, now_us: int) -> float:
        """Seconds since the run began."""
        return max(0, now_us - self.info.started_us) / 1_000_000

    def rows_per_s(self, now_us: int) -> float:
        """Rows read a second, of late."""
        samples = self.samples or ((self.info.started_us, 0),)
        before = [sample for sample in samples if sample[0] <= now_us - RATE_WINDOW_US]
        since_us, rows_then = before[-1] if before else samples[0]
        return (self.rows - rows_then) * 1_000_000 / max(1, now_us - since_us)

    def as_json(self, now_us: int) -> dict[str, object]:
        """The state as JSON values."""
        return {
            "rows": self.rows,
            "failed": self.failed,
            "rows_per_s": round(self.rows_per_s(now_us), 1),
            "elapsed_s": round(self.elapsed_s(now_us), 3),
            "chunks": self.chunks,
            "source_ended": self.source_ended,
            "nodes": {node.name: self._node_as_json(node.number) for node in self.info.nodes},
        }

    def _node_as_json(self, number: int) -> dict[str, int]:
        counts = self.at(number)
        return {"in": counts.entered, "out": counts.left, "failed": counts.failed, "held": counts.held}

    def _sampled(self, now_us: int, rows: int) -> tuple[tuple[int, int], ...]:
        samples = self.samples or ((self.info.started_us, 0),)
        if now_us - samples[-1][0] < RATE_STEP_US:
            return samples
        older = sum(at_us <= now_us - RATE_WINDOW_US for at_us, _ in samples)
        return (*samples[max(0, older - 1) :], (now_us, rows))
