"""Who hears what happens in a run. All of it is on record before anybody is told.

    run_started    once, before the first chunk
    committed      once a commit, in order
    run_finished   once, whatever happened

A listener cannot harm a run: one that raises is reported, and told nothing more.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from frame.clock import Clock
from frame.events import Chunk, RunStatus
from frame.graph.model import AnyNode, CoalesceNode, Graph, NodeKind
from frame.telemetry.counts import NodeCounts

_log = logging.getLogger("frame.telemetry")


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node, and the plugin that does its work: qualified name and version, "" where no plugin does."""

    number: int
    name: str
    kind: NodeKind
    plugin: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What does not change during a run. `nodes[n].number == n`.

    Of a run that goes on: `counts` by node, and `in_flight` (sink and intent -> tokens that it has not confirmed) when
    it was resumed.
    """

    run_id: str
    pipeline: str
    started_us: int
    nodes: tuple[NodeInfo, ...]
    counts: Mapping[int, NodeCounts] = field(default_factory=dict)
    in_flight: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, run_id: str, started_us: int) -> "RunInfo":
        """The facts of a run of `graph`."""
        return cls(run_id, graph.name, started_us, tuple(_node_info(node) for node in graph.nodes))


def _node_info(node: AnyNode) -> NodeInfo:
    plugin = None if isinstance(node, CoalesceNode) else node.plugin
    if plugin is None:
        return NodeInfo(node.number, node.name, node.kind)
    return NodeInfo(node.number, node.name, node.kind, f"{plugin.package}.{plugin.name}", plugin.version)


class Listener(Protocol):
    """Hears of one run."""

    def run_started(self, info: RunInfo) -> None:
        """The run is on record and begins."""
        ...

    def committed(self, chunk: Chunk, took_us: int) -> None:
        """`chunk` is on record, `took_us` microseconds after it was opened."""
        ...

    def run_finished(self, status: RunStatus, at_us: int) -> None:
        """The run has ended, and how; let go of everything."""
        ...


class Audience:
    """Everybody who listens to one run; what the engine and the operations talk to."""

    def __init__(self, listeners: Sequence[Listener], clock: Clock) -> None:
        self._listeners = list(listeners)
        self._clock = clock

    def run_started(self, info: RunInfo) -> None:
        """Tell that the run begins."""
        self._tell(lambda listener: listener.run_started(info))

    def committed(self, chunk: Chunk) -> None:
        """Tell that `chunk` is on record now."""
        if self._listeners:
            took_us = self._clock.time_us() - chunk.opened_us
            self._tell(lambda listener: listener.committed(chunk, took_us))

    def run_finished(self, status: RunStatus) -> None:
        """Tell that the run has ended."""
        at_us = self._clock.time_us()
        self._tell(lambda listener: listener.run_finished(status, at_us))

    def _tell(self, how: Callable[[Listener], None]) -> None:
        for listener in tuple(self._listeners):
            try:
                how(listener)
            except Exception as error:  # noqa: BLE001 - somebody who only listens must not end a run
                self._listeners.remove(listener)
                _log.warning("%s is no longer told of this run: %r", type(listener).__name__, error)
