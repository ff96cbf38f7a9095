"""What has happened goes on record, a chunk at a time, and what was announced to sinks goes to them.

Commit 1 of a chunk has its events, payloads and position, and the intents with what will be written. The sinks are
written when it is durable; what they confirm rides in the next commit. One chunk is under way at most.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

from frame.engine.assembly import Assembly
from frame.engine.inflight import InFlight
from frame.engine.standing import Standing
from frame.engine.writer import Delivery, Writer
from frame.events import Chunk, ErrorInfo, Noted, PayloadKind, Payloads, SinkConfirmed
from frame.scheduler.scheduler import Scheduler
from frame.shapes import shapes_of


class Commits:
    """The commits of a run from where it stands on; `tally` counts its events from the beginning.

    `payloads`: bytes to keep with the chunk in hand; `position`: where the source stands after its rows;
    `opened_us`: since when it is in hand.
    """

    def __init__(
        self, run_id: str, stands: Standing, scheduler: Scheduler, inflight: InFlight, writer: Writer
    ) -> None:
        self._run_id, self._graph, self._scheduler = run_id, stands.state.graph, scheduler
        self._inflight, self._writer = inflight, writer
        self._assembly: Assembly | None = None
        self._notes: deque[Noted] = deque()
        self._deliveries: list[Delivery] = []
        self.payloads: list[Payloads] = []
        self.tally, self._next_chunk = stands.tally, stands.next_chunk
        self.opened_us = 0
        self.position: Any = None

    def connect(self, assembly: Assembly) -> None:
        """Write to the sinks of `assembly`, and take from it what is to be kept."""
        self._assembly = assembly
        for number, sink in assembly.sinks.items():
            self._writer.connect(number, sink)

    def note(self, event: Noted) -> None:
        """Any thread may note something; it is on record with the next commit."""
        self._notes.append(event)

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Let the sinks have these with the next commit, which does not announce them: an earlier one has."""
        self._deliveries += deliveries

    def drop_deliveries(self) -> None:
        """Let the sinks have nothing more: what is announced stays so."""
        self._deliveries.clear()

    def hand_over(self) -> None:
        """Announce the writes of this chunk and let it be committed and written."""
        self._prepare_writes()
        self.settle()
        self._prepare_writes()
        self.commit()
        self._inflight.keep_only(
            token for group in self._scheduler.state.forks.values() for token in group.arrived.values()
        )
        self.settle_if_source_waits()

    def commit(self) -> None:
        """Let what has happened since the last commit be committed, if anything has."""
        self.settle()
        self._take_in_beside()
        events = self._scheduler.take_events()
        if not events and not self.payloads:
            return
        self.tally.add(events)
        chunk = Chunk(self._next_chunk, self.opened_us, events, tuple(self.payloads), self.position)
        self._next_chunk += 1
        self.payloads.clear()
        self.position = None
        deliveries, self._deliveries = self._deliveries, []
        self._writer.hand_over(chunk, deliveries)

    def settle(self) -> None:
        """Wait until the last chunk is durable and written. Raises AuditError or SinkError."""
        written = self._writer.settle()
        for delivery, confirmed in written.confirmed:
            self._take_back(delivery, confirmed)
            self._scheduler.confirm(confirmed)
        if written.error is not None:
            raise written.error

    def settle_if_source_waits(self) -> None:
        """Confirmations are not to wait for a row that may be long in coming."""
        if self._assembly is not None and self._assembly.source.may_wait:
            self.settle()

    def _prepare_writes(self) -> None:
        assert self._assembly is not None
        for write in self._scheduler.pending_writes():
            rows, forms, content_sha256 = self._assembly.sinks[write.node].prepare(write)
            number = self._scheduler.state.next_intent
            key = f"{self._run_id}/{self._graph.nodes[write.node].name}/{number}"
            intent = self._scheduler.intend(write, content_sha256, key)
            whose = PayloadKind.OUTBOX, write.node, write.tokens
            shapes = shapes_of(rows, forms)
            self.payloads.append(Payloads(*whose, forms, intent=intent.intent, shapes=shapes))
            self._deliveries.append(Delivery(intent, rows, forms))

    def _take_back(self, delivery: Delivery, confirmed: SinkConfirmed) -> None:
        """Rows that the sink refused go on to its error sink, with the reason."""
        index_of = (
            {token: index for index, token in enumerate(delivery.intent.tokens)} if confirmed.rejected else {}
        )
        for token, reason, fallback in confirmed.rejected:
            if fallback is not None:
                index = index_of[token]
                self._inflight.put((token,), (delivery.rows[index],), (delivery.forms[index],))
                self._inflight.errors[token] = delivery.intent.node, ErrorInfo("SinkRejected", reason)

    def _take_in_beside(self) -> None:
        """Notes, members of open batches and calls outside of visits become part of the chunk in hand."""
        while self._notes:
            self._scheduler.record(self._notes.popleft())
        if self._assembly is None:
            return
        if self._graph.settings.payloads:
            self._assembly.keep_members()
        for node, log in self._assembly.take_calls():
            for called in log.calls:
                self._scheduler.record(called)
            bodies = list(log.bodies), list(log.bodies.values())
            self.payloads.append(Payloads(PayloadKind.CALLS, node, *bodies))
