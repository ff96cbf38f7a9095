"""The loop of a run: a chunk in, through the nodes, on record, written.

For each chunk (DESIGN §7):

1. read rows, and where the source stands after them;
2. let the scheduler say what is to be done until nothing can move;
3. announce what the sinks will get, and commit: events, payloads, position, outbox;
4. write the sinks and make them durable;
5. the confirmations ride in the next chunk's commit, or in one of their own when the source waits.

While one chunk is being made durable the next one may be worked on; no sink is touched before its intent is.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from frame.clock import Clock
from frame.engine.context import RunFacts
from frame.engine.executors.aggregation import AggregationExecutor, accepting
from frame.engine.executors.base import Executor
from frame.engine.executors.coalesce import CoalesceExecutor
from frame.engine.executors.gate import GateExecutor
from frame.engine.executors.sink import SinkExecutor
from frame.engine.executors.source import SourceExecutor
from frame.engine.executors.transform import TransformExecutor
from frame.engine.failures import error_from
from frame.engine.inflight import InFlight
from frame.engine.nodes import PluginNode, Surroundings
from frame.engine.reader import Read
from frame.engine.recorder import Listener, Recorder
from frame.engine.redaction import Redactor
from frame.engine.result import RunResult, Tally, counters
from frame.engine.typecheck import checker
from frame.errors import AuditError, FrameError, SourceError
from frame.events import (
    BatchFailed,
    Chunk,
    ErrorInfo,
    Event,
    Failed,
    Noted,
    PayloadKind,
    Payloads,
    RunStatus,
    SinkConfirmed,
    SinkIntended,
    VisitsBegun,
)
from frame.graph.model import (
    AggregationNode,
    CallPolicy,
    CoalesceNode,
    GateNode,
    Graph,
    SinkNode,
    SourceNode,
    TransformNode,
)
from frame.graph.schemas import schemas
from frame.plugin.protocols import Determinism
from frame.plugin.schema import Schema
from frame.rows import Row
from frame.scheduler.scheduler import Scheduler
from frame.scheduler.work import Evaluate, Process, Work

IDLE_S = 1.0
"""How long to wait for rows before looking around: at the lease, at the wish to stop."""

LEASE_RENEWAL_US = 15_000_000

IN_DOUBT = frozenset({Determinism.EXTERNAL_CALL, Determinism.IO_WRITE})
"""Visits of these nodes are announced on record before the call, since a crash would leave them in doubt."""


class Aborted(FrameError):
    """`abort_on_error` is set, and a token has failed that nothing catches."""

    def __init__(self, node: str, error: ErrorInfo) -> None:
        super().__init__(node, error)
        self.node, self.error = node, error

    def __str__(self) -> str:
        return f"node {self.node!r} failed and abort_on_error is set: {self.error.type}: {self.error.message}"


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A write that is announced, with the rows that it is about."""

    intent: SinkIntended
    rows: Sequence[Row]
    forms: Sequence[bytes]


class Runner:
    """Runs one pipeline once.

    `stop`: set it to have the run end after the chunk in hand. `listeners` hear each chunk after its commit.
    """

    def __init__(
        self,
        graph: Graph,
        recorder: Recorder,
        run_id: str,
        clock: Clock,
        stop: threading.Event | None = None,
        listeners: Sequence[Listener] = (),
        redactor: Redactor | None = None,
    ) -> None:
        self._graph, self._recorder, self._run_id, self._clock = graph, recorder, run_id, clock
        self._stop, self._listeners = stop or threading.Event(), listeners
        self._redactor = redactor or Redactor()
        self._scheduler = Scheduler(graph)
        self._inflight = InFlight()
        self._payloads: list[Payloads] = []
        facts = RunFacts(run_id, graph.settings.seed, clock, self._redactor)
        self._around = Surroundings(facts, self._stop, self._stay_alive, self._note)
        self._plugins: list[PluginNode] = []
        self._executors: dict[int, Executor] = {}
        self._sinks: dict[int, SinkExecutor] = {}
        self._source: SourceExecutor | None = None
        self._tally = Tally.of(graph)
        self._chunk_number = 0
        self._opened_us = self._lease_us = self._started_us = clock.time_us()
        self._position: Any = None
        self._deliveries: list[_Delivery] = []
        self._pending: tuple[Future[None], Chunk, list[_Delivery]] | None = None

    # --- From beginning to end ------------------------------------------------------------------

    def run(self) -> RunResult:
        """The result, whatever happened to rows, source and sinks. Raises AuditError: then nothing is certain."""
        cause: BaseException | None = None
        try:
            self._build()
            self._start()
            self._loop()
            if not self._stop.is_set():
                self._publish()
        except AuditError:
            raise
        except Aborted as error:
            cause = error
            self._scheduler.abandon(error.error)
        except Exception as error:
            cause = error
        finally:
            self._close()
        return self._end(cause)

    def _end(self, cause: BaseException | None) -> RunResult:
        state = self._scheduler.state
        error = None if cause is None else error_from(cause, self._redactor)
        if error is not None:
            self._note(
                Noted("stopped", self._clock.time_us(), None, {"type": error.type, "why": error.message})
            )
        self._commit()
        self._settle_pending(deliver=cause is None)
        self._commit()
        self._settle_pending(deliver=False)
        totals = counters(state.ended, state.next_row, state.open_tokens)
        status = self._status(cause, totals)
        now_us = self._clock.time_us()
        self._recorder.finish(status, totals, now_us)
        names = {node.number: node.name for node in self._graph.nodes}
        return RunResult(
            run_id=self._run_id,
            status=status,
            counters=totals,
            nodes={names[number]: counts for number, counts in self._tally.nodes.items()},
            sinks={node.name: self._tally.nodes[node.number].went for node in self._graph.sinks},
            artifacts={names[number]: made for number, made in self._tally.artifacts.items()},
            duration_s=(now_us - self._started_us) / 1_000_000,
            error=error,
            cause=cause,
        )

    def _status(self, cause: BaseException | None, totals: Mapping[str, int]) -> RunStatus:
        if cause is not None:
            return RunStatus.FAILED
        if self._stop.is_set() and not self._is_done():
            return RunStatus.INTERRUPTED
        if not totals["failed"]:
            return RunStatus.COMPLETED if totals["rows"] else RunStatus.EMPTY
        return RunStatus.COMPLETED_WITH_FAILURES if totals["succeeded"] else RunStatus.FAILED

    # --- Plugins --------------------------------------------------------------------------------

    def _build(self) -> None:
        incoming = schemas(self._graph)
        for node in self._graph.nodes:
            match node:
                case SourceNode():
                    self._source = SourceExecutor(
                        node,
                        self._plugin(node, CallPolicy()),
                        self._graph.settings,
                        self._around,
                        self._inflight,
                        self._payloads,
                    )
                case TransformNode():
                    plugin = self._plugin(node, node.policy, lambda plugin: plugin.process)
                    given = incoming.get(node.number, Schema())
                    check = checker(plugin.plugin.provides(given), given)
                    self._executors[node.number] = TransformExecutor(node, plugin, check, *self._shared())
                case GateNode():
                    gate = None
                    if node.plugin is not None:
                        gate = self._plugin(node, node.policy, lambda plugin: plugin.evaluate)
                    self._executors[node.number] = GateExecutor(node, gate, *self._shared())
                case AggregationNode():
                    plugin = self._plugin(node, accepting(node.policy), _accept)
                    self._executors[node.number] = AggregationExecutor(node, plugin, *self._shared())
                case CoalesceNode():
                    self._executors[node.number] = CoalesceExecutor(node, *self._shared())
                case SinkNode():
                    assert self._source is not None
                    self._sinks[node.number] = SinkExecutor(
                        node,
                        self._plugin(node, node.policy),
                        self._graph,
                        self._around,
                        self._inflight,
                        self._source.originals,
                    )

    def _plugin(self, node: Any, policy: CallPolicy, call_of: Any = None) -> PluginNode:
        extra = () if call_of is None else (call_of,)
        plugin = PluginNode(node.number, node.name, node.plugin, policy, self._around, *extra)
        self._plugins.append(plugin)
        return plugin

    def _shared(self) -> tuple[Surroundings, InFlight, list[Payloads]]:
        return self._around, self._inflight, self._payloads

    def _start(self) -> None:
        for plugin in self._plugins:
            plugin.start()
            if plugin.number:
                self._note_evidence(plugin)
        for sink in self._sinks.values():
            sink.open()

    def _note_evidence(self, plugin: PluginNode) -> None:
        evidence = plugin.evidence()
        if evidence:
            self._around.note("evidence", plugin.number, **evidence)

    def _publish(self) -> None:
        """Everything is written: let every plugin finish, the sinks last."""
        self._note_evidence(self._plugins[0])
        for plugin in self._plugins:
            if plugin.number not in self._sinks:
                plugin.finish()
        for sink in self._sinks.values():
            made = sink.publish()
            if made is not None:
                self._scheduler.record(made)

    def _close(self) -> None:
        for plugin in reversed(self._plugins):
            plugin.close()
        self._around.close()

    # --- The loop -------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._is_done():
            read = self._read()
            self._take_in(read)
            self._work()
            self._hand_over()
            if read.error is not None:
                raise self._source_failed(read.error)
            if self._stop.is_set():
                break
        self._settle_pending(deliver=True)
        while self._scheduler.pending_writes():
            self._hand_over()
            self._settle_pending(deliver=True)
        self._commit()

    def _is_done(self) -> bool:
        state = self._scheduler.state
        if not state.source_ended:
            return False
        return not (state.waiting or state.at_sinks or state.batches or state.forks)

    def _read(self) -> Read:
        assert self._source is not None
        self._stay_alive()
        if self._scheduler.state.source_ended:
            return Read(ended=True)
        now_us = self._clock.time_us()
        until_us = now_us + round(IDLE_S * 1_000_000)
        if self._scheduler.has_events:
            until_us = now_us + round(self._graph.settings.max_latency_s * 1_000_000)
        deadline_us = self._scheduler.next_deadline_us()
        return self._source.read(until_us if deadline_us is None else min(until_us, deadline_us), self._stop)

    def _take_in(self, read: Read) -> None:
        assert self._source is not None
        if read.rows:
            self._opened_us = self._clock.time_us()
            self._position = read.position
            state = self._scheduler.state
            self._scheduler.read(self._source.admit(read.rows, state.next_row, state.next_token))
        if read.ended:
            self._scheduler.end_source()

    def _source_failed(self, error: BaseException) -> BaseException:
        if isinstance(error, FrameError):
            return error
        why = self._redactor.text(f"{type(error).__name__}: {error}")
        failed = SourceError(self._graph.source.name, why)
        failed.__cause__ = error
        return failed

    def _work(self) -> None:
        """Do what the scheduler asks until nothing can move."""
        while (work := self._scheduler.next_work(self._clock.time_us())) is not None:
            executor = self._executors[work.node]
            self._announce(work)
            answer = executor.run(work)
            events = self._scheduler.settle(work, answer, self._clock.time_us())
            executor.adopt(events)
            self._inflight.follow(events)
            if self._graph.settings.abort_on_error:
                self._abort_if_unhandled(events)

    def _announce(self, work: Work) -> None:
        """Put on record, before the call, which visits call the outside world."""
        if not isinstance(work, Process | Evaluate):
            return
        plugin = getattr(self._graph.nodes[work.node], "plugin", None)
        if plugin is not None and plugin.determinism in IN_DOUBT:
            self._scheduler.record(VisitsBegun(work.node, work.visit, work.tokens, self._clock.time_us()))
            self._settle_pending(deliver=True)
            self._commit()
            self._settle_pending(deliver=True)

    def _abort_if_unhandled(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Failed | BatchFailed) and event.clause is None:
                raise Aborted(self._graph.nodes[event.node].name, event.error)

    # --- Commits and writes ---------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Announce the writes of this chunk, commit it, and write as soon as that is durable."""
        self._prepare_writes()
        self._settle_pending(deliver=True)
        self._prepare_writes()
        self._inflight.keep_only(
            token for group in self._scheduler.state.forks.values() for token in group.arrived.values()
        )
        self._commit()
        if self._pending is not None and (self._pending[0].done() or self._source_may_wait()):
            self._settle_pending(deliver=True)

    def _source_may_wait(self) -> bool:
        may_wait: bool = self._plugins[0].plugin.may_wait()
        return may_wait

    def _prepare_writes(self) -> None:
        for write in self._scheduler.pending_writes():
            rows, forms, content_sha256 = self._sinks[write.node].prepare(write)
            number = self._scheduler.state.next_intent
            key = f"{self._run_id}/{self._graph.nodes[write.node].name}/{number}"
            intent = self._scheduler.intend(write, content_sha256, key)
            outbox = Payloads(PayloadKind.OUTBOX, write.node, write.tokens, forms, intent=intent.intent)
            self._payloads.append(outbox)
            self._deliveries.append(_Delivery(intent, rows, forms))

    def _commit(self) -> None:
        events = self._scheduler.take_events()
        if not events and not self._payloads:
            return
        self._tally.add(events)
        chunk = Chunk(self._chunk_number, self._opened_us, events, tuple(self._payloads), self._position)
        self._chunk_number += 1
        self._payloads.clear()
        self._position = None
        deliveries, self._deliveries = self._deliveries, []
        self._settle_pending(deliver=False)
        self._pending = self._recorder.submit(chunk), chunk, deliveries

    def _settle_pending(self, deliver: bool) -> None:
        """Wait until the last chunk is durable, tell the listeners, and write what it announced."""
        if self._pending is None:
            return
        (future, chunk, deliveries), self._pending = self._pending, None
        future.result()
        for listener in self._listeners:
            listener.committed(chunk)
        for delivery in deliveries if deliver else ():
            confirmed = self._sinks[delivery.intent.node].deliver(delivery.intent, delivery.rows)
            self._take_back(delivery, confirmed)
            self._scheduler.confirm(confirmed)

    def _take_back(self, delivery: _Delivery, confirmed: SinkConfirmed) -> None:
        """Rows that the sink refused go on to its error sink, with the reason."""
        index_of = (
            {token: index for index, token in enumerate(delivery.intent.tokens)} if confirmed.rejected else {}
        )
        for token, reason, fallback in confirmed.rejected:
            if fallback is not None:
                index = index_of[token]
                self._inflight.put((token,), (delivery.rows[index],), (delivery.forms[index],))
                self._inflight.errors[token] = delivery.intent.node, ErrorInfo("SinkRejected", reason)

    # --- Beside the rows ------------------------------------------------------------------------

    def _note(self, event: Noted) -> None:
        self._scheduler.record(event)

    def _stay_alive(self) -> None:
        now_us = self._clock.time_us()
        if now_us - self._lease_us >= LEASE_RENEWAL_US:
            self._lease_us = now_us
            self._recorder.renew_lease(now_us)


def _accept(plugin: Any) -> Any:
    return lambda row, _context: plugin.accept(row)
