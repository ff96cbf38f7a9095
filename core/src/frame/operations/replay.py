"""Doing a run over, from its record, to see whether it comes to the same."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frame.clock import Clock, SystemClock
from frame.errors import Refused, UsageError
from frame.operations.changes import Remedies, accepted_changes
from frame.operations.compile import Compiled, Pipeline, compile_pipeline
from frame.operations.grades import Grade, Graded, grade
from frame.operations.recorded import file_of
from frame.operations.stores import store_url
from frame.plugin.registry import Registry

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.queries import RunDetails
    from frame.engine.replay.differences import Difference, FieldDifference, Findings, NodeTally

MOST_DIFFERENCES = 20
REMEDIES = Remedies(
    accept="Put it back as it was, or compare all the same with --accept-changes",
    topology="Put the nodes and their ways back as they were: a run can be compared in its own graph only",
)


@dataclass(frozen=True, slots=True)
class FoundDifference:
    """Something that came out otherwise, with names in place of numbers.

    `row`: the source row that the token goes back to; None for what came out of a batch.
    """

    node: str
    token: int | None
    row: int | None
    batch: int | None
    chunk: int
    recorded: str
    made: str
    fields: "tuple[FieldDifference, ...]"

    def as_json(self) -> dict[str, Any]:
        """The difference as JSON values."""
        return {
            "node": self.node,
            "token": self.token,
            "row": self.row,
            "batch": self.batch,
            "chunk": self.chunk,
            "recorded": self.recorded,
            "made": self.made,
            "fields": {field.name: {"recorded": field.recorded, "made": field.made} for field in self.fields},
        }


@dataclass(frozen=True, slots=True)
class Replayed:
    """What doing a run over came to.

    `nodes`: by name, what was done over there, taken from the record, or not reached because of a difference before
    it. `differences`: the first of `total`. `changes`: what is no longer as it was when the run took place, if that
    was accepted. `live`: the node that was called for real, if one was.
    """

    store: str
    run_id: str
    pipeline: str
    status: str
    grade: Graded
    nodes: "dict[str, NodeTally]"
    total: int
    differences: tuple[FoundDifference, ...]
    changes: tuple[str, ...] = ()
    live: str | None = None

    @property
    def ok(self) -> bool:
        """Whether all came out as it is on record."""
        return not self.total

    @property
    def compared(self) -> int:
        """How many visits, flushes, merges and writes were done over."""
        return sum(tally.compared for tally in self.nodes.values())

    def as_json(self) -> dict[str, Any]:
        """The result as one JSON object."""
        return {
            "schema_version": 1,
            "store": self.store,
            "run": self.run_id,
            "pipeline": self.pipeline,
            "status": self.status,
            "grade": self.grade.grade.value,
            "ok": self.ok,
            "live": self.live,
            "accepted_changes": list(self.changes),
            "nodes": {
                name: {
                    "compared": tally.compared,
                    "taken": tally.taken,
                    "unreached": tally.unreached,
                    "differ": tally.differ,
                }
                for name, tally in self.nodes.items()
            },
            "differences": {
                "total": self.total,
                "first": [difference.as_json() for difference in self.differences],
            },
        }


def replay(
    run: str = "latest",
    *,
    live: str | None = None,
    pipeline: Pipeline | None = None,
    audit: str | None = None,
    accept_changes: bool = False,
    most: int = MOST_DIFFERENCES,
    registry: Registry | None = None,
    clock: Clock | None = None,
) -> Replayed:
    """What doing `run` over comes to: a run id, an unambiguous beginning of one, or "latest".

    Every visit that can be made again is, with the rows, tokens and attempts of then and with the recorded answers
    of the outside world, and all that comes out is held against the record. `live`: a node that is called for real.
    `pipeline`: where its pipeline is now, if not where the record says. `accept_changes`: compare although options
    or plugins are no longer those of the run. `most`: tell so many differences in full.

    Nothing is written, and nobody outside is called but by the node `live`. Raises UsageError if there is no such
    run or node; Refused if the pipeline or its plugins have changed, or if data that is needed is gone.
    """
    from frame.audit import database

    now_us = (clock or SystemClock()).time_us()
    with database.open(store_url(audit, pipeline), to_read=True) as store:
        number, details, graded = _find(store, run, now_us)
        compiled = compile_pipeline(file_of(details, pipeline), registry)
        changed = accepted_changes(store, number, details, compiled, accept=accept_changes, remedies=REMEDIES)
        found = _done_over(store, number, details, compiled, live, most)
        names = {node.number: node.name for node in compiled.graph.nodes}
        return Replayed(
            store=store.where,
            run_id=details.summary.run_id,
            pipeline=details.summary.pipeline,
            status=details.summary.status.value,
            grade=graded,
            nodes={names[node]: tally for node, tally in sorted(found.nodes.items())},
            total=found.total,
            differences=_told(store, number, names, found.first),
            changes=changed,
            live=live,
        )


def _find(store: "Database", run: str, now_us: int) -> "tuple[int, RunDetails, Graded]":
    """Raises Refused if what a replay takes is no longer on record."""
    from frame.audit import queries
    from frame.audit.purge import purge_of

    with store.reading() as connection:
        number = queries.find_run(connection, run)
        details = queries.describe_run(connection, number, now_us)
        purge = purge_of(connection, number)
        graded = grade(queries.nodes_of(connection, number), details.settings, purge)
    if graded.grade is Grade.ATTRIBUTABLE:
        raise Refused(
            f"run {details.summary.run_id} cannot be done over: {graded.because}. `frame explain` still tells what "
            "happened, and `frame verify` proves it"
        )
    return number, details, graded


def _done_over(
    store: "Database", number: int, details: "RunDetails", compiled: Compiled, live: str | None, most: int
) -> "Findings":
    from frame.audit.history import RunHistory
    from frame.engine.replay.replay import Replay
    from frame.garbage import collecting_rarely

    graph, run_id = compiled.graph, details.summary.run_id
    node = None if live is None else _live_node(compiled, live)
    with Replay(graph, run_id, compiled.redactor, live=node, most=most) as over, collecting_rarely():
        for chunk in RunHistory(store, number).chunks():
            over.take_in(chunk)
        return over.findings


def _live_node(compiled: Compiled, name: str) -> int:
    """The number of a node that may be called for real. Raises UsageError."""
    from frame.graph.model import NodeKind

    callable_kinds = NodeKind.TRANSFORM, NodeKind.GATE, NodeKind.AGGREGATION
    nodes = {node.name: node for node in compiled.graph.nodes}
    if name in nodes and nodes[name].kind in callable_kinds and getattr(nodes[name], "plugin", None):
        return nodes[name].number
    if name in nodes:
        raise UsageError(
            f"{name!r} is a {nodes[name].kind.value}; only a transform, a gate or an aggregation with a plugin "
            "can be called for real in a replay"
        )
    able = [node.name for node in nodes.values() if node.kind in callable_kinds]
    raise UsageError(
        f"the pipeline has no node {name!r}; there are {', '.join(able) or 'none that is called'}"
    )


def _told(
    store: "Database", number: int, names: dict[int, str], found: "list[Difference]"
) -> tuple[FoundDifference, ...]:
    from frame.audit.lineage_births import Births

    with store.reading() as connection:
        births = Births(connection, number)
        return tuple(
            FoundDifference(
                names[each.node],
                each.token,
                None if each.token is None else births.root(each.token).row,
                each.batch,
                each.chunk,
                each.recorded,
                each.made,
                each.fields,
            )
            for each in found
        )
