"""Stored rows as the events that they were: the way back from `encoding.py`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Table

from frame.audit import schema
from frame.audit.encoding import DIGEST, PATH_CODES
from frame.audit.packing import join, unpack
from frame.audit.payloads import unpack_block
from frame.audit.text import from_json
from frame.events import (
    Abandoned,
    ArtifactMade,
    AttemptFailed,
    BatchAttemptFailed,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Called,
    Carried,
    Dropped,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Noted,
    PayloadKind,
    Payloads,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    SourceEnded,
    Tokens,
    TriggerKind,
    Visited,
    Visits,
    VisitsBegun,
    VisitStatus,
    Waiting,
)
from frame.shapes import merged

PATHS = {code: path for path, code in PATH_CODES.items()}

Stored = Row[Any]


class Facts:
    """What one chunk says beyond its segments, by position."""

    def __init__(self) -> None:
        self.digests: dict[tuple[int, int], bytes] = {}
        self.errors: dict[int, ErrorInfo] = {}
        self.intents: dict[int, Stored] = {}

    def digest(self, parts: Sequence[Stored]) -> bytes | None:
        """The digests of an event, None if it was stored without."""
        pieces = [self.digests.get((part.position, part.part)) for part in parts]
        return None if pieces[0] is None else b"".join(piece or b"" for piece in pieces)

    def some_digest(self, parts: Sequence[Stored]) -> bytes:
        return self.digest(parts) or b""


def tokens_of(part: Stored) -> Tokens:
    """The tokens of one stored segment."""
    return unpack(part.size, part.first_token or 0, part.token_width, part.tokens)


def _tokens(parts: Sequence[Stored]) -> Tokens:
    return join([tokens_of(part) for part in parts])


def _visits(parts: Sequence[Stored]) -> Visits:
    if parts[0].visits is None:
        return int(parts[0].visit)
    return [visit for part in parts for visit in unpack(part.size, part.visit, part.visit_width, part.visits)]


def _children(parts: Sequence[Stored]) -> range:
    first = parts[0].first_child
    return range(0) if first is None else range(first, first + sum(part.children for part in parts))


def _times(part: Stored) -> dict[str, int]:
    return {"started_us": part.started_us, "duration_us": part.duration_us}


def _attempt(part: Stored) -> dict[str, int]:
    return {"node": part.node, "visit": part.visit, "attempt": part.attempt, **_times(part)}


def _rows_read(parts: Sequence[Stored], facts: Facts) -> Event:
    tokens = _tokens(parts)
    assert isinstance(tokens, range)
    return RowsRead(first_row=parts[0].first_row, tokens=tokens, digests=facts.some_digest(parts))


def _row_invalid(parts: Sequence[Stored], facts: Facts) -> Event:
    (part,) = parts
    return RowInvalid(
        row=part.first_row,
        token=part.first_token,
        digest=facts.some_digest(parts),
        error=facts.errors[part.position],
        sink=part.target,
        place=part.label,
    )


def origins_of(part: Stored) -> Tokens:
    """The tokens of another run that the tokens of a stored segment carry on."""
    return unpack(part.children, part.first_group, part.group_width, part.groups)


def _carried(parts: Sequence[Stored], facts: Facts) -> Event:
    origins = join([origins_of(part) for part in parts])
    return Carried(parts[0].node, _children(parts), origins, facts.some_digest(parts))


def _source_ended(parts: Sequence[Stored], facts: Facts) -> Event:
    return SourceEnded(rows=parts[0].members)


def _visits_begun(parts: Sequence[Stored], facts: Facts) -> Event:
    part = parts[0]
    return VisitsBegun(part.node, part.visit, _tokens(parts), part.started_us)


def _visited(parts: Sequence[Stored], facts: Facts) -> Event:
    return Visited(tokens=_tokens(parts), digests=facts.digest(parts), **_attempt(parts[0]))


def _attempt_failed(parts: Sequence[Stored], facts: Facts) -> Event:
    (part,) = parts
    error = facts.errors[part.position]
    return AttemptFailed(
        token=part.first_token, status=VisitStatus(part.status), error=error, **_attempt(part)
    )


def _failed(parts: Sequence[Stored], facts: Facts) -> Event:
    (part,) = parts
    error, limit = facts.errors[part.position], bool(part.reached_limit)
    return Failed(part.node, part.visit, part.first_token, error, clause=part.clause, limit=limit)


def _dropped(parts: Sequence[Stored], facts: Facts) -> Event:
    return Dropped(tokens=_tokens(parts), reason=parts[0].label, **_attempt(parts[0]))


def _expanded(parts: Sequence[Stored], facts: Facts) -> Event:
    parent, digests = parts[0].first_token, facts.some_digest(parts)
    return Expanded(parent=parent, children=_children(parts), digests=digests, **_attempt(parts[0]))


def _routed(parts: Sequence[Stored], facts: Facts) -> Event:
    part = parts[0]
    return Routed(
        tokens=_tokens(parts),
        label=part.label,
        mode=RouteMode(part.mode),
        children=_children(parts),
        limit=bool(part.reached_limit),
        **_attempt(part),
    )


def _buffered(parts: Sequence[Stored], facts: Facts) -> Event:
    part = parts[0]
    visits, tokens = _visits(parts), _tokens(parts)
    return Buffered(part.node, visits, tokens, batch=part.batch, opened_us=part.opened_us, **_times(part))


def _batch_attempt_failed(parts: Sequence[Stored], facts: Facts) -> Event:
    (part,) = parts
    status, error = VisitStatus(part.status), facts.errors[part.position]
    return BatchAttemptFailed(part.node, part.batch, part.attempt, status, error, **_times(part))


def _batch_flushed(parts: Sequence[Stored], facts: Facts) -> Event:
    part = parts[0]
    outputs, digests = _children(parts), facts.some_digest(parts)
    times = part.started_us, part.duration_us
    trigger = TriggerKind(part.label)
    return BatchFlushed(part.node, part.batch, trigger, part.members, outputs, digests, *times, part.attempt)


def _batch_failed(parts: Sequence[Stored], facts: Facts) -> Event:
    (part,) = parts
    trigger, error = TriggerKind(part.label), facts.errors[part.position]
    return BatchFailed(part.node, part.batch, trigger, part.members, error, part.clause)


def _waiting(parts: Sequence[Stored], facts: Facts) -> Event:
    part = parts[0]
    return Waiting(part.node, _visits(parts), _tokens(parts), at_us=part.started_us)


def _merged(parts: Sequence[Stored], facts: Facts) -> Event:
    part = parts[0]
    groups, widths = [], []
    for piece in parts:
        if piece.children is not None:
            groups.append(unpack(piece.children, piece.first_group, piece.group_width, piece.groups))
            widths += [piece.fan] * piece.children
    return Merged(
        node=part.node,
        groups=join(groups) if groups else (),
        parents=_tokens(parts),
        widths=widths,
        children=_children(parts),
        digests=facts.some_digest(parts),
        reason=part.label,
        **_times(part),
    )


def _merge_failed(parts: Sequence[Stored], facts: Facts) -> Event:
    part = parts[0]
    return MergeFailed(part.node, part.first_group, _tokens(parts), facts.errors[part.position])


def _merge_late(parts: Sequence[Stored], facts: Facts) -> Event:
    (part,) = parts
    return MergeLate(part.node, part.first_group, part.first_token, part.visit)


def _sink_intended(parts: Sequence[Stored], facts: Facts) -> Event:
    part = parts[0]
    intent = facts.intents[part.position]
    paths = [(PATHS[code], count) for code, count in path_runs(intent.paths)]
    said = paths, intent.content_sha256, intent.write_key
    return SinkIntended(part.node, part.intent, _visits(parts), _tokens(parts), *said)


def _abandoned(parts: Sequence[Stored], facts: Facts) -> Event:
    return Abandoned(_tokens(parts), facts.errors[parts[0].position])


_DECODERS: dict[str, Callable[[Sequence[Stored], Facts], Event]] = {
    "rows_read": _rows_read,
    "row_invalid": _row_invalid,
    "carried": _carried,
    "source_ended": _source_ended,
    "visits_begun": _visits_begun,
    "visited": _visited,
    "attempt_failed": _attempt_failed,
    "failed": _failed,
    "dropped": _dropped,
    "expanded": _expanded,
    "routed": _routed,
    "buffered": _buffered,
    "batch_attempt_failed": _batch_attempt_failed,
    "batch_flushed": _batch_flushed,
    "batch_failed": _batch_failed,
    "waiting": _waiting,
    "merged": _merged,
    "merge_failed": _merge_failed,
    "merge_late": _merge_late,
    "sink_intended": _sink_intended,
    "abandoned": _abandoned,
}


def path_runs(text: str) -> Iterator[tuple[str, int]]:
    """The letters and lengths of run-length text.

    >>> list(path_runs("d12e3"))
    [('d', 12), ('e', 3)]
    """
    code, digits = "", ""
    for character in text:
        if character.isdigit():
            digits += character
            continue
        if code:
            yield code, int(digits)
        code, digits = character, ""
    if code:
        yield code, int(digits)


def segment_events(rows: Iterable[Stored], facts: Facts) -> Iterator[tuple[int, Event]]:
    """Position and event of the segments of one chunk, which are sorted by position and part."""
    for position, group in groupby(rows, key=lambda row: int(row.position)):
        parts = list(group)
        yield position, _DECODERS[parts[0].kind](parts, facts)


def confirmed(row: Stored, refused: Iterable[Stored]) -> SinkConfirmed:
    """The event of a row of `confirmations`, with the rows of `rejections` that belong to it."""
    rejected = tuple((one.token, one.reason, one.fallback) for one in refused)
    position = None if row.sink_position is None else from_json(row.sink_position)
    return SinkConfirmed(row.node, row.intent, position, row.started_us, row.duration_us, rejected)


def error_of(row: Stored) -> ErrorInfo:
    """The error in a row of `errors`."""
    return ErrorInfo(row.type, row.message, row.attempts, bool(row.retryable), row.traceback)


def _artifact(row: Stored) -> Event:
    return ArtifactMade(row.node, row.uri, row.size_bytes, row.sha256, row.rows)


def _called(row: Stored) -> Event:
    who = row.node, row.visit, row.token, row.attempt, row.kind, row.number
    what = row.request_sha256, row.answer_sha256, row.status, row.started_us, row.duration_us
    return Called(*who, *what)


def _noted(row: Stored) -> Event:
    return Noted(row.kind, row.at_us, row.node, from_json(row.detail))


SINGLE: dict[Table, Callable[[Stored], Event]] = {
    schema.artifacts: _artifact,
    schema.calls: _called,
    schema.notes: _noted,
}
"""Tables of which every row is an event."""


def block_keys(row: Stored) -> Sequence[int] | Sequence[bytes]:
    """The keys of one stored payload block: tokens, or digests of calls."""
    if row.digests is not None:
        return [row.digests[at : at + DIGEST] for at in range(0, len(row.digests), DIGEST)]
    return unpack(row.size, row.first_token or 0, row.token_width, row.tokens)


def payloads_of(parts: Sequence[Stored]) -> Payloads:
    """What was kept together, of the rows of its blocks, joined with their bytes. Raises AuditError."""
    part = parts[0]
    blocks = [unpack_block(piece.size, piece.data) for piece in parts]
    items = [item for block, _ in blocks for item in block]
    shapes = merged(run for _, runs in blocks for run in runs)
    keys: Sequence[Any] = [key for piece in parts for key in block_keys(piece)]
    if len(parts) == 1:
        keys = block_keys(part)
    return Payloads(PayloadKind(part.kind), part.node, keys, items, part.visit, part.intent, shapes)
