"""What a run says of itself as a whole: its header, its changes, and the mutable rows that follow from them.

H3 (configuration and graph have the recorded hashes), O1 (the opening is the first commit), F5 (nothing after a good
end), and that `heads` and `run_leases` say what the facts say.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.leases import FREE
from frame.audit.opening import EdgeOpening, NodeOpening, graph_sha256
from frame.audit.text import from_json
from frame.audit.verify.blocks import Chain
from frame.audit.verify.report import Finding
from frame.audit.verify.stored import Commit
from frame.canonical import digest
from frame.events import RunStatus

DERIVED = "it decides only who may write next; what is on record is not touched by it"
ENDED_WELL = ("completed", "completed_with_failures", "empty")


@dataclass(slots=True)
class Standing:
    """What is known of a run from its changes so far."""

    run_id: str
    changes: list[Row[Any]] = field(default_factory=list)
    commits: int = 0
    chunks: int = 0

    @property
    def status(self) -> str:
        return str(self.changes[-1].status) if self.changes else ""

    @property
    def epoch(self) -> int:
        """How often the run has changed hands."""
        return sum(change.kind in ("started", "resumed") for change in self.changes)

    def check(self, commit: Commit) -> Iterator[Finding]:
        """Take in the next commit."""
        if commit.block != self.commits:
            said = f"commit {commit.block} comes where commit {self.commits} is due"
            yield self._finding("chain", said, "run_changes" if not commit.chunks else "chunks", commit.block)
        self.commits = commit.block + 1
        for change in commit.of(schema.run_changes):
            yield from self._change(change, commit)
        for chunk in commit.chunks:
            if chunk.chunk != self.chunks:
                said = f"chunk {chunk.chunk} comes where chunk {self.chunks} is due"
                yield self._finding("order", said, "chunks", commit.block)
            self.chunks = chunk.chunk + 1
        if commit.chunks and self.status != RunStatus.RUNNING:
            said = f"a chunk was committed while the run was {self.status or 'not opened'}"
            yield self._finding("F5", said, "chunks", commit.block)

    def _change(self, change: Row[Any], commit: Commit) -> Iterator[Finding]:
        if change.number != len(self.changes):
            said = f"change {change.number} comes where change {len(self.changes)} is due"
            yield self._finding("order", said, "run_changes", commit.block)
        if self.status in ENDED_WELL:
            yield self._finding(
                "F5", f"the run was {self.status}, and a change follows", "run_changes", commit.block
            )
        self.changes.append(change)

    def _finding(
        self, check: str, what: str, table: str, block: int | None = None, means: str = ""
    ) -> Finding:
        return Finding(check, what, means, table=table, run_id=self.run_id, block=block)

    def mutable(self, connection: Connection, run: int, chain: Chain) -> Iterator[Finding]:
        """What the mutable rows of the run say that the facts do not."""
        heads, leases = schema.heads, schema.run_leases
        head = connection.execute(select(heads).where(heads.c.run == run)).one_or_none()
        lease = connection.execute(select(leases).where(leases.c.run == run)).one_or_none()
        if head is None:
            yield self._finding("derived", "the run has no head", "heads", means=DERIVED)
        elif (head.n, head.epoch, head.hash) != (self.commits, self.epoch, chain.head):
            said = (
                f"the head stands at commit {head.n}, epoch {head.epoch}, and the record at {self.commits}, "
            )
            means = "commits were cut off the end, or the head was changed"
            yield self._finding("derived", f"{said}{self.epoch}", "heads", means=means)
        if lease is None:
            yield self._finding("derived", "the run has no lease", "run_leases", means=DERIVED)
        else:
            yield from self._check_lease(lease)

    def _check_lease(self, lease: Row[Any]) -> Iterator[Finding]:
        held = [change for change in self.changes if change.kind in ("started", "resumed")]
        who = from_json(held[-1].detail) if held else {}
        if (lease.epoch, lease.host, lease.pid) != (self.epoch, who.get("host"), who.get("pid")):
            said = "it is not held by the process that was the last to start or resume the run"
            yield self._finding("derived", said, "run_leases", means=DERIVED)
        if self.status != RunStatus.RUNNING and lease.expires_us != FREE:
            said = f"it runs until {lease.expires_us}, and the run is {self.status}"
            yield self._finding("derived", said, "run_leases", means=DERIVED)


def check_opening(run_id: str, commit: Commit, chained: bool) -> Iterator[Finding]:
    """Whether a run's configuration and graph have the hashes that it was opened with."""
    headers = commit.of(schema.run_headers)
    if len(headers) != 1 or not any(row.kind == "started" for row in commit.of(schema.run_changes)):
        yield Finding("O1", "the first commit of the run does not open it", run_id=run_id, block=0)
        return
    header = headers[0]
    if digest(header.config) != header.config_sha256:
        said = "the configuration has another hash than is recorded"
        yield Finding("H3", said, table="run_headers", run_id=run_id, block=0)
    if _graph_hash(commit, 2 if chained else 1) != header.graph_sha256:
        said = "nodes, edges and on_error clauses have another hash than is recorded"
        yield Finding("H3", said, table="nodes, edges, error_clauses", run_id=run_id, block=0)


def _graph_hash(commit: Commit, version: int) -> bytes:
    ways: dict[int, list[int | None]] = {}
    for clause in commit.of(schema.error_clauses):
        ways.setdefault(clause.node, []).append(clause.target)
    nodes = []
    for row in commit.of(schema.nodes):
        given: dict[str, Any] = {name: getattr(row, name, None) for name in NodeOpening.__slots__}
        given |= {"number": row.node, "options": from_json(row.options), "on_error": ways.get(row.node, [])}
        nodes.append(NodeOpening(**given))
    edges = [EdgeOpening(row.origin, row.target, row.label, row.mode) for row in commit.of(schema.edges)]
    return graph_sha256(nodes, edges, version)
