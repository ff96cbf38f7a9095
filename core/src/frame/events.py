"""Everything that can be said about a run while it goes on: the vocabulary that scheduler, engine and audit share.

The scheduler decides events, its state is their fold, the audit store keeps them, lineage reads them. Most speak
of many tokens at once: what happened alike to all of them is said once, with the tokens as a sequence of integers
(a `range` where they are consecutive).

Times are microseconds since 1970, UTC. Digests are SHA-256 of a row's canonical form, 32 bytes a token, joined
in the order of the tokens; `None` where a digest is the one the token came with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from frame.shapes import Shapes

Tokens = Sequence[int]
Visits = int | Sequence[int]
"""The visit number that all tokens share, or one a token."""


class Outcome(StrEnum):
    """Did the token's journey succeed? `transient`: other tokens carry it on."""

    SUCCESS = "success"
    FAILURE = "failure"
    TRANSIENT = "transient"


class Path(StrEnum):
    """By which way a token ended (BEHAVIOUR §1)."""

    DEFAULT_FLOW = "default_flow"
    GATE_ROUTED = "gate_routed"
    GATE_DISCARDED = "gate_discarded"
    DROPPED = "dropped"
    ERROR_ROUTED = "error_routed"
    ERROR_DISCARDED = "error_discarded"
    UNHANDLED = "unhandled"
    INVALID_AT_SOURCE = "invalid_at_source"
    SINK_REJECTED = "sink_rejected"
    LATE_AT_MERGE = "late_at_merge"
    MERGE_INCOMPLETE = "merge_incomplete"
    VISIT_LIMIT = "visit_limit"
    ABANDONED = "abandoned"
    FORKED = "forked"
    EXPANDED = "expanded"
    MERGED = "merged"
    BATCHED = "batched"


OUTCOME_OF: dict[Path, Outcome] = {
    Path.DEFAULT_FLOW: Outcome.SUCCESS,
    Path.GATE_ROUTED: Outcome.SUCCESS,
    Path.GATE_DISCARDED: Outcome.SUCCESS,
    Path.DROPPED: Outcome.SUCCESS,
    Path.ERROR_ROUTED: Outcome.FAILURE,
    Path.ERROR_DISCARDED: Outcome.FAILURE,
    Path.UNHANDLED: Outcome.FAILURE,
    Path.INVALID_AT_SOURCE: Outcome.FAILURE,
    Path.SINK_REJECTED: Outcome.FAILURE,
    Path.LATE_AT_MERGE: Outcome.FAILURE,
    Path.MERGE_INCOMPLETE: Outcome.FAILURE,
    Path.VISIT_LIMIT: Outcome.FAILURE,
    Path.ABANDONED: Outcome.FAILURE,
    Path.FORKED: Outcome.TRANSIENT,
    Path.EXPANDED: Outcome.TRANSIENT,
    Path.MERGED: Outcome.TRANSIENT,
    Path.BATCHED: Outcome.TRANSIENT,
}


class RunStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    FAILED = "failed"
    EMPTY = "empty"
    INTERRUPTED = "interrupted"
    WAITING = "waiting"
    CRASHED = "crashed"


class VisitStatus(StrEnum):
    """How one attempt ended.

    `rejected`: an open breaker refused it, the plugin was not called. `in_doubt`: the process ended during it, and
    nobody knows how far the call came.
    """

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"


class TriggerKind(StrEnum):
    COUNT = "count"
    AFTER = "after"
    WHEN = "when"
    AT_END = "at_end"


class RouteMode(StrEnum):
    CONTINUE = "continue"
    ROUTE = "route"
    FORK = "fork"
    DISCARD = "discard"
    LOOP = "loop"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What went wrong. `type` is the exception's or result's name; `attempts` how many attempts were made."""

    type: str
    message: str
    attempts: int = 1
    retryable: bool = False
    traceback: str | None = None


# --- Tokens come into being -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowsRead:
    """Source rows `first_row`, `first_row + 1`, ... became `tokens` (as many) and wait at the source's next node."""

    first_row: int
    tokens: range
    digests: bytes


@dataclass(frozen=True, slots=True)
class RowInvalid:
    """Source row `row` did not fit. Its token goes to `sink`, or has ended when that is None.

    `digest` is of what is kept of it: the row's canonical form if it has one, else the raw bytes.
    `place` says where it stands in the source.
    """

    row: int
    token: int
    digest: bytes
    error: ErrorInfo
    sink: int | None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Carried:
    """`tokens` carry on `origins`, tokens (as many) of the run that this one was made for, and wait at `node`."""

    node: int
    tokens: range
    origins: Tokens
    digests: bytes


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """The source has no more rows."""

    rows: int


# --- Visits ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VisitsBegun:
    """A node that calls the outside world is about to be called for `tokens`; on record before it is.

    After a crash such a visit is in doubt, unless an event that ends it follows.
    """

    node: int
    visit: int
    tokens: Tokens
    at_us: int


@dataclass(frozen=True, slots=True)
class Visited:
    """A transform's attempt number `attempt` succeeded for `tokens`; they go on to the node's `to`."""

    node: int
    visit: int
    tokens: Tokens
    digests: bytes | None
    started_us: int
    duration_us: int
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One attempt that did not succeed. Says nothing about the token's fate: another attempt or `Failed` follows."""

    node: int
    visit: int
    token: int
    attempt: int
    status: VisitStatus
    error: ErrorInfo
    started_us: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The visit is over and has failed; the failed attempts were said before.

    `clause`: index of the `on_error` clause that catches the token, None if none does (then it ends `unhandled`).
    `limit`: that clause is a loop edge which the token has used up (then it ends `visit_limit`).
    """

    node: int
    visit: int
    token: int
    error: ErrorInfo
    clause: int | None
    limit: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """A transform dropped `tokens`, each for the same `reason`."""

    node: int
    visit: int
    tokens: Tokens
    reason: str
    started_us: int
    duration_us: int
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Expanded:
    """`parent` became `children`; `digests` are theirs. `group` is the parent's id: one expansion a token."""

    node: int
    visit: int
    parent: int
    children: range
    digests: bytes
    started_us: int
    duration_us: int
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Routed:
    """A gate gave `label` for `tokens`, and they moved as `mode` says: along the route, or to their end.

    `limit`: the route is a loop edge that these tokens have used up; they ended `visit_limit`.
    For `mode` FORK, `children` holds, for parent after parent, one token a branch.
    """

    node: int
    visit: int
    tokens: Tokens
    label: str
    mode: RouteMode
    started_us: int
    duration_us: int
    attempt: int = 0
    children: range = range(0)
    limit: bool = False


# --- Batches --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Buffered:
    """`tokens` were accepted into `batch`, which was opened at `opened_us` by its first member."""

    node: int
    visits: Visits
    tokens: Tokens
    batch: int
    opened_us: int
    started_us: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class BatchAttemptFailed:
    """One attempt to flush `batch` failed."""

    node: int
    batch: int
    attempt: int
    status: VisitStatus
    error: ErrorInfo
    started_us: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class BatchFlushed:
    """`batch` was flushed because of `trigger`; its members have ended `batched`, its outputs go on.

    In passthrough mode `outputs` is empty and the members themselves go on, with the new `digests`.
    """

    node: int
    batch: int
    trigger: TriggerKind
    members: int
    outputs: range
    digests: bytes
    started_us: int
    duration_us: int
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class BatchFailed:
    """`batch` could not be flushed; every member goes the way of `on_error` clause `clause` (None: `unhandled`)."""

    node: int
    batch: int
    trigger: TriggerKind
    members: int
    error: ErrorInfo
    clause: int | None


# --- Joins ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """`tokens` have arrived at a coalesce and wait for the other branches of their forks."""

    node: int
    visits: Visits
    tokens: Tokens
    at_us: int


@dataclass(frozen=True, slots=True)
class Merged:
    """The branches of fork group number `groups[i]` became `children[i]`.

    `parents`, `widths`: for group after group, the tokens that were merged, in branch order, and how many.
    `reason`: why the merge came now, as in "all" or "timeout".
    """

    node: int
    groups: Sequence[int]
    parents: Tokens
    widths: Sequence[int]
    children: range
    digests: bytes
    reason: str
    started_us: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class MergeFailed:
    """What had arrived of fork group `group` could not be merged: `tokens` ended `merge_incomplete`."""

    node: int
    group: int
    tokens: Tokens
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class MergeLate:
    """`token` came after its fork group was decided; it ended `late_at_merge`."""

    node: int
    group: int
    token: int
    visit: int


# --- Sinks ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SinkIntended:
    """`tokens` will be written to sink `node` as write number `intent`, in this order; said before it is done.

    `content_sha256`: of the rows' canonical forms, each followed by a line feed.
    """

    node: int
    intent: int
    visits: Visits
    tokens: Tokens
    paths: Sequence[tuple[Path, int]]
    content_sha256: bytes
    key: str


@dataclass(frozen=True, slots=True)
class SinkConfirmed:
    """Write `intent` is done and durable; the sink stands at `position`. The tokens that it took have ended.

    `rejected`: tokens that it refused, with the reason and the sink they go on to, where they will end with path
    SINK_REJECTED; None: there is none, and they have ended so here.
    """

    node: int
    intent: int
    position: Any
    started_us: int
    duration_us: int
    rejected: Sequence[tuple[int, str, int | None]] = ()


@dataclass(frozen=True, slots=True)
class ArtifactMade:
    """Sink `node` has published what it wrote."""

    node: int
    uri: str
    size_bytes: int | None
    sha256: bytes | None
    rows: int | None


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The run ends without these tokens."""

    tokens: Tokens
    error: ErrorInfo


# --- Beside the tokens ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Called:
    """One external call through a plugin's context, with the digests of its request and answer.

    `index`: the n-th call of this request in this visit, from 0. `status`: "ok" or the error's name.
    The bytes themselves travel as payloads under their digests.
    """

    node: int
    visit: int
    token: int | None
    attempt: int
    kind: str
    index: int
    request_sha256: bytes
    answer_sha256: bytes | None
    status: str
    started_us: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class Noted:
    """Something about the run as a whole: a breaker that opened, a thread left behind, a schema observed."""

    kind: str
    at_us: int
    node: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)


Event = (
    RowsRead
    | RowInvalid
    | Carried
    | SourceEnded
    | VisitsBegun
    | Visited
    | AttemptFailed
    | Failed
    | Dropped
    | Expanded
    | Routed
    | Buffered
    | BatchAttemptFailed
    | BatchFlushed
    | BatchFailed
    | Waiting
    | Merged
    | MergeFailed
    | MergeLate
    | SinkIntended
    | SinkConfirmed
    | ArtifactMade
    | Abandoned
    | Called
    | Noted
)


# --- What travels with the events of one commit ---------------------------------------------------


class PayloadKind(StrEnum):
    """What the bytes of a payload block are."""

    ROWS = "rows"
    """Canonical source rows (or the raw bytes of invalid ones), and rows carried on from another run, one a token."""
    OUTPUTS = "outputs"
    """Canonical rows that a visit made and that cannot be computed again, one a token."""
    MEMBERS = "members"
    """Canonical rows of members of a batch that is open when the chunk ends, one a token.

    They could be made again like other rows, but a batch may have taken in the whole run so far.
    """
    OUTBOX = "outbox"
    """Canonical rows that a sink is to write, one a token, in order."""
    REASONS = "reasons"
    """Canonical JSON of why a gate decided so, one a token."""
    CALLS = "calls"
    """Requests and answers, one a digest."""


@dataclass(frozen=True, slots=True)
class Payloads:
    """A block of bytes to keep: `items[i]` belongs to `keys[i]`, a token, or a digest for CALLS.

    `node`, `visit`: which visit made them; `intent` for OUTBOX. `shapes`: of items that are rows, the order of
    their fields (`shapes.py`).
    """

    kind: PayloadKind
    node: int
    keys: Sequence[int] | Sequence[bytes]
    items: Sequence[bytes]
    visit: int = 0
    intent: int = 0
    shapes: Shapes = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one commit writes, all or nothing.

    `number` counts the commits of the run from 0. `position` is where the source stands after the rows of this
    chunk, None if the chunk read none.
    """

    number: int
    opened_us: int
    events: Sequence[Event]
    payloads: Sequence[Payloads] = ()
    position: Any = None
