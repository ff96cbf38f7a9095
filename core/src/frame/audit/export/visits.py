"""Visits and routing decisions as records."""

from collections.abc import Iterator

from sqlalchemy import and_, or_, select

from frame.audit import schema
from frame.audit.decoding import tokens_of
from frame.audit.export.kinds import Record
from frame.audit.export.source import RunRecord, Stored, by_token, events, nth_digest
from frame.audit.packing import unpack
from frame.audit.tokens import LATE

_s, _c, _e = schema.segments.c, schema.confirmations.c, schema.errors.c
_MEASURED_ALONE = frozenset({"attempt_failed", "expanded"})


def visits(record: RunRecord) -> Iterator[Record]:
    """One a visit and attempt, in the order of events."""
    done = and_(_c.run == _s.run, _c.node == _s.node, _c.intent == _s.intent)
    wrong = and_(_e.run == _s.run, _e.chunk == _s.chunk, _e.position == _s.position)
    said = record.segment_query(_s.status.is_not(None))
    joined = said.get_final_froms()[0].join(schema.confirmations, done, isouter=True)
    wanted = said.select_from(joined.join(schema.errors, wrong, isouter=True)).add_columns(
        _c.started_us.label("confirmed_started_us"),
        _c.duration_us.label("confirmed_duration_us"),
        _c.rejected,
        _e.type.label("error_type"),
        _e.message.label("error_message"),
    )
    for parts in events(record.stream(wanted)):
        refused = reasons_of(record, parts[0]) if parts[0].rejected else {}
        alike = [(part, _alike(record, part), visit_numbers(part)) for part in parts if part.size]
        shared = {part.part: (fields, numbers) for part, fields, numbers in alike}
        for token, place, part in by_token(parts):
            fields, numbers = shared[part.part]
            yield {**fields, "token": token, "visit": numbers[place], **_own(part, place, token, refused)}


def _alike(record: RunRecord, part: Stored) -> Record:
    """What all visits of a part have in common."""
    alone = part.kind in _MEASURED_ALONE or part.size == 1
    error = {"attempt_failed": (part.error_type, part.error_message), "merge_late": (LATE.type, None)}
    error_type, message = error.get(part.kind, (None, None))
    confirmed = part.rejected is not None
    return {
        "chunk": part.chunk,
        "position": part.position,
        "attempt": part.attempt,
        "node": record.name(part.node),
        "status": "completed" if confirmed else part.status,
        "output_digest": None,
        "started_us": part.confirmed_started_us if part.started_us is None else part.started_us,
        "duration_us": part.duration_us if alone else None,
        "segment_duration_us": part.confirmed_duration_us if part.duration_us is None else part.duration_us,
        "segment_visits": part.size,
        "error_type": error_type,
        "error_message": message,
    }


def _own(part: Stored, place: int, token: int, refused: dict[int, str]) -> Record:
    """What one visit has of its own."""
    if part.kind == "visited" and part.digests is not None:
        return {"output_digest": nth_digest(part.digests, place)}
    if token in refused:
        return {"status": "failed", "error_type": "SinkRejected", "error_message": refused[token]}
    return {}


def visit_numbers(part: Stored) -> list[int]:
    """The number of each token's visit."""
    if part.visit_width:
        return list(unpack(part.size, part.visit, part.visit_width, part.visits))
    return [part.visit] * part.size


def reasons_of(record: RunRecord, write: Stored) -> dict[int, str]:
    """Token -> why the sink refused it, in the write that `write` announces or confirms."""
    r = schema.rejections.c
    mine = r.run == record.run, r.node == write.node, r.intent == write.intent
    return {
        row.token: row.reason for row in record.connection.execute(select(r.token, r.reason).where(*mine))
    }


def routes(record: RunRecord) -> Iterator[Record]:
    """One a decision of a gate, and one a failed or invalid row that was caught."""
    caught = or_(
        and_(_s.kind == "failed", _s.clause.is_not(None)),
        and_(_s.kind == "row_invalid", _s.target.is_not(None)),
    )
    for parts in events(record.segments(or_(_s.kind == "routed", caught))):
        decided = {part.part: (_decision(record, part), visit_numbers(part)) for part in parts}
        for token, place, part in by_token(parts):
            fields, numbers = decided[part.part]
            yield {**fields, "token": token, "visit": numbers[place] or 0}


def _decision(record: RunRecord, part: Stored) -> Record:
    at = {"chunk": part.chunk, "position": part.position, "clause": part.clause}
    match part.kind:
        case "routed":
            how = {"label": part.label, "mode": part.mode, "reached_limit": part.reached_limit}
        case "failed":
            how = {"label": "on_error", "mode": "error", "reached_limit": part.reached_limit}
        case _:
            how = {"label": "on_invalid", "mode": "error", "reached_limit": 0}
    return {**at, "node": record.name(part.node or 0), **how}


def batch_members(record: RunRecord) -> Iterator[Record]:
    """One a token in a batch, batch by batch, in the order in which they were accepted."""
    order = _s.batch, _s.chunk, _s.position, _s.part
    batch, earlier = None, 0
    for part in record.segments(_s.batch.is_not(None), _s.kind == "buffered", order=order):
        numbers = visit_numbers(part)
        if part.batch != batch:
            batch, earlier = part.batch, 0
        for place, token in enumerate(tokens_of(part)):
            yield {
                "batch": part.batch,
                "node": record.name(part.node),
                "chunk": part.chunk,
                "position": part.position,
                "token": token,
                "visit": numbers[place],
                "place": earlier + place,
            }
        earlier += part.size


def batch_outputs(record: RunRecord) -> Iterator[Record]:
    """One a token that came out of a batch."""
    order = _s.batch, _s.chunk, _s.position, _s.part
    for part in record.segments(_s.batch.is_not(None), _s.kind == "batch_flushed", order=order):
        for place in range(part.children):
            yield {
                "batch": part.batch,
                "node": record.name(part.node),
                "chunk": part.chunk,
                "position": part.position,
                "token": part.first_child + place,
                "digest": nth_digest(part.digests, place),
            }
