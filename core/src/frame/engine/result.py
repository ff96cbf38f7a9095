"""What a run came to."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from frame.events import (
    COUNTS_AS,
    ArtifactMade,
    AttemptFailed,
    BatchAttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Dropped,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    Merged,
    Path,
    Routed,
    RowInvalid,
    RowsRead,
    RunStatus,
    SinkConfirmed,
    SinkIntended,
    Visited,
)
from frame.graph.model import Graph


def counters(ended: Mapping[Path, int], rows: int, open_tokens: int) -> dict[str, int]:
    """The counters of a run, from how many tokens ended by which path."""
    totals: Counter[str] = Counter({name: 0 for names in COUNTS_AS.values() for name in names})
    for path, count in ended.items():
        for name in COUNTS_AS[path]:
            totals[name] += count
    return {"rows": rows, **totals, "open": open_tokens}


@dataclass(slots=True)
class NodeCounts:
    """How many tokens a node was given, passed on, and could not deal with; `attempts` that failed."""

    came: int = 0
    went: int = 0
    failed: int = 0
    failed_attempts: int = 0


@dataclass(slots=True)
class Tally:
    """Counts by node and what the sinks made, folded from events."""

    nodes: dict[int, NodeCounts]
    artifacts: dict[int, ArtifactMade] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph) -> "Tally":
        return cls({node.number: NodeCounts() for node in graph.nodes})

    def add(self, events: Iterable[Event]) -> None:
        """Count `events`."""
        for event in events:
            count = _COUNT.get(type(event))
            if count is not None:
                count(self, event)

    def through(self, node: int, came: int, went: int) -> None:
        """`node` was given `came` tokens and passed `went` on."""
        self.nodes[node].came += came
        self.nodes[node].went += went

    def fail(self, node: int, came: int, failed: int = 1) -> None:
        """`node` could not deal with `failed` tokens, `came` of which are counted for the first time."""
        self.nodes[node].came += came
        self.nodes[node].failed += failed


def _passed(tally: Tally, event: Visited | Routed | SinkIntended) -> None:
    tally.through(event.node, len(event.tokens), len(event.tokens))


def _kept(tally: Tally, event: Dropped | Buffered) -> None:
    tally.through(event.node, len(event.tokens), 0)


def _flushed(tally: Tally, event: BatchFlushed) -> None:
    passed_through = event.members if event.digests and not event.outputs else 0
    tally.through(event.node, 0, len(event.outputs) or passed_through)


def _attempt_failed(tally: Tally, event: AttemptFailed | BatchAttemptFailed) -> None:
    tally.nodes[event.node].failed_attempts += 1


def _confirmed(tally: Tally, event: SinkConfirmed) -> None:
    tally.nodes[event.node].went -= len(event.rejected)
    tally.fail(event.node, 0, len(event.rejected))


def _made(tally: Tally, event: ArtifactMade) -> None:
    tally.artifacts[event.node] = event


_COUNT: Mapping[type, Callable[[Tally, Any], None]] = {
    RowsRead: lambda tally, event: tally.through(0, len(event.tokens), len(event.tokens)),
    RowInvalid: lambda tally, event: tally.fail(0, 1),
    Visited: _passed,
    Routed: _passed,
    SinkIntended: _passed,
    Dropped: _kept,
    Buffered: _kept,
    Expanded: lambda tally, event: tally.through(event.node, 1, len(event.children)),
    BatchFlushed: _flushed,
    BatchFailed: lambda tally, event: tally.fail(event.node, 0, event.members),
    Merged: lambda tally, event: tally.through(event.node, len(event.parents), len(event.children)),
    Failed: lambda tally, event: tally.fail(event.node, 1),
    AttemptFailed: _attempt_failed,
    BatchAttemptFailed: _attempt_failed,
    SinkConfirmed: _confirmed,
    ArtifactMade: _made,
}


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to.

    `counters`: as BEHAVIOUR §1 names them; `nodes`: counts by node name; `sinks`: rows written, by sink name;
    `error`: why the run did not come to its end, if it did not; `resumable`: whether it can go on from there.
    """

    run_id: str
    status: RunStatus
    counters: Mapping[str, int]
    nodes: Mapping[str, NodeCounts]
    sinks: Mapping[str, int]
    artifacts: Mapping[str, ArtifactMade]
    duration_s: float
    error: ErrorInfo | None = None
    cause: BaseException | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """Whether every row found the end that the configuration has for it: nothing unhandled, nothing stopped."""
        ended = (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES, RunStatus.EMPTY)
        return self.status in ended and not self.counters["unhandled"]

    @property
    def resumable(self) -> bool:
        """Whether the run stopped short of its end with everything on record that is needed to go on."""
        stopped = self.status is RunStatus.FAILED and self.error is not None and self.error.type != "Aborted"
        return stopped or self.status in (RunStatus.INTERRUPTED, RunStatus.WAITING)

    def as_json(self) -> dict[str, Any]:
        """The result as one JSON object."""
        return {
            "schema_version": 1,
            "run": self.run_id,
            "status": self.status.value,
            "counters": dict(self.counters),
            "nodes": {
                name: {
                    "in": counts.came,
                    "out": counts.went,
                    "failed": counts.failed,
                    "failed_attempts": counts.failed_attempts,
                }
                for name, counts in self.nodes.items()
            },
            "sinks": dict(self.sinks),
            "artifacts": {
                name: {
                    "uri": made.uri,
                    "size_bytes": made.size_bytes,
                    "sha256": None if made.sha256 is None else made.sha256.hex(),
                    "rows": made.rows,
                }
                for name, made in self.artifacts.items()
            },
            "duration_s": self.duration_s,
            "error": None if self.error is None else {"type": self.error.type, "message": self.error.message},
        }
