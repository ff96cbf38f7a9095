"""What a run came to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from frame.events import ArtifactMade, ErrorInfo, Event, Noted, RunStatus
from frame.graph.model import Graph
from frame.telemetry.counts import NodeCounts, counted
from frame.telemetry.listeners import RunInfo


class Tally:
    """Counts by node, what the sinks made, and rows that they may have twice; folded from events."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = {node.number: NodeCounts() for node in graph.nodes}
        self.artifacts: dict[int, ArtifactMade] = {}
        self.possible_duplicates: Counter[int] = Counter()
        self._unconfirmed: dict[tuple[int, int], int] = {}

    def told(self, info: RunInfo) -> RunInfo:
        """`info` of a run that goes on from these counts."""
        return replace(info, counts=dict(self.nodes), in_flight=dict(self._unconfirmed))

    def add(self, events: Iterable[Event]) -> None:
        """Count `events`."""
        for event in events:
            for node, more in counted(event, self._unconfirmed):
                self.nodes[node] += more
            match event:
                case ArtifactMade(node=node):
                    self.artifacts[node] = event
                case Noted(kind="possible_duplicate", node=int(node)):
                    self.possible_duplicates[node] += event.detail["rows"]


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """The file that proves later what the record of a run was. `key_id`: whose signature it has, None for none."""

    path: str
    key_id: str | None

    def as_json(self) -> dict[str, Any]:
        """The receipt as one JSON object."""
        return {"path": self.path, "key_id": self.key_id}


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to.

    `counters`: as BEHAVIOUR §1 names them; `nodes`: counts by node name; `sinks`: rows written, by sink name;
    `possible_duplicates`: rows that sinks which cannot tell a repeat were given once more after a crash;
    `error`: why the run did not come to its end, if it did not; `resumable`: whether it can go on from there.
    `receipt`: what was kept of it outside the store.
    """

    run_id: str
    status: RunStatus
    counters: Mapping[str, int]
    nodes: Mapping[str, NodeCounts]
    sinks: Mapping[str, int]
    artifacts: Mapping[str, ArtifactMade]
    duration_s: float
    possible_duplicates: Mapping[str, int] = field(default_factory=dict)
    error: ErrorInfo | None = None
    cause: BaseException | None = field(default=None, compare=False, repr=False)
    receipt: KeptReceipt | None = None

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
                    "in": counts.entered,
                    "out": counts.left,
                    "failed": counts.failed,
                    "held": counts.held,
                    "retries": counts.retries,
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
            "possible_duplicates": dict(self.possible_duplicates),
            "duration_s": self.duration_s,
            "error": None if self.error is None else {"type": self.error.type, "message": self.error.message},
            "receipt": None if self.receipt is None else self.receipt.as_json(),
        }
