"""How tokens ended, as records in the order in which they did."""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import chain

from sqlalchemy import and_, literal, or_, select

from frame.audit import schema
from frame.audit.conservation import discards
from frame.audit.decoding import PATHS, tokens_of
from frame.audit.export.kinds import Record
from frame.audit.export.source import RunRecord, Stored, by_token, events
from frame.audit.export.visits import reasons_of
from frame.audit.packing import unpack
from frame.audit.tokens import LATE
from frame.events import OUTCOME_OF, Path

_s, _c, _e, _r = schema.segments.c, schema.confirmations.c, schema.errors.c, schema.rejections.c
ASKED = 500
"""Tokens that are asked for in one statement: SQLite takes 999 parameters, older ones no more."""

_AT_ONCE = {
    "dropped": Path.DROPPED,
    "expanded": Path.EXPANDED,
    "merge_failed": Path.MERGE_INCOMPLETE,
    "merge_late": Path.LATE_AT_MERGE,
    "abandoned": Path.ABANDONED,
}
_LATER = ("merged", "row_invalid", "failed", "batch_flushed", "batch_failed")
_BY_ERROR = frozenset({Path.ERROR_ROUTED, Path.INVALID_AT_SOURCE})


def outcomes(record: RunRecord) -> Iterator[Record]:
    """One a token that has ended, by the event that ended it, then by token."""
    said = ((part[0].chunk, part[0].position, part) for part in events(_ending_segments(record)))
    done = ((row.chunk, row.position, [row]) for row in _confirmations(record))
    ways = discards(record.connection, record.run)
    for chunk, position, parts in merge(said, done, key=lambda item: item[:2]):
        at: Record = {"chunk": chunk, "position": position}
        first = parts[0]
        if first.kind == "confirmed":
            ended = _at_sink(record, first)
        elif first.kind in ("batch_flushed", "batch_failed"):
            ended = _of_batch(record, first, ways)
        else:
            ended = _of_event(record, parts, ways)
        for fields in ended:
            if fields:
                yield {**at, **fields}


def _ending_segments(record: RunRecord) -> Iterator[Stored]:
    ends = or_(
        _s.kind.in_([*_AT_ONCE, *_LATER]),
        and_(_s.kind == "routed", or_(_s.reached_limit == 1, _s.mode.in_(("discard", "fork")))),
    )
    wrong = and_(_e.run == _s.run, _e.chunk == _s.chunk, _e.position == _s.position)
    said = record.segment_query(ends)
    wanted = said.select_from(said.get_final_froms()[0].join(schema.errors, wrong, isouter=True))
    return record.stream(wanted.add_columns(_e.type.label("error_type"), _e.message.label("error_message")))


def _confirmations(record: RunRecord) -> Iterator[Stored]:
    order = _c.chunk, _c.position
    wanted = select(*schema.confirmations.c, literal("confirmed").label("kind"))
    return record.stream(wanted.where(_c.run == record.run).order_by(*order))


def _ended(path: Path, fields: Record) -> Record:
    """What is alike in the records of tokens that ended so."""
    return {"path": path.value, "outcome": OUTCOME_OF[path].value, **fields}


# --- By an event that speaks of the token ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _End:
    """How all tokens of a part ended. `own`: the field in which each has its own number, or one of `groups`."""

    alike: Record
    own: str | None = None
    groups: Sequence[int] = ()


def _of_event(
    record: RunRecord, parts: Sequence[Stored], ways: Container[tuple[int, int]]
) -> Iterator[Record]:
    ends = {part.part: _end_of(record, part, ways) for part in parts}
    for token, place, part in by_token(parts):
        end = ends[part.part]
        if end is None:
            return
        ended = {**end.alike, "token": token}
        if end.own is not None:
            ended[end.own] = end.groups[place // part.fan] if end.groups else token
        yield ended


def _end_of(record: RunRecord, part: Stored, ways: Container[tuple[int, int]]) -> _End | None:
    error: Record = {"error_type": part.error_type, "error_message": part.error_message}
    node: Record = {"node": record.name(part.node)}
    match part.kind:
        case "routed":
            return _end_of_route(part, node)
        case "failed":
            path = _of_failure(part, ways)
            return None if path is None else _End(_ended(path, node | error))
        case "row_invalid":
            sourced: Record = {"node": record.name(0), **error}
            return _End(_ended(Path.INVALID_AT_SOURCE, sourced)) if part.target is None else None
        case "merged":
            groups = unpack(part.children, part.first_group, part.group_width, part.groups)
            return _End(_ended(Path.MERGED, node), "merge_group", groups)
    said = _ended(_AT_ONCE[part.kind], node | _SAID[part.kind](part, error))
    return _End(said, _OWN.get(part.kind))


_OWN = {"expanded": "expand_group"}
_SAID: dict[str, Callable[[Stored, Record], Record]] = {
    "dropped": lambda part, error: {"reason": part.label},
    "expanded": lambda part, error: {},
    "merge_failed": lambda part, error: {"merge_group": part.first_group, **error},
    "merge_late": lambda part, error: {
        "merge_group": part.first_group,
        "error_type": LATE.type,
        "error_message": LATE.message,
    },
    "abandoned": lambda part, error: error,
}


def _end_of_route(part: Stored, node: Record) -> _End:
    if part.reached_limit:
        error = {"error_type": "VisitLimit", "error_message": part.label}
        return _End(_ended(Path.VISIT_LIMIT, node | error))
    if part.mode == "discard":
        return _End(_ended(Path.GATE_DISCARDED, {**node, "reason": part.label}))
    return _End(_ended(Path.FORKED, node), "fork_group")


def _of_failure(part: Stored, ways: Container[tuple[int, int]]) -> Path | None:
    """By which path the failed token, or the members of the failed batch, ended; None if they went on."""
    if part.reached_limit:
        return Path.VISIT_LIMIT
    if part.clause is None:
        return Path.UNHANDLED
    return Path.ERROR_DISCARDED if (part.node, part.clause) in ways else None


# --- With their batch -----------------------------------------------------------------------------------------


def _of_batch(record: RunRecord, part: Stored, ways: Container[tuple[int, int]]) -> Iterator[Record]:
    if part.kind == "batch_flushed":
        path = Path.BATCHED if part.mode == "transform" else None
    else:
        path = _of_failure(part, ways)
    if path is None:
        return
    fields: Record = {"node": record.name(part.node), "batch": part.batch}
    if part.kind == "batch_failed":
        fields |= {"error_type": part.error_type, "error_message": part.error_message}
    alike = _ended(path, fields)
    for token in _members(record, part.batch):
        yield {**alike, "token": token}


def _members(record: RunRecord, batch: int) -> Iterator[int]:
    """The members of a batch by token; only segments whose tokens lie across each other are in memory together."""
    mine = _s.batch == batch, _s.batch.is_not(None), _s.kind == "buffered"
    together: list[Stored] = []
    high = -1
    for part in record.segments(*mine, order=(_s.first_token, _s.chunk, _s.position, _s.part)):
        if together and part.first_token > high:
            yield from _sorted_tokens(together)
            together = []
        together.append(part)
        high = max(high, part.high_token)
    yield from _sorted_tokens(together)


def _sorted_tokens(parts: Sequence[Stored]) -> list[int]:
    return sorted(chain.from_iterable(map(tokens_of, parts)))


# --- At a sink ------------------------------------------------------------------------------------------------


def _at_sink(record: RunRecord, write: Stored) -> Iterator[Record]:
    mine = _s.node == write.node, _s.intent == write.intent, _s.intent.is_not(None)
    parts = list(record.segments(*mine))
    refused = _refusals(record, write) if write.rejected else {}
    fallbacks = _tokens_by(parts, frozenset({Path.SINK_REJECTED}))
    refusing = _refusing_sinks(record, write.node, fallbacks)
    errors = _last_errors(record, _tokens_by(parts, _BY_ERROR))
    node: Record = {"node": record.name(write.node), "sink": record.name(write.node)}
    alike = {path: _ended(path, node) for path in Path}
    for token, place, part in by_token(parts):
        if token in refused:
            yield refused[token]
            continue
        path = path_of(part, place)
        ended = {**alike[path], "token": token}
        if path is Path.SINK_REJECTED:
            other, reason = refusing[token]
            ended |= {"sink": record.name(other), "fallback": node["sink"]}
            ended |= {"error_type": "SinkRejected", "error_message": reason}
        elif path in _BY_ERROR:
            ended["error_type"], ended["error_message"] = errors.get(token, (None, None))
        yield ended


def path_of(part: Stored, place: int) -> Path:
    """By which path the token at `place` of an intended write comes to the sink."""
    return Path(part.path) if part.path else PATHS[part.path_codes[place]]


def _refusals(record: RunRecord, write: Stored) -> dict[int, Record]:
    """Token -> how it ended, for those that the write refused; nothing for one that goes on to another sink."""
    sink = record.name(write.node)
    alike = _ended(Path.SINK_REJECTED, {"node": sink, "sink": sink, "error_type": "SinkRejected"})
    mine = _r.run == record.run, _r.node == write.node, _r.intent == write.intent
    going_on = select(_r.token).where(*mine, _r.fallback.is_not(None))
    elsewhere = set(record.connection.scalars(going_on))
    return {
        token: {} if token in elsewhere else {**alike, "token": token, "error_message": reason}
        for token, reason in reasons_of(record, write).items()
    }


def _tokens_by(parts: Sequence[Stored], paths: frozenset[Path]) -> list[int]:
    alike = [part for part in parts if not part.path or Path(part.path) in paths]
    return [token for token, place, part in by_token(alike) if path_of(part, place) in paths]


def _refusing_sinks(record: RunRecord, fallback: int, tokens: Sequence[int]) -> dict[int, tuple[int, str]]:
    """Token -> the sink that refused it and why."""
    found: dict[int, tuple[int, str]] = {}
    for some in _portions(tokens):
        mine = _r.run == record.run, _r.token.in_(some), _r.fallback == fallback
        wanted = select(_r.token, _r.node, _r.reason).where(*mine)
        found |= {row.token: (row.node, row.reason) for row in record.connection.execute(wanted)}
    return found


def _last_errors(record: RunRecord, tokens: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Token -> what its last failed visit, or the source, said of it."""
    found: dict[int, tuple[str, str]] = {}
    on = and_(_e.run == _s.run, _e.chunk == _s.chunk, _e.position == _s.position)
    joined = schema.segments.join(schema.errors, on)
    for some in _portions(tokens):
        mine = _s.run == record.run, _s.kind.in_(("failed", "row_invalid")), _s.first_token.in_(some)
        wanted = select(_s.first_token, _e.type, _e.message).select_from(joined).where(*mine)
        for row in record.connection.execute(wanted.order_by(_s.chunk, _s.position)):
            found[row.first_token] = row.type, row.message
    return found


def _portions(tokens: Sequence[int]) -> Iterator[Sequence[int]]:
    return (tokens[at : at + ASKED] for at in range(0, len(tokens), ASKED))
