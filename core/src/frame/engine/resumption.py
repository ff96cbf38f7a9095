"""Going on with a run: its plugins, its source and its sinks are brought to where the record ends.

1. the rows of open tokens are made again, and compared with what the record says of them;
2. aggregations accept the members of their open batches once more;
3. the source seeks its position, or reads again what it has given, every row compared by its digest;
4. each sink goes back to the position that it confirmed last;
5. what was announced to a sink and not confirmed is delivered from the outbox, under the key that it had.

Nothing outside is touched before 4.
"""

import threading
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from frame.canonical import restore
from frame.engine.assembly import Assembly
from frame.engine.carrying import Carrying
from frame.engine.executors.aggregation import AggregationExecutor
from frame.engine.executors.base import fail
from frame.engine.inflight import InFlight
from frame.engine.recorder import History
from frame.engine.reenactment import Reenactment, tokens_under_way
from frame.engine.standing import Standing
from frame.engine.writer import Delivery
from frame.errors import Refused
from frame.events import (
    AttemptFailed,
    ErrorInfo,
    Event,
    Noted,
    PayloadKind,
    RowInvalid,
    RowsRead,
    SinkIntended,
    VisitsBegun,
    VisitStatus,
)
from frame.garbage import collecting_rarely
from frame.graph.model import AggregationNode, AnyNode, GateNode, Graph, TransformNode
from frame.plugin.protocols import Delivery as DeliveryClass
from frame.scheduler.work import (
    Accept,
    Accepted,
    Answer,
    Evaluate,
    Evaluated,
    Process,
    Processed,
    Work,
)
from frame.shapes import restored, shaped

_DIGEST = 32
IN_DOUBT = ErrorInfo(
    "InDoubt", "the process ended during this call, and nobody knows how far it came", retryable=True
)

PROCESS_DIED = ErrorInfo(
    "ProcessDied",
    "three processes in a row ended with this row in hand, and it was not tried once more",
    attempts=3,
)


class Resumption:
    """What is left of a run. `stands`: where it stands, by `history`, its record.

    `carrying`: what it carries on of another run. One that is new is all that, and an empty record.
    """

    def __init__(
        self, graph: Graph, standing: Standing, history: History, carrying: Carrying | None = None
    ) -> None:
        self._graph, self.stands, self._history, self.carrying = graph, standing, history, carrying

    # --- The engine -----------------------------------------------------------------------------

    @collecting_rarely()
    def restore(self, assembly: Assembly, inflight: InFlight) -> None:
        """Give the open tokens their rows, and the open batches their members. Raises Refused."""
        making = Reenactment(self._graph, assembly, inflight)
        for node, batch in self.stands.state.batches.items():
            executor = assembly.executors[node]
            assert isinstance(executor, AggregationExecutor)
            # Not all at once: a batch may hold more rows than fit into memory.
            accepted = zip(self.stands.accepted[batch.number], batch.parts, strict=True)
            for number, parts in groupby(accepted, key=itemgetter(0)):
                members = [token for _, (_, tokens) in parts for token in tokens]
                if not self._take_kept(node, number, members, inflight):
                    making.make(self._history, number + 1, members)
                executor.accept_again(members)
                inflight.keep_only(())
            executor.flushes[batch.number] = self.stands.flushes.get(batch.number, 0)
        making.make(self._history, self.stands.next_chunk, set(tokens_under_way(self.stands.state)))

    def _take_kept(self, node: int, number: int, members: Sequence[int], inflight: InFlight) -> bool:
        """Whether the rows of `members` were kept with chunk `number`, and are in place now."""
        for block in self._history.kept(number, PayloadKind.MEMBERS, node):
            if [*block.keys] == members:
                inflight.put(members, restored(block.items, block.shapes), block.items)
                return True
        return False

    def doubts(self, assembly: Assembly, now_us: int) -> Iterator[AttemptFailed]:
        """The end of the attempts that were under way; those that follow are numbered after all that were made."""
        attempts = self.stands.attempts
        for begun, tokens in self.stands.doubts():
            for token in tokens:
                number = attempts.get((begun.node, begun.visit, token), 0)
                place = begun.node, begun.visit, token, number
                attempts[place[:3]] = number + 1
                lasted_us = max(0, now_us - begun.at_us)
                yield AttemptFailed(*place, VisitStatus.IN_DOUBT, IN_DOUBT, begun.at_us, lasted_us)
        for (number, visit, token), made in attempts.items():
            plugin = assembly.node(number)
            if plugin is not None and isinstance(self._graph.nodes[number], TransformNode | GateNode):
                plugin.made[visit, token] = made

    # --- Rows that end the process ----------------------------------------------------------------

    @property
    def careful(self) -> bool:
        """Whether to have one row in hand at a time, each on record before its call, until a chunk is finished.

        The process has ended twice before that: if a row is the cause, the third time tells which.
        """
        return self.stands.tries > 0

    def give_up(self, inflight: InFlight) -> Iterator[tuple[Work, Answer]]:
        """The visit during which the process has ended again and again, as one that failed."""
        for begun, tokens in self.stands.doubts() if self.stands.careful else ():
            if len(begun.tokens) == 1:
                yield _given_up(self._graph.nodes[begun.node], begun, tokens[0], inflight)

    # --- The source -----------------------------------------------------------------------------

    def find_place(self, assembly: Assembly, stop: threading.Event) -> bool:
        """Bring the source to behind the last row on record. Raises Refused if the input is another one now.

        False if the run is to stop before that is done.
        """
        state, source = self.stands.state, assembly.source
        source.know(self.stands.observed, self.stands.names)
        if state.source_ended or not (state.next_row or self.stands.position):
            return True
        if self.stands.position is not None and source.can_seek:
            source.seek(self.stands.position)
            return True
        return source.skip(self._row_digests(), state.next_row, stop)

    def _row_digests(self) -> Iterator[bytes]:
        for chunk in self._history.chunks(payloads=False):
            for event in chunk.events:
                if isinstance(event, RowsRead):
                    for at in range(0, len(event.digests), _DIGEST):
                        yield event.digests[at : at + _DIGEST]
                elif isinstance(event, RowInvalid):
                    yield event.digest

    # --- The sinks ------------------------------------------------------------------------------

    def deliveries(self) -> list[Delivery]:
        """The writes that are announced and not confirmed, oldest first. Raises Refused if their rows are gone."""
        intents = self.stands.intents
        found: dict[int, Delivery] = {}
        for number in sorted({chunk for chunk, _ in intents.values()}):
            for chunk in self._history.chunks(number, number, payloads=True):
                for block in chunk.payloads:
                    if block.kind is PayloadKind.OUTBOX and block.intent in intents:
                        rows = shaped(list(map(restore, block.items)), block.shapes)
                        found[block.intent] = Delivery(intents[block.intent][1], rows, block.items)
        lost = sorted({self._graph.nodes[intents[n][1].node].name for n in intents.keys() - found.keys()})
        if lost:
            raise Refused(
                f"what sink {', '.join(lost)} was to be given is no longer on record, so the run cannot go on"
            )
        return [found[number] for number in sorted(found)]

    @property
    def positions(self) -> dict[int, Any]:
        """Where each sink stands: behind what it has confirmed last, in this run or in the one that it carries on."""
        return {**(self.carrying.positions if self.carrying else {}), **self.stands.sinks}

    def repeats(self, assembly: Assembly, now_us: int) -> Iterator[Event]:
        """Which writes may be doubled by delivering them once more: those of sinks that cannot tell."""
        for _, intent in self.stands.intents.values():
            if assembly.sinks[intent.node].delivery is DeliveryClass.AT_LEAST_ONCE:
                yield _possible_duplicate(intent, now_us)


def _given_up(node: AnyNode, begun: VisitsBegun, token: int, inflight: InFlight) -> tuple[Work, Answer]:
    assert isinstance(node, TransformNode | GateNode | AggregationNode)
    failed = [fail(node.on_error, token, PROCESS_DIED, inflight.rows[token])]
    match node:
        case TransformNode():
            return Process(node.number, begun.visit, (token,)), Processed(failed=failed)
        case GateNode():
            return Evaluate(node.number, begun.visit, (token,)), Evaluated(failed=failed)
        case AggregationNode():
            return Accept(node.number, 0, begun.visit, (token,)), Accepted(failed=failed)


def _possible_duplicate(intent: SinkIntended, now_us: int) -> Noted:
    detail = {"intent": intent.intent, "rows": len(intent.tokens), "key": intent.key}
    return Noted("possible_duplicate", now_us, intent.node, detail)
