"""The pipeline as a checked value: what config and plugins become, and all that scheduler and engine know of it.

Nodes are numbered in graph order: the source is 0, every move but a loop leads to a higher number, sinks come
last. A number means the same node in the graph, in the scheduler's state and in the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from frame.expressions import Expression
from frame.plugin.protocols import Determinism
from frame.plugin.schema import FieldType


class NodeKind(StrEnum):
    """What stands at a place in the graph. All but a coalesce and an expression gate are plugins."""

    SOURCE = "source"
    TRANSFORM = "transform"
    GATE = "gate"
    AGGREGATION = "aggregation"
    COALESCE = "coalesce"
    SINK = "sink"


@dataclass(frozen=True, slots=True)
class PluginRef:
    """One plugin, pinned: what the record says about who did the work, and how to make an instance.

    `options` are the validated options with secrets left out (each secret is `{"secret": fingerprint}` or a
    reference); `build` makes a fresh, configured instance and does no I/O. `expands`: a transform that may make
    several rows of one. `delivery`: what a sink does with a write that it may have seen before.
    """

    kind: str
    name: str
    package: str
    distribution: str
    version: str
    record_sha256: str
    api: int
    determinism: Determinism
    options: Mapping[str, Any]
    build: Callable[[], Any] = field(compare=False)
    expands: bool = False
    delivery: str | None = None


# --- Where a token may go -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class To:
    """The token goes on to `node`. A loop edge says how often one token may take it."""

    node: int
    loop_max: int | None = None


@dataclass(frozen=True, slots=True)
class Discard:
    """The token ends, on purpose."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a fork, named after its first node."""

    name: str
    to: To


@dataclass(frozen=True, slots=True)
class Fork:
    """The token ends and one child a branch goes on.

    `joins_at`: the coalesce where branches of this fork meet again, if there is one; `expected`: the indexes
    of the branches that can come there.
    """

    branches: tuple[Branch, ...]
    joins_at: int | None = None
    expected: frozenset[int] = frozenset()


Destination = To | Discard | Fork


@dataclass(frozen=True, slots=True)
class ErrorClause:
    """One way out for a failed token: taken when `when` holds (None: always)."""

    to: To | Discard
    when: Expression | None = None


# --- Policies -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` counts attempts, not repeats: 1 means no retry."""

    attempts: int = 1
    wait_s: float = 1.0
    max_wait_s: float = 60.0
    jitter: bool = True


@dataclass(frozen=True, slots=True)
class Breaker:
    failures: int = 5
    recovery_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`calls` in `per_s` seconds, shared by all nodes that name the same `service`."""

    calls: int
    per_s: float
    service: str


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How a node's plugin is called."""

    retry: Retry = Retry()
    timeout_s: float | None = 300.0
    breaker: Breaker | None = None
    wait_for_breaker: bool = False
    rate_limit: RateLimit | None = None
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a batch is due: whichever comes first. `at_end` False refuses a batch that is open at the end."""

    count: int | None = None
    after_s: float | None = None
    when: Expression | None = None
    at_end: bool = True


class BatchMode(StrEnum):
    TRANSFORM = "transform"
    PASSTHROUGH = "passthrough"


class MergePolicy(StrEnum):
    REQUIRE_ALL = "require_all"
    QUORUM = "quorum"
    BEST_EFFORT = "best_effort"
    FIRST = "first"


class MergeHow(StrEnum):
    UNION = "union"
    NESTED = "nested"
    SELECT = "select"


class OnCollision(StrEnum):
    LAST = "last"
    FIRST = "first"
    FAIL = "fail"


# --- Nodes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    number: int
    name: str


class SchemaMode(StrEnum):
    FIXED = "fixed"
    FLEXIBLE = "flexible"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class SourceNode(Node):
    """`on_invalid`: where rows go that do not fit the schema; None: they end `invalid_at_source`, undelivered."""

    plugin: PluginRef
    mode: SchemaMode
    fields: Mapping[str, FieldType]
    normalize: bool
    on_invalid: To | Discard | None
    to: To
    kind = NodeKind.SOURCE


@dataclass(frozen=True, slots=True)
class TransformNode(Node):
    plugin: PluginRef
    policy: CallPolicy
    on_error: tuple[ErrorClause, ...]
    to: To
    kind = NodeKind.TRANSFORM


@dataclass(frozen=True, slots=True)
class GateNode(Node):
    """Exactly one of `plugin` and `expression` is set. `next`: the node that `continue` means; -1 if there is none."""

    plugin: PluginRef | None
    expression: Expression | None
    routes: Mapping[str, Destination]
    policy: CallPolicy
    on_error: tuple[ErrorClause, ...]
    next: int
    kind = NodeKind.GATE


@dataclass(frozen=True, slots=True)
class AggregationNode(Node):
    plugin: PluginRef
    trigger: Trigger
    mode: BatchMode
    expect: int | None
    policy: CallPolicy
    on_error: tuple[ErrorClause, ...]
    to: To
    kind = NodeKind.AGGREGATION

    @property
    def members_may_go_on(self) -> bool:
        """Whether members of a batch may come to another node themselves, so that their rows are needed again."""
        leads_on = any(isinstance(clause.to, To) for clause in self.on_error)
        return leads_on or self.mode is BatchMode.PASSTHROUGH


@dataclass(frozen=True, slots=True)
class CoalesceNode(Node):
    """`select` names the branch whose row is taken when `how` is SELECT."""

    policy: MergePolicy
    quorum: int | None
    timeout_s: float | None
    how: MergeHow
    on_collision: OnCollision
    select: str | None
    to: To
    kind = NodeKind.COALESCE


@dataclass(frozen=True, slots=True)
class SinkNode(Node):
    """`on_error`: the sink (its number) that takes rows which this one refuses.

    `error_field`: the field in which a row that comes here because of an error carries that error; None: none.
    """

    plugin: PluginRef
    policy: CallPolicy
    on_error: int | None
    error_field: str | None
    headers_original: bool
    kind = NodeKind.SINK


AnyNode = SourceNode | TransformNode | GateNode | AggregationNode | CoalesceNode | SinkNode


@dataclass(frozen=True, slots=True)
class Edge:
    """One way from node to node. `label`: the route, or "on_error", "on_invalid", "continue".

    `mode`: continue, route, fork, error, loop.
    """

    origin: int
    target: int
    label: str
    mode: str


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`chunk_rows` and `max_latency_s` bound a chunk: whichever comes first."""

    chunk_rows: int = 1000
    max_latency_s: float = 0.25
    seed: int = 0
    abort_on_error: bool = False
    payloads: bool = True


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline that can run. `nodes[n].number == n`."""

    name: str
    nodes: tuple[AnyNode, ...]
    edges: tuple[Edge, ...]
    settings: RunSettings = RunSettings()

    @property
    def source(self) -> SourceNode:
        node = self.nodes[0]
        assert isinstance(node, SourceNode)
        return node

    @property
    def sinks(self) -> tuple[SinkNode, ...]:
        return tuple(node for node in self.nodes if isinstance(node, SinkNode))

    def named(self, name: str) -> AnyNode:
        """The node called `name`. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
