"""The loop of a run: a chunk in, through the nodes, on record, written.

For each chunk (DESIGN §7):

1. read rows, and where the source stands after them;
2. let the scheduler say what is to be done until nothing can move;
3. announce what the sinks will get, and commit: events, payloads, position, outbox;
4. write the sinks and make them durable;
5. the confirmations ride in the next chunk's commit, or in one of their own when the source waits.

While one chunk is being made durable the next one may be worked on; no sink is touched before its intent is.

A run that goes on begins where its record ends (`resumption.py`); from there on it is the same loop.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from frame.clock import Clock
from frame.counters import counters_from
from frame.engine.assembly import Assembly
from frame.engine.commits import Commits
from frame.engine.context import RunFacts
from frame.engine.failures import error_from
from frame.engine.inflight import InFlight
from frame.engine.nodes import Surroundings
from frame.engine.reader import Read
from frame.engine.recorder import Listener, Recorder
from frame.engine.redaction import Redactor
from frame.engine.result import RunResult, Tally
from frame.engine.standing import Standing
from frame.engine.writer import Delivery, Writer
from frame.errors import AuditError, FrameBug, FrameError, SourceError
from frame.events import (
    BatchFailed,
    ErrorInfo,
    Event,
    Failed,
    Noted,
    RunStatus,
    VisitsBegun,
)
from frame.failpoints import reached
from frame.garbage import collecting_rarely
from frame.graph.model import Graph
from frame.plugin.protocols import Determinism
from frame.scheduler.scheduler import Scheduler
from frame.scheduler.state import RunState
from frame.scheduler.work import Accept, Answer, Evaluate, Process, Work, alone

if TYPE_CHECKING:
    from frame.engine.resumption import Resumption

IDLE_S = 1.0
"""How long to wait for rows before looking around: at the lease, at the wish to stop."""

LEASE_RENEWALS = 4
"""A lease is renewed so many times while it lasts."""

IN_DOUBT = frozenset({Determinism.EXTERNAL_CALL, Determinism.IO_WRITE})
"""Visits of these nodes are announced on record before the call, since a crash would leave them in doubt."""


class Aborted(FrameError):
    """`abort_on_error` is set, and a token has failed that nothing catches."""

    def __init__(self, node: str, error: ErrorInfo) -> None:
        super().__init__(node, error)
        self.node, self.error = node, error

    def __str__(self) -> str:
        return f"node {self.node!r} failed and abort_on_error is set: {self.error.type}: {self.error.message}"


class Runner:
    """Runs one pipeline once, or goes on with a run.

    `stop`: set it to have the run end after the chunk in hand. `listeners` hear each chunk after its commit.
    `resumption`: what is left of the run to go on with; without it a new run begins.
    """

    def __init__(
        self,
        graph: Graph,
        recorder: Recorder,
        clock: Clock,
        *,
        stop: threading.Event | None = None,
        listeners: Sequence[Listener] = (),
        redactor: Redactor | None = None,
        write_beside: bool = True,
        resumption: "Resumption | None" = None,
    ) -> None:
        stands = Standing(RunState(graph), Tally(graph)) if resumption is None else resumption.stands
        self._graph, self._recorder, self._run_id, self._clock = graph, recorder, recorder.run_id, clock
        self._stop = stop or threading.Event()
        self._redactor = redactor or Redactor()
        self._resumption, self._stands = resumption, stands
        self._scheduler = Scheduler(graph, stands.state)
        self._inflight = InFlight()
        self._writer = Writer(recorder, listeners, write_beside)
        self._commits = Commits(recorder.run_id, stands, self._scheduler, self._inflight, self._writer)
        facts = RunFacts(recorder.run_id, graph.settings.seed, clock, self._redactor)
        self._around = Surroundings(facts, self._stop, self._stay_alive, self._commits.note)
        self._assembly: Assembly | None = None
        self._careful = self._catching_up = False
        self._commits.opened_us = self._lease_us = self._started_us = clock.time_us()
        self._renewal_us = round(recorder.lease_s * 1_000_000 / LEASE_RENEWALS)

    @property
    def assembly(self) -> Assembly:
        """The plugins and executors, once they are built."""
        assert self._assembly is not None
        return self._assembly

    # --- From beginning to end ------------------------------------------------------------------

    def run(self) -> RunResult:
        """The result, whatever happened to rows, source and sinks. Raises AuditError: then nothing is certain."""
        try:
            return self._end(self._run())
        finally:
            self._writer.close()

    def _run(self) -> BaseException | None:
        """Why the run did not come to its end, if it did not."""
        cause: BaseException | None = None
        try:
            if self._begin():
                with collecting_rarely():
                    self._loop()
            if self._scheduler.state.is_done:
                for artifact in self.assembly.finish():
                    self._scheduler.record(artifact)
        except AuditError:
            raise
        except Exception as error:  # noqa: BLE001 - the result says why the run ended
            cause = error
            self._let_writes_end()
            if isinstance(error, Aborted):
                self._scheduler.abandon(error.error)
        finally:
            self._close()
        return cause

    def _begin(self) -> bool:
        """Bring everything to where the run stands; False if it is to stop before that is done."""
        carrying = None if self._resumption is None else self._resumption.carrying
        held = self._inflight, self._commits.payloads
        assembly = self._assembly = Assembly(self._graph, self._around, *held, carrying)
        self._commits.connect(assembly)
        assembly.start()
        if self._resumption is None:
            assembly.open_sinks({})
            reached("after_sinks_opened")
            return True
        self._resumption.restore(assembly, self._inflight)
        reached("after_restore")
        if not self._resumption.find_place(assembly, self._stop):
            return False
        reached("after_seek")
        deliveries = self._resumption.deliveries()
        assembly.open_sinks(self._resumption.positions, self._stands.published)
        reached("after_sinks_taken_back")
        self._take_up(self._resumption, deliveries)
        return True

    def _take_up(self, resumption: "Resumption", deliveries: list[Delivery]) -> None:
        """Put on record what the stop has left open, deliver what was announced, and end the chunk that was in hand.

        In the order of a run that was not stopped: confirmations come when the next chunk is handed over.
        """
        now_us = self._commits.opened_us = self._clock.time_us()
        for event in (*resumption.doubts(self.assembly, now_us), *resumption.repeats(self.assembly, now_us)):
            self._scheduler.record(event)
        for work, answer in resumption.give_up(self._inflight):
            self._settle_work(work, answer)
        self._careful = resumption.careful
        self._commits.note(Noted("resumed", now_us, None, {"careful": self._careful}))
        self._commits.commit()
        self._commits.settle()  # durable before any plugin is called: the next process may have to know of this one
        self._redeliver(deliveries)
        self._catching_up = True
        if self._scheduler.state.waiting or self._scheduler.state.at_sinks:
            self._work()
            self._finish_chunk()
        else:
            self._commits.settle_if_source_waits()

    def _redeliver(self, deliveries: list[Delivery]) -> None:
        if deliveries:
            intents = [delivery.intent.intent for delivery in deliveries]
            self._commits.note(Noted("redelivered", self._clock.time_us(), None, {"intents": intents}))
            self._commits.deliver(deliveries)
            self._commits.commit()

    def _finish_chunk(self) -> None:
        if self._catching_up:
            self._catching_up = self._careful = False
            self._commits.note(Noted("caught_up", self._clock.time_us()))
        self._commits.hand_over()

    def _let_writes_end(self) -> None:
        """Sinks are not closed under a write; the run has failed already, so one that fails now is only noted."""
        try:
            self._commits.settle()
        except AuditError:
            raise
        except Exception as error:  # noqa: BLE001 - a sink may raise anything
            why = error_from(error, self._redactor)
            self._commits.note(
                Noted("write_failed", self._clock.time_us(), None, {"type": why.type, "why": why.message})
            )

    def _close(self) -> None:
        if self._assembly is not None:
            self._assembly.close()
        self._around.close()

    def _end(self, cause: BaseException | None) -> RunResult:
        state = self._scheduler.state
        error = None if cause is None else error_from(cause, self._redactor)
        if error is not None:
            self._commits.note(
                Noted("stopped", self._clock.time_us(), None, {"type": error.type, "why": error.message})
            )
        self._commits.drop_deliveries()
        self._commits.commit()
        self._commits.settle()
        totals = counters_from(state.ended, state.next_row, state.next_token)
        status = self._status(cause, totals)
        now_us = self._clock.time_us()
        reached("before_end")
        self._recorder.finish(status, totals, now_us)
        reached("after_end")
        names = {node.number: node.name for node in self._graph.nodes}
        return RunResult(
            run_id=self._run_id,
            status=status,
            counters=totals,
            nodes={names[number]: counts for number, counts in self._commits.tally.nodes.items()},
            sinks={node.name: self._commits.tally.nodes[node.number].left for node in self._graph.sinks},
            artifacts={names[number]: made for number, made in self._commits.tally.artifacts.items()},
            duration_s=(now_us - self._started_us) / 1_000_000,
            possible_duplicates={
                names[number]: rows for number, rows in self._commits.tally.possible_duplicates.items()
            },
            error=error,
            cause=cause,
        )

    def _status(self, cause: BaseException | None, totals: Mapping[str, int]) -> RunStatus:
        if cause is not None:
            return RunStatus.FAILED
        if not self._scheduler.state.is_done:
            return RunStatus.INTERRUPTED
        if not totals["failed"]:
            return RunStatus.COMPLETED if totals["tokens"] else RunStatus.EMPTY
        return RunStatus.COMPLETED_WITH_FAILURES if totals["succeeded"] else RunStatus.FAILED

    # --- The loop -------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._scheduler.state.is_done:
            read = self._read()
            self._take_in(read)
            self._work()
            self._finish_chunk()
            if read.error is not None:
                raise self._source_failed(read.error)
            if self._stop.is_set():
                break
        self._commits.settle()
        while self._scheduler.pending_writes():
            self._commits.hand_over()
            self._commits.settle()
        self._commits.commit()
        self._commits.settle()

    def _read(self) -> Read:
        self._stay_alive()
        if self._scheduler.state.source_ended:
            return Read(ended=True)
        now_us = self._clock.time_us()
        until_us = now_us + min(round(IDLE_S * 1_000_000), self._renewal_us)
        if self._scheduler.has_events:
            until_us = now_us + round(self._graph.settings.max_latency_s * 1_000_000)
        deadline_us = self._scheduler.next_deadline_us()
        return self.assembly.source.read(
            until_us if deadline_us is None else min(until_us, deadline_us), self._stop
        )

    def _take_in(self, read: Read) -> None:
        if read.rows:
            self._commits.opened_us = self._clock.time_us()
            state = self._scheduler.state
            self._scheduler.read(self.assembly.source.admit(read.rows, state.next_row, state.next_token))
            # Not before the rows are in, or else a run that goes on from there would leave them out.
            self._commits.position = read.position
        if read.ended:
            self._scheduler.end_source()

    def _source_failed(self, error: BaseException) -> BaseException:
        cause = self._redactor.cause(error)
        if isinstance(error, FrameError) and cause is error:
            return error
        failed = SourceError(self._graph.source.name, self._redactor.told(error))
        failed.__cause__ = cause
        return failed

    def _work(self) -> None:
        """Do what the scheduler asks until nothing can move."""
        while (work := self._next_work()) is not None:
            self._announce(work)
            answer = self.assembly.executors[work.node].run(work)
            self._settle_work(work, answer)
            if answer.cancelled:
                return
        state = self._scheduler.state
        if state.source_ended and (state.waiting or state.batches or state.forks):
            raise FrameBug("the source has ended, and rows are left that nothing moves on")

    def _settle_work(self, work: Work, answer: Answer) -> None:
        events = self._scheduler.settle(work, answer, self._clock.time_us())
        self.assembly.executors[work.node].adopt(events)
        self._inflight.follow(events)
        if self._graph.settings.abort_on_error:
            self._abort_if_unhandled(events)

    def _next_work(self) -> Work | None:
        """What is to be done now, after what needed nobody's work has been taken note of."""
        now_us = self._clock.time_us()
        decided = self._scheduler.advance(now_us)
        for event in decided:
            if isinstance(event, BatchFailed):
                self.assembly.executors[event.node].hear(event)
        if self._graph.settings.abort_on_error:
            self._abort_if_unhandled(decided)
        work = self._scheduler.next_work(now_us)
        return work if work is None or not self._careful else alone(work)

    def _announce(self, work: Work) -> None:
        """Put on record, before the call, which visits call the outside world, or may end the process."""
        plugin = getattr(self._graph.nodes[work.node], "plugin", None)
        if plugin is None or not (self._careful or plugin.determinism in IN_DOUBT):
            return
        if isinstance(work, Process | Evaluate):
            visit = work.visit
        elif self._careful and isinstance(work, Accept) and isinstance(work.visits, int):
            visit = work.visits
        else:
            return
        self._scheduler.record(VisitsBegun(work.node, visit, work.tokens, self._clock.time_us()))
        self._commits.settle()
        self._commits.commit()
        self._commits.settle()
        reached("after_announcement")

    def _abort_if_unhandled(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Failed | BatchFailed) and event.clause is None:
                raise Aborted(self._graph.nodes[event.node].name, event.error)

    # --- Beside the rows ------------------------------------------------------------------------

    def _stay_alive(self) -> None:
        now_us = self._clock.time_us()
        if now_us - self._lease_us >= self._renewal_us:
            self._lease_us = now_us
            self._recorder.renew_lease(now_us)
