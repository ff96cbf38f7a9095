"""Which rows join a batch now, and which batch is to be flushed."""

from frame.errors import ExpressionError
from frame.events import BatchFailed, ErrorInfo, TriggerKind
from frame.graph.model import AggregationNode
from frame.scheduler import triggers
from frame.scheduler.state import Batch, RunState
from frame.scheduler.tokens import in_order, share_visits
from frame.scheduler.work import Accept, Flush


def next_work(state: RunState, node: AggregationNode, now_us: int) -> Accept | Flush | None:
    """The flush of a batch that is due, or else the rows that may join: a late row never enters a due batch."""
    batch = state.batches.get(node.number)
    if batch is not None:
        fired = triggers.due(node.trigger, batch.count, now_us - batch.opened_us)
        if fired is not None:
            return Flush(node.number, batch.number, fired, batch.count)
    if node.number in state.waiting:
        return _accept(state, node, batch, now_us)
    return None


def _accept(state: RunState, node: AggregationNode, batch: Batch | None, now_us: int) -> Accept:
    visit_of = {token: visit for visit, group in state.waiting[node.number].items() for token in group}
    tokens = in_order(visit_of, state.root_of)
    count, age_us = (batch.count, now_us - batch.opened_us) if batch else (0, 0)
    tokens = tokens[: triggers.room(node.trigger, count, age_us, len(tokens))]
    visits = share_visits([visit_of[token] for token in tokens])
    return Accept(node.number, batch.number if batch else state.next_batch, visits, tokens)


def last_flush(state: RunState) -> Flush | None:
    """The flush of the first open batch in graph order, at the end of the source; None if that one is refused."""
    node, batch = _first_open(state)
    if not node.trigger.at_end:
        return None
    return Flush(node.number, batch.number, TriggerKind.AT_END, batch.count)


def refused_at_end(state: RunState) -> BatchFailed:
    """The end of the first open batch in graph order, which the end of the source refuses (`at_end: false`)."""
    node, batch = _first_open(state)
    error = ErrorInfo("BatchIncomplete", "the source ended before the batch was due")
    return _failed(node, batch, TriggerKind.AT_END, error)


def undecidable(state: RunState, node: AggregationNode, now_us: int) -> BatchFailed | None:
    """The end of an open batch whose `when` cannot be evaluated: nobody could say any more when it is due."""
    batch = state.batches.get(node.number)
    if batch is None or node.trigger.when is None:
        return None
    try:
        triggers.due(node.trigger, batch.count, now_us - batch.opened_us)
    except ExpressionError as error:
        return _failed(node, batch, TriggerKind.WHEN, ErrorInfo(type(error).__name__, str(error)))
    return None


def _failed(node: AggregationNode, batch: Batch, trigger: TriggerKind, error: ErrorInfo) -> BatchFailed:
    clause = next((n for n, way in enumerate(node.on_error) if way.when is None), None)
    return BatchFailed(node.number, batch.number, trigger, batch.count, error, clause)


def _first_open(state: RunState) -> tuple[AggregationNode, Batch]:
    number = min(state.batches)
    node = state.graph.nodes[number]
    assert isinstance(node, AggregationNode)
    return node, state.batches[number]
