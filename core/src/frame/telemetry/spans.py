"""OpenTelemetry spans of a run: run, in it one a chunk, in that one a node that had work, in that one a failed visit.

Spans are made from recorded events, with the times that the events have. A span a visit would cost more than the
visit (18 µs, measured), so visits have one only where they failed, and a batch where it was flushed; of both at
most a hundred a chunk. Row values and error messages never leave the record: a span has the token's number, the
digest of its row, and the type of the error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frame.events import AttemptFailed, BatchAttemptFailed, BatchFlushed, Chunk, Event, RunStatus, VisitStatus
from frame.telemetry.counts import counted
from frame.telemetry.digests import digest_before
from frame.telemetry.listeners import NodeInfo, RunInfo

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

MOST_DETAILS = 100
"""Spans of failed visits and flushed batches a chunk; a chunk span says how many more there were."""

_BAD_ENDS = (RunStatus.FAILED, RunStatus.CRASHED)
Facts = dict[str, str | int]
Detail = AttemptFailed | BatchAttemptFailed | BatchFlushed


@dataclass(slots=True)
class Work:
    """What one node did in one chunk, and between which times."""

    begins_us: int
    ends_us: int
    visits: int = 0
    failed: int = 0


class SpanListener:
    """Makes the spans of one run with `tracer`."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer
        self._info: RunInfo | None = None
        self._about: dict[int, Facts] = {}
        self._run: Span | None = None

    def run_started(self, info: RunInfo) -> None:
        """Begin the run's span."""
        attributes = {"run.id": info.run_id, "pipeline.name": info.pipeline}
        self._info = info
        self._about = {node.number: _about(info, node) for node in info.nodes}
        self._run = self._tracer.start_span("run", start_time=info.started_us * 1000, attributes=attributes)

    def committed(self, chunk: Chunk, took_us: int) -> None:
        """Make the spans of `chunk`, unless this run was not sampled."""
        if self._info is None or self._run is None or not self._run.is_recording():
            return
        details = [i for i, event in enumerate(chunk.events) if isinstance(event, Detail)]
        attributes: Facts = {"run.id": self._info.run_id, "chunk.number": chunk.number}
        if len(details) > MOST_DETAILS:
            attributes["details.left_out"] = len(details) - MOST_DETAILS
        start_time, end_time = chunk.opened_us * 1000, (chunk.opened_us + took_us) * 1000
        span = self._tracer.start_span(
            "chunk", _inside(self._run), start_time=start_time, attributes=attributes
        )
        nodes = self._nodes(chunk.events, _inside(span))
        for index in details[:MOST_DETAILS]:
            self._detail(chunk.events, index, nodes)
        span.end(end_time)

    def run_finished(self, status: RunStatus, at_us: int) -> None:
        """End the run's span."""
        if self._run is not None:
            self._run.set_attribute("run.status", str(status))
            if status in _BAD_ENDS:
                _mark_failed(self._run)
            self._run.end(at_us * 1000)

    def _nodes(self, events: Sequence[Event], parent: "Context") -> dict[int, "Context"]:
        """A span for each node that worked, ended; node -> the context of what happened inside it."""
        contexts = {}
        for number, work in work_of(events).items():
            attributes = {
                **self._about[number],
                "node.visits": work.visits,
                "node.failures": work.failed,
            }
            span = self._tracer.start_span(
                "node", parent, start_time=work.begins_us * 1000, attributes=attributes
            )
            span.end(work.ends_us * 1000)
            contexts[number] = _inside(span)
        return contexts

    def _detail(self, events: Sequence[Event], index: int, nodes: Mapping[int, "Context"]) -> None:
        event = events[index]
        assert isinstance(event, Detail)
        name = "visit" if isinstance(event, AttemptFailed) else "batch"
        attributes = self._about[event.node] | _facts(event)
        if isinstance(event, AttemptFailed):
            digest = digest_before(events, index, event.token)
            attributes |= {"input.hash": digest.hex()} if digest else {}
        span = self._tracer.start_span(
            name, nodes[event.node], start_time=event.started_us * 1000, attributes=attributes
        )
        if not isinstance(event, BatchFlushed):
            _mark_failed(span)
        span.end((event.started_us + event.duration_us) * 1000)


def work_of(events: Sequence[Event]) -> dict[int, Work]:
    """Node -> what it did, for each node that an event with a time speaks of."""
    work: dict[int, Work] = {}
    for event in events:
        node, begins_us = getattr(event, "node", None), getattr(event, "started_us", None)
        if node is None or begins_us is None:
            continue
        ends_us = begins_us + getattr(event, "duration_us", 0)
        known = work.setdefault(node, Work(begins_us, ends_us))
        known.begins_us, known.ends_us = min(known.begins_us, begins_us), max(known.ends_us, ends_us)
    in_flight: dict[tuple[int, int], int] = {}
    for event in events:
        for node, counts in counted(event, in_flight):
            if node in work:
                work[node].visits += counts.entered
                work[node].failed += counts.failed
    return work


def _about(info: RunInfo, node: NodeInfo) -> Facts:
    about: Facts = {"run.id": info.run_id, "node.name": node.name, "node.kind": str(node.kind)}
    if node.plugin:
        about |= {"plugin.name": node.plugin, "plugin.version": node.version}
    return about


def _facts(event: Detail) -> Facts:
    match event:
        case AttemptFailed(token=token, visit=visit, attempt=attempt, status=status, error=error):
            facts: Facts = {"token.id": token, "visit": visit, "attempt": attempt}
            return facts | _failure(status, error.type)
        case BatchAttemptFailed(batch=batch, attempt=attempt, status=status, error=error):
            return {"batch.id": batch, "attempt": attempt, **_failure(status, error.type)}
        case BatchFlushed(batch=batch, members=members, trigger=trigger):
            return {"batch.id": batch, "batch.size": members, "batch.trigger": str(trigger)}


def _failure(status: VisitStatus, error_type: str) -> Facts:
    return {"status": str(status), "error.type": error_type}


def _inside(span: "Span") -> "Context":
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span)


def _mark_failed(span: "Span") -> None:
    from opentelemetry.trace import StatusCode

    span.set_status(StatusCode.ERROR)
