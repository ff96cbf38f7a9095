"""What a call of a plugin can come to.

Plugin API 1 fixes this set for good: a row (a mapping), `Expand`, `Drop`, `Fail` or `Suspend` for a
transform; a label or a `Route` for a gate. A plugin that raises `RetryableError` asks for another attempt;
any other exception is a fault of the plugin and fails the token with its traceback on record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Expand:
    """One row becomes these rows, each a token of its own. An empty list is a `Drop`."""

    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Drop:
    """The row ends here, on purpose; `reason` is recorded."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The row cannot be processed; `retryable` says whether another attempt may help."""

    reason: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Suspend:
    """The row waits: `until` a moment, or for a `signal` (an approval), for at most `timeout`."""

    until: datetime | None = None
    signal: str | None = None
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A gate's decision with what led to it; `reason` is recorded as data."""

    label: str
    reason: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """A record of the source that could not be read as a row.

    `raw`: what stands in the source, as far as it could be told apart; `place`: where, for a person to find
    it, as in "flights.csv:17".
    """

    raw: bytes
    reason: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sink cannot take the row at `index` of the rows that it was asked to write."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a sink has made: where it is, how large, and the SHA-256 of its bytes (None when it has none)."""

    uri: str
    size_bytes: int | None = None
    sha256: bytes | None = None
    rows: int | None = None


TransformResult = Mapping[str, Any] | Expand | Drop | Fail | Suspend
GateResult = str | bool | Route | Fail
