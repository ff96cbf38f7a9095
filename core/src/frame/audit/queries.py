"""Questions to the record. Each takes a connection (`Database.reading()`) and, but for the first ones, a run."""

from collections.abc import Iterator

from sqlalchemy import Connection

from frame.audit.batches import BatchRecord, members_of, read_batch
from frame.audit.chunks import read_chunks
from frame.audit.kept import CallRecord, calls_of, payload_of, payload_with_digest
from frame.audit.runs import (
    EdgeRecord,
    NodeRecord,
    RunDetails,
    RunEvent,
    RunSummary,
    counters_of,
    describe_run,
    edges_of,
    find_run,
    list_runs,
    nodes_of,
    run_events,
    run_ids,
)
from frame.audit.sinks import ArtifactRecord, Write, artifacts_of, token_at, tokens_written, writes_of
from frame.audit.stories import Story, read_story, token_of_row
from frame.audit.tokens import Parents, TokenOutcome, Visit
from frame.audit.tokens import children_of as _children_of
from frame.audit.tokens import outcome_of as _outcome_of
from frame.audit.tokens import parents_of as _parents_of
from frame.audit.tokens import visits_of as _visits_of
from frame.events import Chunk

__all__ = [
    "ArtifactRecord",
    "BatchRecord",
    "CallRecord",
    "EdgeRecord",
    "NodeRecord",
    "Parents",
    "RunDetails",
    "RunEvent",
    "RunSummary",
    "Story",
    "TokenOutcome",
    "Visit",
    "Write",
    "artifacts_of",
    "calls_of",
    "children_of",
    "counters_of",
    "describe_run",
    "edges_of",
    "find_run",
    "list_runs",
    "members_of",
    "nodes_of",
    "outcome_of",
    "parents_of",
    "payload_of",
    "payload_with_digest",
    "read_batch",
    "read_events",
    "read_story",
    "run_events",
    "run_ids",
    "token_at",
    "token_of_row",
    "tokens_written",
    "visits_of",
    "writes_of",
]


def read_events(connection: Connection, run: int, from_chunk: int = 0) -> Iterator[Chunk]:
    """The chunks of a run from `from_chunk` on, as they were committed, one at a time."""
    return read_chunks(connection, run, from_chunk)


def visits_of(connection: Connection, run: int, token: int) -> list[Visit]:
    """Every attempt of a token at a node, in order."""
    return list(_visits_of(connection, run, read_story(connection, run, token)))


def outcome_of(connection: Connection, run: int, token: int) -> TokenOutcome | None:
    """How a token ended, None while it is open."""
    return _outcome_of(connection, run, read_story(connection, run, token))


def parents_of(connection: Connection, run: int, token: int) -> Parents:
    """The tokens that a token came from, and how."""
    return _parents_of(connection, run, read_story(connection, run, token).birth)


def children_of(connection: Connection, run: int, token: int) -> tuple[int, ...]:
    """The tokens that carry a token on, nothing if there are none."""
    return _children_of(connection, run, read_story(connection, run, token))
