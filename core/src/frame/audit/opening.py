"""What is on record about a run before its first plugin is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from frame.canonical import canonical, digest
from frame.graph.model import CoalesceNode, ErrorClause, GateNode, Graph, To


@dataclass(frozen=True, slots=True)
class NodeOpening:
    """A place in the graph and the code that stands there; the plugin's fields are None where there is none.

    `on_error`: the node or sink that each clause leads to, None for discard. `delivery`: of a sink, what becomes of
    a write that is repeated.
    """

    number: int
    name: str
    kind: str
    plugin: str | None = None
    package: str | None = None
    distribution: str | None = None
    version: str | None = None
    record_sha256: str | None = None
    api: int | None = None
    determinism: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    on_error: Sequence[int | None] = ()
    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class EdgeOpening:
    origin: int
    target: int
    label: str
    mode: str


@dataclass(frozen=True, slots=True)
class RunOpening:
    """A run that is about to start.

    `config`: the canonical form of the pipeline file with secrets left out, as bytes. `origin_run_id`: the run
    whose tokens this one carries on, and `origin_kind` why.
    """

    run_id: str
    pipeline: str
    config: bytes
    nodes: Sequence[NodeOpening]
    edges: Sequence[EdgeOpening]
    started_us: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    frame_version: str = ""
    python_version: str = ""
    host: str = ""
    pid: int = 0
    lease_s: float = 60.0
    origin_run_id: str | None = None
    origin_kind: str | None = None

    @property
    def config_sha256(self) -> bytes:
        return digest(self.config)

    @property
    def graph_sha256(self) -> bytes:
        """SHA-256 of the canonical form of what the record says about nodes and edges."""
        return graph_sha256(self.nodes, self.edges)


def graph_sha256(nodes: Sequence[NodeOpening], edges: Sequence[EdgeOpening], version: int = 2) -> bytes:
    """SHA-256 of the canonical form of nodes and edges. `version` 1 knew nothing of how sinks take repeats."""
    names = [name for name in NodeOpening.__slots__ if version > 1 or name != "delivery"]
    said = [[getattr(node, name) for name in names] for node in nodes]
    ways = [[edge.origin, edge.target, edge.label, edge.mode] for edge in edges]
    return digest(canonical({"nodes": said, "edges": ways}))


def describe(graph: Graph) -> tuple[list[NodeOpening], list[EdgeOpening]]:
    """What the record says about the nodes and edges of `graph`."""
    nodes = [_describe_node(node) for node in graph.nodes]
    edges = [EdgeOpening(edge.origin, edge.target, edge.label, edge.mode) for edge in graph.edges]
    return nodes, edges


def _describe_node(node: Any) -> NodeOpening:
    plugin = getattr(node, "plugin", None)
    place = NodeOpening(
        node.number, node.name, node.kind.value, on_error=_ways(getattr(node, "on_error", None))
    )
    if plugin is None:
        return _without_plugin(node, place)
    return NodeOpening(
        number=node.number,
        name=node.name,
        kind=node.kind.value,
        plugin=plugin.name,
        package=plugin.package,
        distribution=plugin.distribution,
        version=plugin.version,
        record_sha256=plugin.record_sha256,
        api=plugin.api,
        determinism=plugin.determinism.value,
        options=dict(plugin.options),
        on_error=place.on_error,
        delivery=plugin.delivery,
    )


def _without_plugin(node: Any, place: NodeOpening) -> NodeOpening:
    options: dict[str, Any] = {}
    if isinstance(node, GateNode) and node.expression is not None:
        options = {"expression": node.expression.source}
    elif isinstance(node, CoalesceNode):
        options = {"policy": node.policy.value, "merge": node.how.value, "quorum": node.quorum}
        options |= {
            "timeout_s": node.timeout_s,
            "on_collision": node.on_collision.value,
            "select": node.select,
        }
    return NodeOpening(place.number, place.name, place.kind, options=options, on_error=place.on_error)


def _ways(on_error: object) -> list[int | None]:
    if not isinstance(on_error, tuple):
        return []
    clauses = [clause for clause in on_error if isinstance(clause, ErrorClause)]
    return [clause.to.node if isinstance(clause.to, To) else None for clause in clauses]
