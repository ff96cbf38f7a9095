"""From a graph to what runs it: a plugin at each node, an executor around it, and their life from start to close."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from frame.canonical import canonical
from frame.engine.calls import Call
from frame.engine.context import CallLog
from frame.engine.executors.aggregation import AggregationExecutor, accepting
from frame.engine.executors.base import Executor
from frame.engine.executors.coalesce import CoalesceExecutor
from frame.engine.executors.gate import GateExecutor
from frame.engine.executors.sink import SinkExecutor
from frame.engine.executors.source import SourceExecutor
from frame.engine.executors.transform import TransformExecutor
from frame.engine.inflight import InFlight
from frame.engine.nodes import PluginNode, Surroundings
from frame.engine.typecheck import TypeCheck, checker
from frame.events import ArtifactMade, Payloads
from frame.graph.model import (
    AggregationNode,
    AnyNode,
    CallPolicy,
    CoalesceNode,
    GateNode,
    Graph,
    SinkNode,
    SourceNode,
    TransformNode,
)
from frame.graph.schemas import schemas
from frame.plugin.schema import Schema

if TYPE_CHECKING:
    from frame.engine.carrying import CarriedSource, Carrying


class Assembly:
    """All plugins and executors of one run. `executors`: by node number, of the nodes between source and sinks.

    `carrying`: what the run carries on of another one, in place of its source.
    """

    def __init__(
        self,
        graph: Graph,
        around: Surroundings,
        inflight: InFlight,
        payloads: list[Payloads],
        carrying: "Carrying | None" = None,
    ) -> None:
        self._graph, self._around = graph, around
        self._shared = around, inflight, payloads
        self._incoming = schemas(graph)
        self._plugins: list[PluginNode] = []
        self._reading: list[SourceExecutor | CarriedSource] = []
        self.executors: dict[int, Executor] = {}
        self.sinks: dict[int, SinkExecutor] = {}
        self._published: frozenset[int] = frozenset()
        try:
            self.source = self._incoming_rows(carrying)
            self._reading.append(self.source)
            for node in graph.nodes:
                self._add(node)
        except BaseException:
            self.close()
            raise

    def _add(self, node: AnyNode) -> None:
        match node:
            case TransformNode():
                self.executors[node.number] = self._transform(node)
            case GateNode():
                self.executors[node.number] = self._gate(node)
            case AggregationNode():
                self.executors[node.number] = self._aggregation(node)
            case CoalesceNode():
                self.executors[node.number] = CoalesceExecutor(node, *self._shared)
            case SinkNode():
                self.sinks[node.number] = self._sink(node)

    # --- Building -------------------------------------------------------------------------------

    def _incoming_rows(self, carrying: "Carrying | None") -> "SourceExecutor | CarriedSource":
        if carrying is not None:
            return carrying.source(self._graph, self, *self._shared)
        return self._source(self._graph.source)

    def _source(self, node: SourceNode) -> SourceExecutor:
        plugin = self._plugin(node, CallPolicy())
        return SourceExecutor(node, plugin, self._graph.settings, *self._shared)

    def _transform(self, node: TransformNode) -> TransformExecutor:
        plugin = self._plugin(node, node.policy, lambda plugin: plugin.process)
        return TransformExecutor(node, plugin, self._check_types(plugin), *self._shared)

    def _aggregation(self, node: AggregationNode) -> AggregationExecutor:
        plugin = self._plugin(node, accepting(node.policy), _accept)
        return AggregationExecutor(node, plugin, self._check_types(plugin), *self._shared)

    def _check_types(self, plugin: PluginNode) -> TypeCheck:
        incoming = self._incoming.get(plugin.number, Schema())
        return checker(plugin.step("provides", lambda: plugin.plugin.provides(incoming)))

    def _gate(self, node: GateNode) -> GateExecutor:
        plugin = None
        if node.plugin is not None:
            plugin = self._plugin(node, node.policy, lambda plugin: plugin.evaluate)
        return GateExecutor(node, plugin, *self._shared)

    def _sink(self, node: SinkNode) -> SinkExecutor:
        around = self._around.beside()
        plugin = self._plugin(node, node.policy, around=around)
        return SinkExecutor(node, plugin, self._graph, around, self._shared[1], lambda: self.source.originals)

    def _plugin(
        self,
        node: Any,
        policy: CallPolicy,
        call_of: Callable[[Any], Call] | None = None,
        around: Surroundings | None = None,
    ) -> PluginNode:
        plugin = PluginNode(node.number, node.name, node.plugin, policy, around or self._around, call_of)
        self._plugins.append(plugin)
        return plugin

    # --- Living ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every plugin, the source first. Raises PluginFailed."""
        for plugin in self._plugins:
            plugin.start()
            if plugin.number != self._graph.source.number:
                self._note_evidence(plugin)

    def open_sinks(self, positions: Mapping[int, Any], published: Collection[int] = ()) -> None:
        """Open the sinks, each at its position; those that are `published` are left alone. Raises PluginFailed."""
        self._published = frozenset(published)
        for number, sink in self.sinks.items():
            if number not in self._published:
                sink.open(positions.get(number))

    def node(self, number: int) -> PluginNode | None:
        """The plugin at a node, None where there is none."""
        return next((plugin for plugin in self._plugins if plugin.number == number), None)

    def finish(self) -> Iterator[ArtifactMade]:
        """Everything is written: let every plugin finish, the sinks last, and say of each at once what it has made."""
        source = self.node(self._graph.source.number)
        if source is not None:
            self._note_evidence(source)
        for plugin in self._plugins:
            if plugin.number not in self.sinks:
                plugin.finish()
        for number, sink in self.sinks.items():
            artifact = None if number in self._published else sink.publish()
            if artifact is not None:
                yield artifact

    def close(self) -> None:
        """Close every plugin, whatever happened to it."""
        for reading in self._reading:
            reading.close()
        for executor in self.executors.values():
            executor.close()
        for plugin in reversed(self._plugins):
            plugin.close()

    def _note_evidence(self, plugin: PluginNode) -> None:
        evidence = plugin.evidence()
        if evidence:
            safe = self._around.facts.redactor.data(evidence)
            plugin.step("evidence", lambda: canonical(safe))
            self._around.note("evidence", plugin.number, **safe)

    def keep_members(self) -> None:
        """Keep the rows that open batches have taken in since the last commit."""
        for executor in self.executors.values():
            if isinstance(executor, AggregationExecutor):
                executor.keep_members()

    def take_calls(self) -> list[tuple[int, CallLog]]:
        """External calls that were made outside of visits, by node: at the start or the end, or by a source or sink."""
        return [(plugin.number, plugin.take_log()) for plugin in self._plugins if plugin.has_calls]


def _accept(plugin: Any) -> Call:
    return lambda row, _context: plugin.accept(row)
