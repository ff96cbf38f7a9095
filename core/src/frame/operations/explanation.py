"""What `explain` answers: the story of tokens, as values that a terminal or a program can show.

Nodes are named, tokens and batches are numbered as in the record. `as_json` gives JSON values: rows as in their
canonical form (a decimal is `{"$decimal": "1.20"}`), digests and raw bytes in hex, times in microseconds since 1970.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any

from frame.canonical import canonical
from frame.events import ErrorInfo, Outcome, Path

SCHEMA_VERSION = 1


class DataState(StrEnum):
    """How far what is shown can be trusted.

    `verified`: its SHA-256 is the one on record. `differs`: it is not, so the data, or the record, is not what it
    was. `not_kept`: its bytes are not on record (payloads: none, or they were purged). `not_recomputable`: it was
    to be made again and could not be; `why` says the reason.
    """

    VERIFIED = "verified"
    DIFFERS = "differs"
    NOT_KEPT = "not_kept"
    NOT_RECOMPUTABLE = "not_recomputable"


class How(StrEnum):
    """Where shown data comes from."""

    KEPT = "kept"
    RECOMPUTED = "recomputed"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Data:
    """A row at one point of a token's journey. `sha256` is what the record says, `row` what could be had.

    `raw`: the bytes of an invalid source row that has no canonical form.
    """

    state: DataState
    sha256: bytes | None
    row: Mapping[str, Any] | None = None
    how: How = How.UNKNOWN
    why: str = ""
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class PluginShown:
    """The plugin that stood at a node, as pinned in the record."""

    name: str
    package: str
    distribution: str
    version: str
    determinism: str


@dataclass(frozen=True, slots=True)
class CallStory:
    """An external call. Request and answer are None where they were not kept; an answer is None if none came."""

    kind: str
    index: int
    status: str
    request: "Known | None"
    answer: "Known | None"
    request_sha256: bytes
    answer_sha256: bytes | None
    started_us: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a plugin for a token. `together`: how many visits the duration is that of."""

    number: int
    status: str
    started_us: int | None
    duration_us: int | None
    together: int = 1
    error: ErrorInfo | None = None
    calls: tuple[CallStory, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a gate decided. `to`: the names of where it led; none for a discard.

    `reason`: what a plugin said. `checked`: whether asking an expression or deterministic gate again gives the
    same label; None if it was not asked, `why` says why not.
    """

    label: str
    mode: str
    to: tuple[str, ...]
    expression: str | None = None
    reason: Mapping[str, Any] | None = None
    checked: DataState | None = None
    why: str = ""
    at_limit: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """A coalesce's decision about a fork group. `reason`: all, quorum, timeout ...; None if it failed."""

    group: int
    reason: str | None
    policy: str
    how: str
    into: int | None = None


@dataclass(frozen=True, slots=True)
class WriteStory:
    """A write to a sink that the token was part of. `index`: its place among all rows the sink took, from 0.

    `row`: what was handed to the sink, with the error field, if any. `refused`: why the sink did not take it.
    """

    intent: int
    key: str
    confirmed: bool
    index: int | None
    row: Data
    artifact: str | None = None
    artifact_sha256: bytes | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class VisitStory:
    """One entry of a token into a node. `result` says in a word what came of it.

    passed, unchanged, dropped, expanded, failed, routed, discarded, forked, visit_limit, buffered, batched, waiting,
    merged, late, written, refused, intended (a write that is not confirmed), begun (in doubt).

    `came` and `went`: the row before and after; `went` is None where nothing came out. `to`: where the token, or
    what carries it on, went next.
    """

    visit: int
    node: str
    kind: str
    plugin: PluginShown | None
    result: str
    came: Data
    went: Data | None
    attempts: tuple[Attempt, ...] = ()
    decision: Decision | None = None
    merge: Merge | None = None
    batch: int | None = None
    write: WriteStory | None = None
    reason: str | None = None
    error: ErrorInfo | None = None
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a token came from. `kind`: source, fork, expansion, merge, batch, or carried (on from another run).

    `run_id`, `token`: of a carried one, which it carries on. `row`, `place`: of a source row.
    `parents`: the tokens before it (none for source and batch). `index`: its
    place among its siblings. `branch`: the branch of the fork that it is. `error`: why a source row is invalid.
    """

    kind: str
    row: int | None = None
    place: str = ""
    parents: tuple[int, ...] = ()
    node: str | None = None
    index: int = 0
    branch: str | None = None
    group: int | None = None
    batch: int | None = None
    error: ErrorInfo | None = None
    run_id: str | None = None
    token: int | None = None


@dataclass(frozen=True, slots=True)
class OutcomeShown:
    """How a token ended (BEHAVIOUR §1); what its path does not have is None."""

    outcome: Outcome
    path: Path
    node: str | None = None
    sink: str | None = None
    fallback: str | None = None
    reason: str | None = None
    error: ErrorInfo | None = None
    batch: int | None = None
    group: int | None = None


@dataclass(frozen=True, slots=True)
class TokenStory:
    """A token from its beginning to its end. `outcome` is None while it is open; then `stands` says where.

    `children`: the tokens that carry it on; of many, the first ones, and `children_count` says how many.
    """

    token: int
    origin: Origin
    data: Data
    visits: tuple[VisitStory, ...]
    outcome: OutcomeShown | None
    stands: str | None = None
    children: tuple[int, ...] = ()
    children_count: int = 0


@dataclass(frozen=True, slots=True)
class RowSet:
    """Numbers of source rows, as ranges with both ends in. `complete`: there are no others."""

    count: int
    ranges: tuple[tuple[int, int], ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """A token in a batch: the source rows it goes back to, and other batches on the way to more of them."""

    token: int
    rows: RowSet
    batches: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchStory:
    """A batch: who was in it, when and why it was flushed, what came out.

    `members` and `outputs` list the first ones; `members_count` and `outputs_count` say how many there are.
    """

    batch: int
    node: str
    plugin: PluginShown | None
    mode: str
    status: str
    trigger: str | None
    opened_us: int
    started_us: int | None
    duration_us: int | None
    members_count: int
    members: tuple[Member, ...]
    outputs_count: int
    outputs: tuple[int, ...]
    failed_attempts: tuple[Attempt, ...] = ()
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A value that is there, be it null."""

    value: Any


@dataclass(frozen=True, slots=True)
class FieldStep:
    """A point at which a field was set, changed, removed, chosen from branches, or out of sight.

    `what`: read (from the source), carried (on from another run), set, changed,
    removed, taken (from `branch` by a merge), made (by a batch),
    unknown (`why`: the data is not at hand). `visit` is None for what a token began with. `members`: those of the
    batch's first members that had a field of this name, with its values, of `members_count` in all.
    """

    token: int
    node: str
    what: str
    before: Known | None = None
    after: Known | None = None
    visit: int | None = None
    branch: str | None = None
    batch: int | None = None
    members: tuple[tuple[int, Known], ...] = ()
    members_count: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class FieldHistory:
    """How a field came to its value, in order. `value`: what it is at the end, None if it is not there."""

    field: str
    steps: tuple[FieldStep, ...]
    value: Known | None = None


@dataclass(frozen=True, slots=True)
class SinkRow:
    """A row in a sink. `index` is None while the write is not confirmed."""

    sink: str
    index: int | None
    token: int
    path: Path | None
    artifact: str | None


@dataclass(frozen=True, slots=True)
class Impact:
    """Everything that came of a token. `ends`: how many of `tokens` ended by which path; `open` have not ended.

    `omitted`: tokens (of large batches or expansions) that were not followed. `dead_letters`: the tokens that failed
    with nothing to catch them.
    """

    tokens: int
    sink_rows: tuple[SinkRow, ...]
    batches: tuple[int, ...]
    ends: Mapping[str, int]
    open: int = 0
    omitted: int = 0
    dead_letters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer. `subject`: the tokens that were asked about; `asked`: the question in words.

    `stories`: of the subject and its ancestors (for a row: of all its tokens), by number, so that parents come
    first. `batches`: those that they went into or came out of. `sources`: the source rows that the subject goes
    back to. `impact` is set when it was asked for (`forward`), `field` when a field was.

    `before`: where tokens were carried on from a dead letter of another run, the story of that there. `after`: where
    dead letters were carried on in other runs, what came of them there.
    """

    run_id: str
    pipeline: str
    status: str
    asked: str
    subject: tuple[int, ...]
    stories: tuple[TokenStory, ...]
    batches: tuple[BatchStory, ...]
    sources: RowSet
    field: FieldHistory | None = None
    impact: Impact | None = None
    before: "tuple[Explanation, ...]" = ()
    after: "tuple[Explanation, ...]" = ()

    def as_json(self) -> dict[str, Any]:
        """This as JSON values, with the version of their shape."""
        return {"schema_version": SCHEMA_VERSION, **_plain(self)}


def _plain(value: Any) -> Any:
    match value:
        case Known():
            return {"value": _of_canonical(value.value)}
        case bytes():
            return value.hex()
        case StrEnum():
            return value.value
        case Mapping():
            return _of_canonical(value)
        case tuple():
            return [_plain(item) for item in value]
    if is_dataclass(value):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    return value


def _of_canonical(value: Any) -> Any:
    return json.loads(canonical(value))
