"""The way back from a token to its source rows and forward to its sink rows, by the record alone.

Tokens are found through the segments that speak of them; nothing here reads a run from end to end. What the data
was is not asked here: that may take a plugin, which the audit package does not know.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.batches import BatchRecord, members_of, passthrough_digest, read_batch
from frame.audit.dead_letter_states import States
from frame.audit.decoding import error_of
from frame.audit.kept import CallRecord, calls_of, payload_of, payload_with_digest
from frame.audit.lineage_births import Births
from frame.audit.linked_runs import origin_of
from frame.audit.payloads import decompress, with_data
from frame.audit.purge import purge_of
from frame.audit.runs import EdgeRecord, NodeRecord, RunDetails, describe_run, edges_of, nodes_of, run_events
from frame.audit.sinks import artifacts_of, token_at, tokens_written, writes_of
from frame.audit.stories import Birth, Step, Story, read_story, token_of_row
from frame.audit.tokens import TokenOutcome, Visit, birth_digest, children_of, outcome_of, visits_of
from frame.events import ErrorInfo, PayloadKind

Stored = Row[Any]
KEPT_STORIES = 4096


@dataclass(frozen=True, slots=True)
class TokenStep:
    """Something that the record says of a token. `kind` is the event's; `visit` is None if it is no attempt.

    `target`: the node that an on_error clause or a refusing sink sends the token on to.
    """

    kind: str
    step: Step
    node: int | None
    visit: Visit | None
    error: ErrorInfo | None = None
    target: int | None = None

    @property
    def segment(self) -> Stored:
        """The stored event."""
        return self.step.segment


@dataclass(frozen=True, slots=True)
class FlushAttempt:
    """An attempt to flush a batch that failed."""

    attempt: int
    status: str
    started_us: int
    duration_us: int
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class Outbox:
    """What was handed to a sink for one token. `intact`: the whole write has the SHA-256 that is on record."""

    form: bytes
    intact: bool


class Lineage:
    """One run of the record, asked token by token. What was read is remembered; `connection` stays the caller's."""

    def __init__(self, connection: Connection, run: int) -> None:
        self._connection, self._run = connection, run
        self.nodes: Sequence[NodeRecord] = nodes_of(connection, run)
        self.edges: Sequence[EdgeRecord] = edges_of(connection, run)
        self.births = Births(connection, run)
        self.story = lru_cache(KEPT_STORIES)(self._story)
        self.batch = lru_cache(KEPT_STORIES)(self._batch)
        self._calls = lru_cache(KEPT_STORIES)(self._read_calls)
        self._clauses = self._error_clauses()
        self._before: dict[int, dict[int, int]] = {}
        self._artifacts = {made.node: made for made in artifacts_of(connection, run)}

    # --- The run --------------------------------------------------------------------------------

    @property
    def origin_run_id(self) -> str | None:
        """The run whose tokens this one carries on, None if it read a source."""
        return origin_of(self._connection, self._run)

    def states(self, run_id: str, now_us: int) -> States:
        """What has been done about the run's dead letters."""
        return States(self._connection, run_id, now_us)

    def describe(self, now_us: int) -> RunDetails:
        """Everything about the run as a whole."""
        return describe_run(self._connection, self._run, now_us)

    def absence(self) -> str:
        """Why bytes that could be kept are not on record."""
        purge = purge_of(self._connection, self._run)
        return "its bytes are not on record" if purge is None else str(purge)

    def evidence(self) -> dict[int, Mapping[str, Any]]:
        """What plugins said of the data that they read, by node."""
        events = run_events(self._connection, self._run)
        return {
            event.node: event.detail
            for event in events
            if event.kind == "evidence" and event.node is not None
        }

    def token_of_row(self, row: int) -> int:
        """The token that source row number `row` became. Raises UsageError if there is no such row."""
        return token_of_row(self._connection, self._run, row)

    def token_at(self, sink: int, index: int) -> int:
        """The token whose row a sink took as number `index`, from 0. Raises UsageError if there is none."""
        return token_at(self._connection, self._run, sink, index)

    # --- Tokens ---------------------------------------------------------------------------------

    def _story(self, token: int) -> Story:
        return read_story(self._connection, self._run, token)

    def steps(self, token: int) -> Iterator[TokenStep]:
        """Everything that happened to a token, in order, with the digests of what went in and came out."""
        story = self.story(token)
        visits = visits_of(self._connection, self._run, story)
        for step in story.steps:
            visit = next(visits) if step.segment.status is not None else None
            yield self._step(token, step, visit)

    def story_steps(self, token: int) -> Iterator[Stored]:
        """The stored events that speak of a token, in order."""
        return (step.segment for step in self.story(token).steps)

    def _step(self, token: int, step: Step, visit: Visit | None) -> TokenStep:
        segment, error, target = step.segment, None, None
        if segment.kind in {"failed", "merge_failed", "abandoned", "row_invalid"}:
            error = self._error_at(segment)
        if segment.kind == "failed" and segment.clause is not None and not segment.reached_limit:
            target = self.clause_target(segment.node, segment.clause)
        if segment.kind == "row_invalid":
            target = segment.target
        if segment.kind == "sink_intended":
            target = self._fallback(token, segment)
        node = segment.node if segment.kind != "row_invalid" else 0
        return TokenStep(segment.kind, step, node, visit, error or (visit.error if visit else None), target)

    def outcome(self, token: int) -> TokenOutcome | None:
        """How a token ended, None while it is open."""
        return outcome_of(self._connection, self._run, self.story(token))

    def children(self, token: int) -> Sequence[int]:
        """The tokens that carry a token on; for a member of a batch, the batch's outputs."""
        return children_of(self._connection, self._run, self.story(token))

    def birth_digest(self, birth: Birth) -> bytes | None:
        """The digest of the row that a token came with."""
        return birth_digest(self._connection, self._run, birth)

    def branch_of(self, token: int, group: int) -> int | None:
        """The first node of the branch of fork `group` that `token` stands for; None if it does not."""
        while True:
            birth = self.births.of(token)
            parents = self.births.parents(birth)
            if birth.kind == "fork":
                if parents[0] != group:
                    return None
                return self.branches(birth)[self.births.index(birth)]
            if birth.kind != "merge":
                return None
            # A merged token takes the place of the token that was forked.
            token = self.births.group(birth)

    def branches(self, birth: Birth) -> list[int]:
        """The nodes that the branches of the fork lead to which `birth` is of."""
        segment = birth.segment
        return [
            edge.target
            for edge in self.edges
            if (edge.origin, edge.label, edge.mode) == (segment.node, segment.label, "fork")
        ]

    # --- Ways -----------------------------------------------------------------------------------

    def onward(self, node: int, label: str = "continue") -> list[int]:
        """The nodes that the way `label` out of `node` leads to."""
        ways = [edge for edge in self.edges if edge.origin == node and edge.label == label]
        return [edge.target for edge in ways if edge.mode != "error"]

    def clause_target(self, node: int, clause: int) -> int | None:
        """Where an on_error clause leads, None for discard."""
        return self._clauses.get((node, clause))

    def _error_clauses(self) -> dict[tuple[int, int], int | None]:
        clauses = schema.error_clauses.c
        found = select(clauses.node, clauses.clause, clauses.target).where(clauses.run == self._run)
        return {(row.node, row.clause): row.target for row in self._connection.execute(found)}

    # --- Batches --------------------------------------------------------------------------------

    def _batch(self, number: int) -> BatchRecord:
        return read_batch(self._connection, self._run, number)

    def members(self, batch: int) -> Iterator[int]:
        """The members of a batch, in the order in which they were accepted, not all at once in memory."""
        return members_of(self._connection, self._run, batch)

    def passthrough_digest(self, batch: int, token: int) -> bytes | None:
        """The digest of what a member of a passthrough batch carries on with."""
        return passthrough_digest(self._connection, self._run, batch, token)

    def flush_attempts(self, batch: int) -> list[FlushAttempt]:
        """The attempts to flush a batch that failed, in order."""
        s = schema.segments
        mine = s.c.run == self._run, s.c.batch == batch, s.c.batch.is_not(None)
        wanted = select(s).where(*mine, s.c.kind == "batch_attempt_failed")
        found = self._connection.execute(wanted.order_by(s.c.chunk, s.c.position)).all()
        return [
            FlushAttempt(row.attempt, row.status, row.started_us, row.duration_us, error)
            for row in found
            if (error := self._error_at(row)) is not None
        ]

    def _error_at(self, segment: Stored) -> ErrorInfo | None:
        e = schema.errors
        key = e.c.run == segment.run, e.c.chunk == segment.chunk, e.c.position == segment.position
        row = self._connection.execute(select(e).where(*key)).first()
        return None if row is None else error_of(row)

    # --- Sinks ----------------------------------------------------------------------------------

    def _fallback(self, token: int, segment: Stored) -> int | None:
        r = schema.rejections.c
        mine = r.run == self._run, r.node == segment.node, r.intent == segment.intent, r.token == token
        fallback: int | None = self._connection.scalar(select(r.fallback).where(*mine))
        return fallback

    def is_refused(self, token: int, segment: Stored) -> bool:
        """Whether the sink refused the token in the write that `segment` announces."""
        r = schema.rejections.c
        mine = r.run == self._run, r.node == segment.node, r.intent == segment.intent, r.token == token
        return self._connection.execute(select(r.number).where(*mine)).first() is not None

    def sink_index(self, node: int, intent: int, token: int) -> int | None:
        """The place of a token's row among all that a sink has taken; None if it was refused or is in doubt."""
        before = self._rows_before(node).get(intent)
        if before is None:
            return None
        for place, each in enumerate(tokens_written(self._connection, self._run, node, intent)):
            if each == token:
                return before + place
        return None

    def _rows_before(self, node: int) -> dict[int, int]:
        """How many rows a sink had taken before each confirmed write."""
        if node not in self._before:
            counts, rows = {}, 0
            for write in writes_of(self._connection, self._run, node):
                if write.confirmed:
                    counts[write.intent] = rows
                    rows += write.rows - write.rejected
            self._before[node] = counts
        return self._before[node]

    def write_key(self, node: int, intent: int) -> str:
        """The key under which a write was handed to the sink."""
        i = schema.intents.c
        mine = i.run == self._run, i.node == node, i.intent == intent
        return str(self._connection.scalar(select(i.write_key).where(*mine)))

    def artifact(self, node: int) -> tuple[str | None, bytes | None]:
        """URI and SHA-256 of what a sink has published."""
        made = self._artifacts.get(node)
        return (None, None) if made is None else (made.uri, made.sha256)

    def outbox(self, step: Step) -> Outbox | None:
        """What was handed to a sink for the token of `step`; None if it was not kept.

        Raises AuditError if the block is damaged.
        """
        segment, b = step.segment, schema.payload_blocks
        of_write = b.c.run == self._run, b.c.chunk == segment.chunk, b.c.node == segment.node
        wanted = with_data(b.c.size).where(
            *of_write, b.c.kind == PayloadKind.OUTBOX.value, b.c.intent == segment.intent
        )
        blocks = self._connection.execute(wanted.order_by(b.c.number, b.c.part)).all()
        if any(block.data is None for block in blocks):
            return None
        forms = [form for block in blocks for form in decompress(block.size, block.data)]
        place = step.place + self._tokens_before(segment)
        if place >= len(forms):
            return None
        i = schema.intents.c
        mine = i.run == self._run, i.node == segment.node, i.intent == segment.intent
        content = hashlib.sha256(b"\n".join(forms) + b"\n").digest()
        recorded = self._connection.scalar(select(i.content_sha256).where(*mine))
        return Outbox(forms[place], content == recorded)

    def _tokens_before(self, segment: Stored) -> int:
        """How many tokens the earlier parts of the same event have."""
        if segment.part == 0:
            return 0
        s = schema.segments.c
        same = s.run == self._run, s.chunk == segment.chunk, s.position == segment.position
        return sum(self._connection.scalars(select(s.size).where(*same, s.part < segment.part)))

    # --- Payloads and calls ---------------------------------------------------------------------

    def payload(
        self, kind: PayloadKind, token: int, node: int | None = None, visit: int | None = None
    ) -> bytes | None:
        """Bytes that were kept for a token. Raises AuditError if they are damaged."""
        return payload_of(self._connection, self._run, kind, token, node, visit)

    def body(self, digest: bytes) -> bytes | None:
        """The request or answer of a call. Raises AuditError if it is damaged."""
        return payload_with_digest(self._connection, self._run, digest)

    def calls(self, token: int | None, node: int, visit: int) -> list[CallRecord]:
        """The external calls that were made for a token at a node, or beside any token when that is None."""
        return [call for call in self._calls(token) if call.node == node and call.visit == visit]

    def _read_calls(self, token: int | None) -> list[CallRecord]:
        if token is not None:
            return calls_of(self._connection, self._run, token)
        c = schema.calls
        found = select(c).where(c.c.run == self._run, c.c.token.is_(None)).order_by(c.c.chunk, c.c.position)
        return [CallRecord(*row[3:]) for row in self._connection.execute(found)]
