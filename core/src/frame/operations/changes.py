"""What differs between a pipeline as it is now and as a run recorded it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frame.errors import Refused
from frame.operations.compile import Compiled
from frame.operations.recorded import pipeline_of

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.opening import NodeOpening
    from frame.audit.queries import EdgeRecord, NodeRecord, RunDetails

ELSEWHERE = frozenset({"audit", "export"})
"""Parts of the file that say where a record goes, and nothing about what happens to rows."""
MOST_CHANGES = 20
"""A refusal tells so many."""
CODE = ("distribution", "version", "record_sha256", "api", "determinism")


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs. `topology`: other nodes, kinds or ways, under which the record of the run makes no sense."""

    topology: tuple[str, ...]
    options: tuple[str, ...]
    code: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.topology or self.options or self.code)

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.topology, *self.options, *self.code)


@dataclass(frozen=True, slots=True)
class Remedies:
    """What would help where a pipeline is not that of the run: if it can be accepted, and if other nodes forbid it."""

    accept: str
    topology: str


def accepted_changes(
    store: "Database",
    number: int,
    details: "RunDetails",
    compiled: Compiled,
    *,
    accept: bool,
    remedies: Remedies,
) -> tuple[str, ...]:
    """What has changed since run `number`, if that is accepted. Raises Refused if it is not, or cannot be."""
    from frame.audit import queries

    with store.reading() as connection:
        nodes, edges = queries.nodes_of(connection, number), queries.edges_of(connection, number)
    found = changes(details, nodes, edges, compiled)
    if found and (found.topology or not accept):
        raise _refused(details.summary.run_id, found, remedies)
    return found.all


def _refused(run_id: str, found: Changes, remedies: Remedies) -> Refused:
    lines = [f"  {line}" for line in found.all[:MOST_CHANGES]]
    if len(found.all) > MOST_CHANGES:
        lines.append(f"  and {len(found.all) - MOST_CHANGES} more")
    remedy = remedies.topology if found.topology else remedies.accept
    return Refused("\n".join([f"run {run_id} ran another pipeline than there is now:", *lines, remedy]))


def changes(
    details: "RunDetails", nodes: "Sequence[NodeRecord]", edges: "Sequence[EdgeRecord]", compiled: Compiled
) -> Changes:
    """What is different in `compiled` from what `details`, `nodes` and `edges` say of a run."""
    from frame.audit.opening import describe

    now_nodes, now_edges = describe(compiled.graph)
    return Changes(
        tuple(_topology(nodes, now_nodes)) or tuple(_ways(nodes, edges, now_edges)),
        tuple(_options(details.config.get("pipeline", {}), pipeline_of(compiled))),
        tuple(_code(nodes, now_nodes)),
    )


def _topology(then: "Sequence[NodeRecord]", now: "Sequence[NodeOpening]") -> Iterator[str]:
    kinds_then = {node.name: node.kind for node in then}
    kinds_now = {node.name: node.kind for node in now}
    for name in kinds_then.keys() - kinds_now.keys():
        yield f"{kinds_then[name]} {name!r} is gone"
    for name in kinds_now.keys() - kinds_then.keys():
        yield f"{kinds_now[name]} {name!r} is new"
    for name in kinds_then.keys() & kinds_now.keys():
        if kinds_then[name] != kinds_now[name]:
            yield f"{name!r} was a {kinds_then[name]} and is a {kinds_now[name]}"
    if list(kinds_then) != list(kinds_now) and kinds_then == kinds_now:
        yield f"the order of the nodes was {', '.join(kinds_then)} and is {', '.join(kinds_now)}"


def _ways(nodes: "Sequence[NodeRecord]", then: Sequence[Any], now: Sequence[Any]) -> Iterator[str]:
    names = {node.node: node.name for node in nodes}
    before, after = ({(e.origin, e.target, e.label, e.mode) for e in edges} for edges in (then, now))
    for gone, which in ((before - after, "is gone"), (after - before, "is new")):
        for origin, target, label, _ in sorted(gone):
            by = f" by {label!r}" if label else ""
            yield f"the way from {names[origin]!r} to {names[target]!r}{by} {which}"


def _options(then: Any, now: Any, path: str = "") -> Iterator[str]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*then, *now)):
            if path or name not in ELSEWHERE:
                yield from _options(then.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _options(one, other, f"{path}[{index}]")
    elif then != now:
        yield f"{path} was {_shown(then)} and is {_shown(now)}"


def _shown(value: Any) -> str:
    text = "not set" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _code(then: "Sequence[NodeRecord]", now: "Sequence[NodeOpening]") -> Iterator[str]:
    current = {node.name: node for node in now}
    for node in then:
        other = current.get(node.name)
        if (
            other is None
            or node.plugin is None
            or (node.plugin, node.package) != (other.plugin, other.package)
        ):
            continue
        differing = [name for name in CODE if getattr(node, name) != getattr(other, name)]
        if differing:
            was, is_now = (_identity(each, differing) for each in (node, other))
            yield f"{node.name!r} ran with {node.package}.{node.plugin} of {was}, and {is_now} is installed"


def _identity(node: Any, differing: Sequence[str]) -> str:
    text = f"{node.distribution} {node.version}"
    if "version" not in differing and "record_sha256" in differing:
        text += f" (files {(node.record_sha256 or 'not known')[:12]})"
    return text
