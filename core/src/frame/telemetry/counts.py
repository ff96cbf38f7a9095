"""How many tokens went into, out of, or got stuck at each node, counted from events."""

from collections.abc import Iterator
from dataclasses import dataclass

from frame.events import (
    AttemptFailed,
    BatchAttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Dropped,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    Visited,
    Waiting,
)

SOURCE = 0
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """Tokens at one node. `held`: inside an open batch, at a join, or on their way into a sink.

    Once nothing is held: a transform's, gate's or sink's `entered` is what left it, failed, or ended there on purpose.
    """

    entered: int = 0
    left: int = 0
    failed: int = 0
    held: int = 0
    retries: int = 0

    def __add__(self, other: "NodeCounts") -> "NodeCounts":
        return NodeCounts(
            self.entered + other.entered,
            self.left + other.left,
            self.failed + other.failed,
            self.held + other.held,
            self.retries + other.retries,
        )

    def __sub__(self, other: "NodeCounts") -> "NodeCounts":
        return NodeCounts(
            self.entered - other.entered,
            self.left - other.left,
            self.failed - other.failed,
            self.held - other.held,
            self.retries - other.retries,
        )


def counted(event: Event, in_flight: dict[tuple[int, int], int]) -> Iterator[tuple[int, NodeCounts]]:
    """What `event` adds to the counts, node by node.

    `in_flight`: sink and intent -> tokens that the sink has not confirmed; kept up to date here.
    """
    match event:
        case RowsRead(tokens=tokens):
            yield SOURCE, NodeCounts(entered=len(tokens), left=len(tokens))
        case RowInvalid():
            yield SOURCE, NodeCounts(entered=1, failed=1)
        case SinkIntended(node=node, tokens=tokens):
            in_flight[node, event.intent] = len(tokens)
            yield node, NodeCounts(entered=len(tokens), held=len(tokens))
        case SinkConfirmed(node=node, rejected=rejected):
            n = in_flight.pop((node, event.intent), 0)
            yield node, NodeCounts(left=n - len(rejected), failed=len(rejected), held=-n)
        case AttemptFailed(node=node, attempt=attempt) | BatchAttemptFailed(node=node, attempt=attempt):
            yield node, NodeCounts(retries=int(attempt > 0))
        case Visited() | Dropped() | Expanded() | Routed() | Failed():
            yield event.node, _visit(event)
        case Buffered() | BatchFlushed() | BatchFailed():
            yield event.node, _batch(event)
        case Waiting() | Merged() | MergeFailed() | MergeLate():
            yield event.node, _join(event)
        case _:
            return


def _visit(event: Visited | Dropped | Expanded | Routed | Failed) -> NodeCounts:
    match event:
        case Visited(tokens=tokens, attempt=attempt):
            return NodeCounts(entered=len(tokens), left=len(tokens), retries=len(tokens) * (attempt > 0))
        case Dropped(tokens=tokens, attempt=attempt):
            return NodeCounts(entered=len(tokens), retries=len(tokens) * (attempt > 0))
        case Expanded(children=children, attempt=attempt):
            return NodeCounts(entered=1, left=len(children), retries=int(attempt > 0))
        case Routed():
            return _routed(event)
        case Failed():
            return NodeCounts(entered=1, failed=1)


def _routed(event: Routed) -> NodeCounts:
    n = len(event.tokens)
    retries = n * (event.attempt > 0)
    if event.limit:
        return NodeCounts(entered=n, failed=n, retries=retries)
    if event.mode is RouteMode.DISCARD:
        return NodeCounts(entered=n, retries=retries)
    return NodeCounts(entered=n, left=len(event.children) or n, retries=retries)


def _batch(event: Buffered | BatchFlushed | BatchFailed) -> NodeCounts:
    match event:
        case Buffered(tokens=tokens):
            return NodeCounts(entered=len(tokens), held=len(tokens))
        case BatchFlushed(members=members, digests=digests, attempt=attempt):
            rows_out = len(digests) // _DIGEST_BYTES
            return NodeCounts(left=rows_out, held=-members, retries=int(attempt > 0))
        case BatchFailed(members=members):
            return NodeCounts(failed=members, held=-members)


def _join(event: Waiting | Merged | MergeFailed | MergeLate) -> NodeCounts:
    match event:
        case Waiting(tokens=tokens):
            return NodeCounts(entered=len(tokens), held=len(tokens))
        case Merged(parents=parents, children=children):
            return NodeCounts(left=len(children), held=-len(parents))
        case MergeFailed(tokens=tokens):
            return NodeCounts(failed=len(tokens), held=-len(tokens))
        case MergeLate():
            return NodeCounts(entered=1, failed=1)
