"""Which reader makes which kind of record."""

from collections.abc import Callable, Iterator, Mapping

from frame.audit.export import kept_data, outcomes, plain, tokens, visits
from frame.audit.export.kinds import KINDS, Kind, Record
from frame.audit.export.source import RunRecord

Reader = Callable[[RunRecord], Iterator[Record]]

READERS: Mapping[str, Reader] = {
    "node": plain.nodes,
    "edge": plain.edges,
    "chunk": plain.chunks,
    "row": tokens.rows,
    "token": tokens.tokens,
    "token_parent": tokens.token_parents,
    "visit": visits.visits,
    "route": visits.routes,
    "call": plain.calls,
    "batch": plain.batches,
    "batch_member": visits.batch_members,
    "batch_output": visits.batch_outputs,
    "sink_write": plain.sink_writes,
    "artifact": plain.artifacts,
    "outcome": outcomes.outcomes,
    "error": plain.errors,
    "payload": kept_data.payloads,
    "event": plain.run_events,
}


def readable(record: RunRecord) -> Iterator[tuple[Kind, Iterator[Record]]]:
    """Every kind in its order, with its records; they are read when they are asked for."""
    for kind in KINDS:
        yield kind, READERS[kind.name](record)
