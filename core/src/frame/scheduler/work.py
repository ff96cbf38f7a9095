"""What the scheduler asks the engine to do, and what the engine may answer.

A piece of work is a node and the tokens that wait there. Its answer settles all of them at once: each token of
the work stands in exactly one part of the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from frame.events import (
    AttemptFailed,
    BatchAttemptFailed,
    Called,
    ErrorInfo,
    Path,
    Tokens,
    TriggerKind,
    Visits,
)

# --- Asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Process:
    """Call the transform `node` for each of `tokens`."""

    node: int
    visit: int
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Ask the gate `node` about each of `tokens`."""

    node: int
    visit: int
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Accept:
    """Offer `tokens`, in this order, to the aggregation `node` as members of `batch`."""

    node: int
    batch: int
    visits: Visits
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Flush:
    """Flush `batch`, which has `members` members; `trigger` fired."""

    node: int
    batch: int
    trigger: TriggerKind
    members: int


@dataclass(frozen=True, slots=True)
class Join:
    """One fork group that is to be merged: its tokens by branch index, in branch order."""

    group: int
    branches: tuple[tuple[int, int], ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """Unite the rows of each join at the coalesce `node`."""

    node: int
    joins: tuple[Join, ...]
    reason: str


Work = Process | Evaluate | Accept | Flush | Merge


def alone(work: Work) -> Work:
    """The first token of `work`, if it is about single tokens."""
    match work:
        case Process() | Evaluate():
            return replace(work, tokens=work.tokens[:1])
        case Accept(visits=visits):
            first = visits if isinstance(visits, int) else visits[0]
            return replace(work, tokens=work.tokens[:1], visits=first)
        case _:
            return work


@dataclass(frozen=True, slots=True)
class Write:
    """Rows that have come to a sink in this chunk, in the order in which it is to get them."""

    node: int
    visits: Visits
    tokens: Tokens
    paths: tuple[tuple[Path, int], ...]


# --- Answered -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenFailed:
    """A token whose visit is over and has failed; `clause`: the `on_error` clause that fits, if one does."""

    token: int
    error: ErrorInfo
    clause: int | None


@dataclass(slots=True)
class Tally:
    """What every answer says besides: when it was worked on, and the attempts that did not succeed.

    `attempts_of`: tokens that succeeded after the first attempt, with the number of the attempt that did.
    `cancelled`: some of the tokens stand in no part of the answer and stay where they are, as the run is to stop.
    """

    started_us: int = 0
    duration_us: int = 0
    failed: list[TokenFailed] = field(default_factory=list)
    attempts: list[AttemptFailed] = field(default_factory=list)
    attempts_of: dict[int, int] = field(default_factory=dict)
    calls: list[Called] = field(default_factory=list)
    cancelled: bool = False


@dataclass(slots=True)
class Processed(Tally):
    """`done` go on, with new `digests` (None: unchanged); the rest were expanded, dropped or have failed.

    `expanded`: parent, number of children, their digests.
    """

    done: Tokens = ()
    digests: bytes | None = None
    expanded: list[tuple[int, int, bytes]] = field(default_factory=list)
    dropped: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Evaluated(Tally):
    """`labels[i]` was given for `tokens[i]`."""

    tokens: Tokens = ()
    labels: Sequence[str] = ()


@dataclass(slots=True)
class Accepted(Tally):
    """`tokens` have become members, the failed ones have not."""

    tokens: Tokens = ()


@dataclass(slots=True)
class Flushed(Tally):
    """The batch gave `outputs` rows with these `digests`, at attempt number `attempt`."""

    outputs: int = 0
    digests: bytes = b""
    attempt: int = 0
    flush_attempts: list[BatchAttemptFailed] = field(default_factory=list)


@dataclass(slots=True)
class FlushFailed(Tally):
    """No attempt to flush the batch succeeded. Cancelled: the batch stays open, as another attempt might."""

    error: ErrorInfo = field(kw_only=True)
    clause: int | None = None
    flush_attempts: list[BatchAttemptFailed] = field(default_factory=list)


@dataclass(slots=True)
class MergeDone(Tally):
    """The joins, in order: one digest a merged row, or the error of a join that could not be united."""

    digests: list[bytes | ErrorInfo] = field(default_factory=list)


Answer = Processed | Evaluated | Accepted | Flushed | FlushFailed | MergeDone
