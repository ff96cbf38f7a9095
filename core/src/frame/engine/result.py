"""What a run came to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from frame.events import (
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

COUNTS_AS: Mapping[Path, tuple[str, ...]] = {
    Path.DEFAULT_FLOW: ("succeeded",),
    Path.GATE_ROUTED: ("succeeded", "routed"),
    Path.GATE_DISCARDED: ("succeeded", "discarded"),
    Path.DROPPED: ("succeeded", "dropped"),
    Path.ERROR_ROUTED: ("failed", "routed_error"),
    Path.ERROR_DISCARDED: ("failed",),
    Path.UNHANDLED: ("failed", "unhandled"),
    Path.INVALID_AT_SOURCE: ("failed", "invalid"),
    Path.SINK_REJECTED: ("failed", "diverted"),
    Path.LATE_AT_MERGE: ("failed",),
    Path.MERGE_INCOMPLETE: ("failed", "merge_failed"),
    Path.VISIT_LIMIT: ("failed",),
    Path.ABANDONED: ("failed",),
    Path.FORKED: ("forked",),
    Path.EXPANDED: ("expanded",),
    Path.MERGED: ("merged",),
    Path.BATCHED: (),
}
"""What each way to end counts as (BEHAVIOUR §1)."""


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
            match event:
                case Visited(node=node, tokens=tokens):
                    self._through(node, len(tokens), len(tokens))
                case Routed(node=node, tokens=tokens):
                    self._through(node, len(tokens), len(tokens))
                case Dropped(node=node, tokens=tokens):
                    self._through(node, len(tokens), 0)
                case Expanded(node=node, children=children):
                    self._through(node, 1, len(children))
                case Buffered(node=node, tokens=tokens):
                    self._through(node, len(tokens), 0)
                case BatchFlushed(node=node, outputs=outputs, members=members):
                    self._through(node, 0, len(outputs) or (members if event.digests else 0))
                case BatchFailed(node=node, members=members):
                    self.nodes[node].failed += members
                case Merged(node=node, parents=parents, children=children):
                    self._through(node, len(parents), len(children))
                case Failed(node=node):
                    self.nodes[node].came += 1
                    self.nodes[node].failed += 1
                case AttemptFailed(node=node) | BatchAttemptFailed(node=node):
                    self.nodes[node].failed_attempts += 1
                case RowsRead(tokens=tokens):
                    self._through(0, len(tokens), len(tokens))
                case RowInvalid():
                    self.nodes[0].came += 1
                    self.nodes[0].failed += 1
                case SinkIntended(node=node, tokens=tokens):
                    self._through(node, len(tokens), len(tokens))
                case SinkConfirmed(node=node, rejected=rejected):
                    self.nodes[node].went -= len(rejected)
                    self.nodes[node].failed += len(rejected)
                case ArtifactMade(node=node):
                    self.artifacts[node] = event
                case _:
                    pass

    def _through(self, node: int, came: int, went: int) -> None:
        counts = self.nodes[node]
        counts.came += came
        counts.went += went


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
        """Whether the run can go on where it stopped."""
        return self.status in (RunStatus.INTERRUPTED, RunStatus.WAITING) or (
            self.status is RunStatus.FAILED and self.counters["open"] > 0
        )

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
