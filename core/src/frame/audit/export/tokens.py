"""Source rows, tokens and their parents as records."""

from collections.abc import Iterator

from sqlalchemy import or_

from frame.audit import schema
from frame.audit.decoding import origins_of, tokens_of
from frame.audit.export.kept_data import Rows
from frame.audit.export.kinds import Record
from frame.audit.export.source import RunRecord, Stored, events, nth_digest
from frame.audit.origins import ORIGINS

_s = schema.segments.c


def rows(record: RunRecord) -> Iterator[Record]:
    """One a source row, with its data or why there is none, by number."""
    kept = Rows(record)
    for part in record.segments(_s.first_row.is_not(None), order=(_s.first_row,)):
        for place, token in enumerate(tokens_of(part)):
            yield {
                "row": part.first_row + place,
                "token": token,
                "chunk": part.chunk,
                "position": part.position,
                "valid": part.kind == "rows_read",
                "digest": nth_digest(part.digests, place),
                **kept.of(part.chunk, token),
            }


def tokens(record: RunRecord) -> Iterator[Record]:
    """One a token, where it came into being; `origin_token` is that of another run which it carries on."""
    born = or_(_s.first_row.is_not(None), _s.first_child.is_not(None))
    for part in record.segments(born):
        first, count = (
            (part.first_token, part.size) if part.first_row is not None else (part.first_child, part.children)
        )
        node = record.name(0 if part.first_row is not None else part.node)
        origins = origins_of(part) if part.kind == "carried" else None
        for place in range(count):
            yield {
                "token": first + place,
                "chunk": part.chunk,
                "position": part.position,
                "origin": ORIGINS[part.kind],
                "row": None if part.first_row is None else part.first_row + place,
                "node": node,
                "origin_token": None if origins is None else origins[place],
                "digest": None if part.kind == "routed" else nth_digest(part.digests, place),
            }


def token_parents(record: RunRecord) -> Iterator[Record]:
    """One a token and parent, for forks, expansions and merges; what came of a batch has its members as parents."""
    wanted = _s.kind.in_(("routed", "expanded", "merged")), _s.first_child.is_not(None), _s.fan > 0
    for parts in events(record.segments(*wanted)):
        for part in parts:
            for token, parent in _pairs(part, parts[0]):
                yield {
                    "token": token,
                    "parent": parent,
                    "kind": ORIGINS[part.kind],
                    "chunk": part.chunk,
                    "position": part.position,
                }


def _pairs(part: Stored, first_part: Stored) -> Iterator[tuple[int, int]]:
    first = part.first_child
    match part.kind:
        case "routed":
            for place, parent in enumerate(tokens_of(part)):
                for branch in range(part.fan):
                    yield first + place * part.fan + branch, parent
        case "expanded":
            for token in range(first, first + part.children):
                yield token, first_part.first_token
        case _:
            merged = tokens_of(part)
            for place in range(part.children):
                for parent in sorted(merged[place * part.fan : (place + 1) * part.fan]):
                    yield first + place, parent
