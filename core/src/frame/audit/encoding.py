"""Events as stored rows. `decoding.py` is the way back, and `decode(encode(chunk)) == chunk` is a tested law."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table

from frame.audit import schema
from frame.audit.packing import EMPTY, SEGMENT, Packed, pack, pack_text
from frame.audit.payloads import encode_payloads
from frame.audit.text import readable, to_json
from frame.errors import FrameBug
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
    Chunk,
    Dropped,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Noted,
    Path,
    Routed,
    RowInvalid,
    RowsRead,
    SinkConfirmed,
    SinkIntended,
    SourceEnded,
    Tokens,
    Visited,
    Visits,
    VisitsBegun,
    VisitStatus,
    Waiting,
)

DIGEST = 32

PATH_CODES: dict[Path, str] = {
    Path.DEFAULT_FLOW: "d",
    Path.GATE_ROUTED: "g",
    Path.GATE_DISCARDED: "k",
    Path.DROPPED: "r",
    Path.ERROR_ROUTED: "e",
    Path.ERROR_DISCARDED: "c",
    Path.UNHANDLED: "u",
    Path.INVALID_AT_SOURCE: "i",
    Path.SINK_REJECTED: "s",
    Path.LATE_AT_MERGE: "l",
    Path.MERGE_INCOMPLETE: "n",
    Path.VISIT_LIMIT: "v",
    Path.ABANDONED: "a",
    Path.FORKED: "f",
    Path.EXPANDED: "x",
    Path.MERGED: "m",
    Path.BATCHED: "b",
}

Rows = dict[Table, list[tuple[object, ...]]]
Columns = dict[str, Any]


class Segment(NamedTuple):
    """One stored row of `segments` after its key, in column order."""

    kind: str
    node: int | None = None
    status: str | None = None
    visit: int | None = None
    attempt: int | None = None
    size: int = 0
    first_token: int | None = None
    high_token: int | None = None
    old_tokens: int = 0
    token_width: int = 0
    visit_width: int = 0
    started_us: int | None = None
    duration_us: int | None = None
    label: str | None = None
    mode: str | None = None
    reached_limit: int | None = None
    clause: int | None = None
    target: int | None = None
    batch: int | None = None
    members: int | None = None
    opened_us: int | None = None
    intent: int | None = None
    path: str | None = None
    first_row: int | None = None
    fan: int | None = None
    first_child: int | None = None
    children: int | None = None
    first_group: int | None = None
    group_width: int | None = None
    groups: str | None = None
    path_codes: str | None = None
    visits: str | None = None
    tokens: str | None = None


def _came_into_being(event: Event) -> range:
    match event:
        case RowsRead(tokens=tokens) | Carried(tokens=tokens):
            return tokens
        case Expanded(children=tokens) | Routed(children=tokens) | Merged(children=tokens):
            return tokens
        case BatchFlushed(outputs=tokens):
            return tokens
        case RowInvalid(token=token):
            return range(token, token + 1)
        case _:
            return range(0)


def first_new_token(events: Sequence[Event]) -> int | None:
    """The smallest token that comes into being in `events`."""
    return min((new.start for new in map(_came_into_being, events) if new), default=None)


class Encoder:
    """The stored rows of one chunk, table by table."""

    def __init__(self, run: int, chunk: Chunk) -> None:
        self.run, self.chunk = run, chunk.number
        self.rows: Rows = defaultdict(list)
        self.first_new = first_new_token(chunk.events)
        self._packed: dict[int, tuple[Tokens, Packed]] = {}

    def pack(self, tokens: Tokens) -> Packed:
        """`tokens` packed; the same list object, as node after node hands it on, is packed once."""
        if len(tokens) == 1:
            return Packed(1, tokens[0], tokens[0], 0, None)
        known = self._packed.get(id(tokens))
        if known is None:
            # The entry keeps the list alive: an id is only good for as long as its object is.
            known = self._packed[id(tokens)] = tokens, pack(tokens)
        return known[1]

    def is_old(self, first_token: int) -> bool:
        return self.first_new is None or first_token < self.first_new

    def add(self, table: Table, *values: object) -> None:
        self.rows[table].append((self.run, *values))

    def segment(self, position: int, kind: str, tokens: Tokens = (), part: int = 0, **columns: Any) -> None:
        """One stored row that speaks of `tokens`."""
        count, first, high, width, text = self.pack(tokens) if len(tokens) else EMPTY
        if count:
            columns.update(first_token=first, high_token=high, old_tokens=int(self.is_old(first)))
        row = Segment(kind, size=count, token_width=width, tokens=text, **columns)
        self.rows[schema.segments].append((self.run, self.chunk, position, part, *row))

    def digests(self, position: int, part: int, digests: bytes | None) -> None:
        if digests is not None:
            self.add(schema.segment_digests, self.chunk, position, part, digests)

    def error(self, position: int, error: ErrorInfo) -> None:
        trace = None if error.traceback is None else readable(error.traceback)
        texts = readable(error.type), readable(error.message)
        self.add(schema.errors, self.chunk, position, *texts, error.attempts, int(error.retryable), trace)


def _parts(count: int, step: int = SEGMENT) -> Iterator[tuple[int, slice]]:
    """Number and slice of each part; one, empty part for nothing."""
    for part, start in enumerate(range(0, max(count, 1), step)):
        yield part, slice(start, start + step)


def _bytes_of(part: slice) -> slice:
    return slice(part.start * DIGEST, part.stop * DIGEST)


def _visits(visits: Visits, part: slice) -> Columns:
    if isinstance(visits, int):
        return {"visit": visits}
    packed = pack_text(visits[part])
    return {"visit": packed.first, "visit_width": packed.width, "visits": packed.text}


def _timed(event: Any) -> Columns:
    return {"node": event.node, "started_us": event.started_us, "duration_us": event.duration_us}


def _attempt(event: Any) -> Columns:
    return {
        **_timed(event),
        "visit": event.visit,
        "attempt": event.attempt,
        "status": VisitStatus.COMPLETED.value,
    }


def _rows_read(to: Encoder, at: int, event: RowsRead) -> None:
    for part, piece in _parts(len(event.tokens)):
        to.segment(at, "rows_read", event.tokens[piece], part, first_row=event.first_row + piece.start)
        to.digests(at, part, event.digests[_bytes_of(piece)])


def _row_invalid(to: Encoder, at: int, event: RowInvalid) -> None:
    where: Columns = {"first_row": event.row, "target": event.sink, "label": readable(event.place)}
    to.segment(at, "row_invalid", (event.token,), **where)
    to.digests(at, 0, event.digest)
    to.error(at, event.error)


def _carried(to: Encoder, at: int, event: Carried) -> None:
    for part, piece in _parts(len(event.tokens)):
        tokens, origins = event.tokens[piece], pack(event.origins[piece])
        born: Columns = {"first_child": tokens.start, "children": len(tokens)}
        whose = {"first_group": origins.first, "group_width": origins.width, "groups": origins.text}
        to.segment(at, "carried", tokens, part, node=event.node, **born, **whose)
        to.digests(at, part, event.digests[_bytes_of(piece)])


def _source_ended(to: Encoder, at: int, event: SourceEnded) -> None:
    to.segment(at, "source_ended", members=event.rows)


def _visits_begun(to: Encoder, at: int, event: VisitsBegun) -> None:
    # No status: the event that ends the visit has it. A visit that only this one speaks of is in doubt.
    columns: Columns = {"node": event.node, "visit": event.visit, "started_us": event.at_us}
    for part, piece in _parts(len(event.tokens)):
        to.segment(at, "visits_begun", event.tokens[piece], part, **columns)


def _visited(to: Encoder, at: int, event: Visited) -> None:
    columns = _attempt(event)
    if len(event.tokens) <= SEGMENT:
        to.segment(at, "visited", event.tokens, **columns)
        to.digests(at, 0, event.digests)
        return
    for part, piece in _parts(len(event.tokens)):
        to.segment(at, "visited", event.tokens[piece], part, **columns)
        to.digests(at, part, None if event.digests is None else event.digests[_bytes_of(piece)])


def _attempt_failed(to: Encoder, at: int, event: AttemptFailed) -> None:
    columns = {**_attempt(event), "status": event.status.value}
    to.segment(at, "attempt_failed", (event.token,), **columns)
    to.error(at, event.error)


def _failed(to: Encoder, at: int, event: Failed) -> None:
    way: Columns = {"clause": event.clause, "reached_limit": int(event.limit)}
    to.segment(at, "failed", (event.token,), node=event.node, visit=event.visit, **way)
    to.error(at, event.error)


def _dropped(to: Encoder, at: int, event: Dropped) -> None:
    columns = {**_attempt(event), "label": readable(event.reason)}
    for part, piece in _parts(len(event.tokens)):
        to.segment(at, "dropped", event.tokens[piece], part, **columns)


def _expanded(to: Encoder, at: int, event: Expanded) -> None:
    columns = {**_attempt(event), "fan": len(event.children)}
    for part, piece in _parts(len(event.children)):
        children = event.children[piece]
        tokens = () if part else (event.parent,)
        to.segment(
            at, "expanded", tokens, part, first_child=children.start, children=len(children), **columns
        )
        to.digests(at, part, event.digests[_bytes_of(piece)])


def _routed(to: Encoder, at: int, event: Routed) -> None:
    count, born = len(event.tokens), len(event.children)
    fan = born // count if count else 0
    if fan * count != born:
        raise FrameBug(f"a fork of {count} tokens cannot have {born} children")
    columns = {**_attempt(event), "label": readable(event.label), "mode": event.mode.value}
    columns["reached_limit"] = int(event.limit)
    for part, piece in _parts(count, max(1, SEGMENT // max(1, fan))):
        tokens = event.tokens if count <= piece.stop and part == 0 else event.tokens[piece]
        if fan:
            columns.update(
                fan=fan, first_child=event.children.start + piece.start * fan, children=len(tokens) * fan
            )
        to.segment(at, "routed", tokens, part, **columns)


def _buffered(to: Encoder, at: int, event: Buffered) -> None:
    columns = {**_timed(event), "batch": event.batch, "opened_us": event.opened_us}
    columns.update(status=VisitStatus.COMPLETED.value, attempt=0)
    for part, piece in _parts(len(event.tokens)):
        to.segment(at, "buffered", event.tokens[piece], part, **columns, **_visits(event.visits, piece))


def _batch_attempt_failed(to: Encoder, at: int, event: BatchAttemptFailed) -> None:
    columns = {**_timed(event), "batch": event.batch, "attempt": event.attempt, "status": event.status.value}
    to.segment(at, "batch_attempt_failed", **columns)
    to.error(at, event.error)


def _batch_flushed(to: Encoder, at: int, event: BatchFlushed) -> None:
    passthrough = bool(event.digests) and not event.outputs
    columns = {**_timed(event), "batch": event.batch, "attempt": event.attempt, "members": event.members}
    columns.update(label=event.trigger.value, mode="passthrough" if passthrough else "transform")
    for part, piece in _parts(len(event.digests) // DIGEST):
        outputs = event.outputs[piece]
        to.segment(at, "batch_flushed", (), part, first_child=outputs.start, children=len(outputs), **columns)
        to.digests(at, part, event.digests[_bytes_of(piece)])


def _batch_failed(to: Encoder, at: int, event: BatchFailed) -> None:
    columns: Columns = {"node": event.node, "batch": event.batch, "members": event.members}
    to.segment(at, "batch_failed", (), label=event.trigger.value, clause=event.clause, **columns)
    to.error(at, event.error)


def _waiting(to: Encoder, at: int, event: Waiting) -> None:
    columns: Columns = {"node": event.node, "started_us": event.at_us, "duration_us": 0, "attempt": 0}
    for part, piece in _parts(len(event.tokens)):
        visits = _visits(event.visits, piece)
        status = VisitStatus.COMPLETED.value
        to.segment(at, "waiting", event.tokens[piece], part, status=status, **columns, **visits)


def _equal_widths(widths: Sequence[int]) -> Iterator[tuple[int, slice]]:
    """Width and slice of each stretch of groups of one width whose parents fit into a segment."""
    start = 0
    while start < len(widths):
        width = widths[start]
        most = start + max(1, SEGMENT // max(1, width))
        stop = start + 1
        while stop < len(widths) and stop < most and widths[stop] == width:
            stop += 1
        yield width, slice(start, stop)
        start = stop


def _merged(to: Encoder, at: int, event: Merged) -> None:
    columns = {**_timed(event), "label": readable(event.reason)}
    parent, part = 0, -1
    for part, (width, piece) in enumerate(_equal_widths(event.widths)):
        children, groups = event.children[piece], pack(event.groups[piece])
        parents = event.parents[parent : parent + width * len(children)]
        parent += len(parents)
        born = {"fan": width, "first_child": children.start, "children": len(children)}
        united = {"first_group": groups.first, "group_width": groups.width, "groups": groups.text}
        to.segment(at, "merged", parents, part, **columns, **born, **united)
        to.digests(at, part, event.digests[_bytes_of(piece)])
    if part < 0:
        to.segment(at, "merged", (), 0, **columns)


def _merge_failed(to: Encoder, at: int, event: MergeFailed) -> None:
    for part, piece in _parts(len(event.tokens)):
        to.segment(at, "merge_failed", event.tokens[piece], part, node=event.node, first_group=event.group)
    to.error(at, event.error)


def _merge_late(to: Encoder, at: int, event: MergeLate) -> None:
    columns: Columns = {
        "node": event.node,
        "visit": event.visit,
        "attempt": 0,
        "status": VisitStatus.FAILED.value,
    }
    to.segment(at, "merge_late", (event.token,), first_group=event.group, **columns)


def _path_letters(paths: Sequence[tuple[Path, int]]) -> str:
    return "".join([PATH_CODES[path] * count for path, count in paths])


def _sink_intended(to: Encoder, at: int, event: SinkIntended) -> None:
    letters = _path_letters(event.paths)
    if len(letters) != len(event.tokens):
        raise FrameBug(f"{len(letters)} paths for the {len(event.tokens)} tokens of a write")
    same = event.paths[0][0].value if len(set(letters)) == 1 else None
    columns: Columns = {
        "node": event.node,
        "intent": event.intent,
        "status": "intended",
        "attempt": 0,
        "path": same,
    }
    for part, piece in _parts(len(event.tokens)):
        codes = None if same else letters[piece]
        tokens = event.tokens if len(event.tokens) <= SEGMENT else event.tokens[piece]
        to.segment(
            at, "sink_intended", tokens, part, path_codes=codes, **columns, **_visits(event.visits, piece)
        )
    runs = "".join([f"{PATH_CODES[path]}{count}" for path, count in event.paths])
    what = (len(event.tokens), runs, event.content_sha256, event.key)
    to.add(schema.intents, to.chunk, at, event.node, event.intent, *what)


def _sink_confirmed(to: Encoder, at: int, event: SinkConfirmed) -> None:
    key = event.node, event.intent
    position = None if event.position is None else to_json(event.position)
    times = event.started_us, event.duration_us
    to.add(schema.confirmations, to.chunk, at, *key, position, *times, len(event.rejected))
    for number, (token, reason, fallback) in enumerate(event.rejected):
        to.add(schema.rejections, *key, number, token, readable(reason), fallback)


def _artifact_made(to: Encoder, at: int, event: ArtifactMade) -> None:
    what = readable(event.uri), event.size_bytes, event.sha256, event.rows
    to.add(schema.artifacts, to.chunk, at, event.node, *what)


def _abandoned(to: Encoder, at: int, event: Abandoned) -> None:
    for part, piece in _parts(len(event.tokens)):
        to.segment(at, "abandoned", event.tokens[piece], part)
    to.error(at, event.error)


def _called(to: Encoder, at: int, event: Called) -> None:
    who = event.node, event.visit, event.token, event.attempt
    what = event.kind, event.index, event.request_sha256, event.answer_sha256, readable(event.status)
    to.add(schema.calls, to.chunk, at, *who, *what, event.started_us, event.duration_us)


def _noted(to: Encoder, at: int, event: Noted) -> None:
    to.add(schema.notes, to.chunk, at, event.kind, event.at_us, event.node, to_json(event.detail))


_ENCODERS: dict[type, Callable[[Encoder, int, Any], None]] = {
    RowsRead: _rows_read,
    RowInvalid: _row_invalid,
    Carried: _carried,
    SourceEnded: _source_ended,
    VisitsBegun: _visits_begun,
    Visited: _visited,
    AttemptFailed: _attempt_failed,
    Failed: _failed,
    Dropped: _dropped,
    Expanded: _expanded,
    Routed: _routed,
    Buffered: _buffered,
    BatchAttemptFailed: _batch_attempt_failed,
    BatchFlushed: _batch_flushed,
    BatchFailed: _batch_failed,
    Waiting: _waiting,
    Merged: _merged,
    MergeFailed: _merge_failed,
    MergeLate: _merge_late,
    SinkIntended: _sink_intended,
    SinkConfirmed: _sink_confirmed,
    ArtifactMade: _artifact_made,
    Abandoned: _abandoned,
    Called: _called,
    Noted: _noted,
}


def encode(run: int, block: int, chunk: Chunk) -> Rows:
    """What to insert for `chunk`, table by table, in an order that satisfies the foreign keys."""
    to = Encoder(run, chunk)
    position = None if chunk.position is None else to_json(chunk.position)
    blocks = len(chunk.payloads)
    counts = len(chunk.events), blocks, to.first_new, position
    to.add(schema.chunks, chunk.number, block, chunk.opened_us, *counts)
    for at, event in enumerate(chunk.events):
        _ENCODERS[type(event)](to, at, event)
    for number, payloads in enumerate(chunk.payloads):
        encode_payloads(to, number, payloads)
    return to.rows
