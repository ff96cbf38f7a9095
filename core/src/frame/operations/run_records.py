"""The runs on record: a list, and what one of them came to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from frame.clock import Clock, SystemClock, as_datetime
from frame.operations.grades import Graded, grade
from frame.operations.stores import store_url

if TYPE_CHECKING:
    from frame.audit.contents import DeadLetters, NodeContents, Trouble
    from frame.audit.queries import ArtifactRecord, NodeRecord, RunDetails, RunEvent, RunSummary

MOST_DEAD_LETTERS = 100


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs in one audit store, the newest first."""

    store: str
    runs: tuple["RunSummary", ...]

    def as_json(self) -> dict[str, Any]:
        """The list as one JSON object."""
        return {
            "schema_version": 1,
            "store": self.store,
            "runs": [summary_as_json(each) for each in self.runs],
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run as its record tells it.

    `counts`: by node number. `notes`: what happened to the run as a whole, in order. `counters` are derived from
    the record, whether the run has ended or not. `origin_run_id`: the run whose dead letters this one carries on.
    """

    store: str
    details: "RunDetails"
    counters: Mapping[str, int]
    nodes: tuple["NodeRecord", ...]
    counts: Mapping[int, "NodeContents"]
    artifacts: tuple["ArtifactRecord", ...]
    troubles: tuple["Trouble", ...]
    dead_letters: "DeadLetters"
    notes: tuple["RunEvent", ...]
    origin_run_id: str | None
    grade: Graded

    def name_of(self, node: int | None) -> str:
        """The name of a node, by its number."""
        return next((each.name for each in self.nodes if each.node == node), "")

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object; nodes by name."""
        details = self.details
        return {
            "schema_version": 1,
            "store": self.store,
            **summary_as_json(details.summary),
            "grade": self.grade.grade.value,
            "grade_because": self.grade.because,
            "counters": dict(self.counters),
            "origin_run": self.origin_run_id,
            "frame_version": details.frame_version,
            "python_version": details.python_version,
            "host": details.host,
            "pid": details.pid,
            "seed": details.seed,
            "settings": details.settings,
            "config_sha256": details.config_sha256.hex(),
            "graph_sha256": details.graph_sha256.hex(),
            "chunks": details.chunks,
            "nodes": {node.name: self._node_as_json(node) for node in self.nodes},
            "artifacts": {self.name_of(made.node): _artifact_as_json(made) for made in self.artifacts},
            "errors": [asdict(each) | {"node": self.name_of(each.node)} for each in self.troubles],
            "dead_letters": {
                "total": self.dead_letters.total,
                "first": [
                    asdict(each) | {"node": self.name_of(each.node)} for each in self.dead_letters.first
                ],
            },
            "events": [self._event_as_json(each) for each in self.notes],
        }

    def _node_as_json(self, node: "NodeRecord") -> dict[str, Any]:
        counts = self.counts[node.node]
        return {
            "kind": node.kind,
            "plugin": f"{node.package}.{node.plugin}" if node.plugin else None,
            "distribution": node.distribution,
            "version": node.version,
            "determinism": node.determinism,
            "in": counts.came,
            "out": counts.went,
            "failed": counts.failed,
            "failed_attempts": counts.failed_attempts,
        }

    def _event_as_json(self, event: "RunEvent") -> dict[str, Any]:
        return {
            "kind": event.kind,
            "at": as_datetime(event.at_us).isoformat(),
            "status": event.status,
            "node": self.name_of(event.node) or None,
            "detail": event.detail,
        }


def summary_as_json(run: "RunSummary") -> dict[str, Any]:
    """A run in a list, as JSON values."""
    return {
        "run": run.run_id,
        "pipeline": run.pipeline,
        "status": run.status,
        "started_at": as_datetime(run.started_us).isoformat(),
        "ended_at": None if run.ended_us is None else as_datetime(run.ended_us).isoformat(),
        "counters": run.counters,
    }


def _artifact_as_json(made: "ArtifactRecord") -> dict[str, Any]:
    return {
        "uri": made.uri,
        "size_bytes": made.size_bytes,
        "sha256": None if made.sha256 is None else made.sha256.hex(),
        "rows": made.rows,
    }


def runs(
    audit: str | None = None, pipeline: str | PathLike[str] | None = None, clock: Clock | None = None
) -> Runs:
    """The runs in an audit store; which one, `store_url` says. Raises UsageError if there is none."""
    from frame.audit import database
    from frame.audit.queries import list_runs

    now_us = (clock or SystemClock()).time_us()
    with database.open(store_url(audit, pipeline), to_read=True) as store, store.reading() as connection:
        return Runs(store.where, tuple(list_runs(connection, now_us)))


def run_info(
    run: str,
    audit: str | None = None,
    pipeline: str | PathLike[str] | None = None,
    clock: Clock | None = None,
) -> RunReport:
    """What `run` came to: a run id, an unambiguous beginning of one, or "latest".

    Raises UsageError if there is no such run, or more than one.
    """
    from frame.audit import contents, database, linked_runs, queries
    from frame.audit.purge import purge_of

    now_us = (clock or SystemClock()).time_us()
    with database.open(store_url(audit, pipeline), to_read=True) as store, store.reading() as connection:
        number = queries.find_run(connection, run)
        nodes = tuple(queries.nodes_of(connection, number))
        counted = contents.node_contents(connection, number)
        details = queries.describe_run(connection, number, now_us)
        return RunReport(
            store=store.where,
            details=details,
            counters=queries.counters_of(connection, number),
            nodes=nodes,
            counts={node.node: counted.get(node.node, contents.NodeContents()) for node in nodes},
            artifacts=tuple(queries.artifacts_of(connection, number)),
            troubles=tuple(contents.troubles_of(connection, number)),
            dead_letters=contents.dead_letters_of(connection, number, MOST_DEAD_LETTERS),
            notes=tuple(queries.run_events(connection, number)),
            origin_run_id=linked_runs.origin_of(connection, number),
            grade=grade(nodes, details.settings, purge_of(connection, number)),
        )
