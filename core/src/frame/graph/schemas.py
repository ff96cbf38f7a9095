"""What is known of the rows on every edge of a graph.

Knowledge flows from the source along the edges; where several meet, what all of them know is left; loops are gone
round until nothing changes.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import reduce

from frame.graph.forks import arrivals
from frame.graph.given import is_given
from frame.graph.joins import branch_names
from frame.graph.knowledge import Known, meet, pass_through, unite
from frame.graph.model import (
    AggregationNode,
    AnyNode,
    CoalesceNode,
    Graph,
    MergeHow,
    MergePolicy,
    SchemaMode,
    SinkNode,
    TransformNode,
)
from frame.graph.ways import ON_ERROR, ON_INVALID, Way, all_ways
from frame.plugin.protocols import Aggregation, Plugin, Source, Transform
from frame.plugin.schema import ANY, FieldType, Schema

Instances = Mapping[int, Plugin]
"""A configured plugin for every node that has one, by number; one that could not be made is left out."""


@dataclass(slots=True)
class Flow:
    """What is known of the rows that come to each node, and of those that leave it when all goes well, by number.

    `faults`: the nodes whose plugin failed when it was asked what it provides.
    """

    incoming: dict[int, Known] = field(default_factory=dict)
    outgoing: dict[int, Known] = field(default_factory=dict)
    faults: dict[int, BaseException] = field(default_factory=dict)
    ways_in: dict[int, list[Way]] = field(default_factory=dict)

    def along(self, way: Way, target: AnyNode) -> Known | None:
        """What is known of the rows that take `way` to `target`; None if nothing is known to take it."""
        failed = way.place[0] in (ON_ERROR, ON_INVALID)
        if way.place[0] == ON_INVALID:
            known: Known | None = Known()
        else:
            known = (self.incoming if failed else self.outgoing).get(way.edge.origin)
        if known is not None and failed and isinstance(target, SinkNode) and target.error_field:
            return known.with_fields({target.error_field: FieldType("object")})
        return known


def schemas(graph: Graph) -> dict[int, Schema]:
    """What is known of the rows that come to each node, by its number; nothing comes to the source."""
    with ExitStack() as stack:
        instances: dict[int, Plugin] = {}
        for node in graph.nodes:
            plugin = getattr(node, "plugin", None)
            if plugin is not None:
                instances[node.number] = plugin.build()
                if not is_given(plugin):
                    stack.callback(instances[node.number].close)
        incoming = flow_of(graph, instances).incoming
    return {
        number: incoming[number].schema if number in incoming else Schema()
        for number in range(len(graph.nodes))
    }


def flow_of(graph: Graph, instances: Instances) -> Flow:
    """What is known of rows everywhere in `graph`, as far as `instances` can tell."""
    return _Propagation(graph, instances).run()


class _Propagation:
    def __init__(self, graph: Graph, instances: Instances) -> None:
        self.graph, self.instances = graph, instances
        self.arrivals = arrivals(graph)
        self.flow = Flow(ways_in={node.number: [] for node in graph.nodes})
        for way in all_ways(graph.nodes):
            self.flow.ways_in[way.edge.target].append(way)

    def run(self) -> Flow:
        self.flow.outgoing[0] = self.from_source()
        moved = True
        while moved:
            visited = [self.visit(node) for node in self.graph.nodes[1:]]
            moved = any(visited)
        return self.flow

    def visit(self, node: AnyNode) -> bool:
        """Whether more has become known of `node`. What is known of its rows only ever shrinks, so this ends."""
        arriving = [known for way in self.flow.ways_in[node.number] if (known := self.flow.along(way, node))]
        if not arriving:
            return False
        before = self.flow.incoming.get(node.number)
        incoming = reduce(meet, arriving if before is None else [*arriving, before])
        leaving_before = self.flow.outgoing.get(node.number)
        if incoming != before:
            self.flow.incoming[node.number] = incoming
            self.flow.outgoing[node.number] = self.leaving(node, incoming)
        elif isinstance(node, CoalesceNode):
            self.flow.outgoing[node.number] = self.leaving(node, incoming)
        return incoming != before or self.flow.outgoing[node.number] != leaving_before

    def from_source(self) -> Known:
        source = self.graph.source
        plugin = self.instances.get(0)
        given = Schema()
        if isinstance(plugin, Source) and not source.normalize:
            try:
                given = plugin.provides()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                self.flow.faults[0] = error
        match source.mode:
            case SchemaMode.FIXED:
                return Known(Schema(source.fields, complete=True), open=False)
            case SchemaMode.FLEXIBLE:
                return Known(given.with_fields(source.fields), open=not source.fields)
            case SchemaMode.OBSERVED:
                # What a value of a text source is, is seen in its first rows only.
                seen = Schema(dict.fromkeys(given.fields, ANY), given.complete)
                return Known(seen if isinstance(plugin, Source) and plugin.text_values else given)

    def leaving(self, node: AnyNode, incoming: Known) -> Known:
        match node:
            case TransformNode() | AggregationNode():
                return self.provided(node.number, incoming)
            case CoalesceNode():
                return self.merged(node, incoming)
            case _:
                return incoming

    def provided(self, number: int, incoming: Known) -> Known:
        plugin = self.instances.get(number)
        if not isinstance(plugin, Transform | Aggregation):
            return Known()
        try:
            return pass_through(incoming, plugin.provides(incoming.schema))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            self.flow.faults[number] = error
            return Known()

    def merged(self, node: CoalesceNode, incoming: Known) -> Known:
        branches = self.branches(node)
        all_there = node.policy is MergePolicy.REQUIRE_ALL
        if not branches:
            return Known()
        match node.how:
            case MergeHow.NESTED:
                fields = {name: FieldType("object") for name in branches}
                return Known(Schema(fields, complete=True), open=False) if all_there else Known()
            case MergeHow.SELECT:
                chosen = branches.get(node.select or "")
                return chosen if all_there and chosen else reduce(meet, branches.values())
            case MergeHow.UNION:
                together = unite(list(branches.values()))
                return together if all_there else reduce(meet, [*branches.values(), together])

    def branches(self, node: CoalesceNode) -> dict[str, Known]:
        """What is known of the rows of each branch that comes to `node`, by its name, in branch order."""
        found: dict[str, Known] = {}
        for fork, indexes in self.arrivals.branches(node.number).items():
            names = branch_names(self.graph, fork)
            for index in sorted(indexes):
                ways = [way for way in self.flow.ways_in[node.number] if self.is_of(way, fork, index, node)]
                known = [k for way in ways if (k := self.flow.along(way, node))]
                if known:
                    found[names[index]] = reduce(meet, known)
        return found

    def is_of(self, way: Way, fork: tuple[int, str], index: int, node: CoalesceNode) -> bool:
        standing = next(
            s
            for s in self.arrivals.standings[node.number]
            if (s.fork, s.branch, s.broken_by) == (fork, index, None)
        )
        return way.edge.origin in self.arrivals.origins[node.number][standing]
