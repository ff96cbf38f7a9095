"""What a run's record comes to as a whole: counts by node, what went wrong, who was left behind.

All of it is read from the packed segments, so that it costs the same for ten rows and for ten million.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, case, func, select

from frame.audit import schema
from frame.audit.decoding import tokens_of

_HANDLED_ONCE = ("failed", "row_invalid", "batch_failed", "merge_failed", "merge_late", "abandoned")
"""Segments that say why tokens did not go on as they should; failed attempts are counted beside them."""


@dataclass(slots=True)
class NodeContents:
    """How many tokens a node was given, passed on, and could not deal with; attempts of it that failed."""

    came: int = 0
    went: int = 0
    failed: int = 0
    failed_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Tokens that failed at one node by one type of error; `message` is what the first of them got."""

    node: int
    error: str
    message: str
    tokens: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A token that failed and that nothing caught."""

    token: int
    node: int
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """How many there are, and the first of them."""

    total: int = 0
    first: tuple[DeadLetter, ...] = field(default=())


def node_contents(connection: Connection, run: int) -> dict[int, NodeContents]:
    """The counts of every node that had something to do, by its number."""
    s = schema.segments.c
    once = func.sum(case((s.part == 0, s.members), else_=0))
    grouped = (
        select(s.node, s.kind, s.mode, func.sum(s.size), func.sum(s.children), once, func.count())
        .where(s.run == run)
        .group_by(s.node, s.kind, s.mode)
    )
    contents: dict[int, NodeContents] = {}
    for node, kind, mode, size, children, members, segments in connection.execute(grouped):
        at = contents.setdefault(node or 0, NodeContents())
        _count(at, kind, mode, (size or 0, children or 0, members or 0, segments))
    refused = schema.rejections.c
    counted = select(refused.node, func.count()).where(refused.run == run).group_by(refused.node)
    for node, tokens in connection.execute(counted):
        contents[node].went -= tokens
        contents[node].failed += tokens
    return contents


def _count(at: NodeContents, kind: str, mode: str | None, sums: Sequence[int]) -> None:
    size, children, members, segments = sums
    match kind:
        case "rows_read" | "visited" | "sink_intended":
            at.came, at.went = at.came + size, at.went + size
        case "routed":
            passed_on = 0 if mode == "discard" else children or size
            at.came, at.went = at.came + size, at.went + passed_on
        case "dropped" | "buffered":
            at.came += size
        case "expanded" | "merged":
            at.came, at.went = at.came + size, at.went + children
        case "batch_flushed":
            at.went += members if mode == "passthrough" else children
        case "batch_failed":
            at.failed += members
        case "failed" | "row_invalid" | "merge_late" | "merge_failed":
            at.came, at.failed = at.came + size, at.failed + size
        case "attempt_failed" | "batch_attempt_failed":
            at.failed_attempts += segments


def troubles_of(connection: Connection, run: int) -> list[Trouble]:
    """What went wrong, by node and type of error, the most frequent first at each node."""
    s, e, r = schema.segments.c, schema.errors.c, schema.rejections.c
    same = and_(e.run == s.run, e.chunk == s.chunk, e.position == s.position)
    tokens = func.sum(func.coalesce(s.members, s.size))
    node = func.coalesce(s.node, 0)
    failed = (
        select(node, e.type, func.min(e.message), tokens)
        .select_from(schema.segments.join(schema.errors, same))
        .where(s.run == run, s.kind.in_(_HANDLED_ONCE), s.part == 0)
        .group_by(node, e.type)
    )
    refused = select(r.node, func.min(r.reason), func.count()).where(r.run == run).group_by(r.node)
    found = [Trouble(*row) for row in connection.execute(failed)]
    found += [Trouble(at, "SinkRejected", why, count) for at, why, count in connection.execute(refused)]
    return sorted(found, key=lambda trouble: (trouble.node, -trouble.tokens, trouble.error))


def dead_letters_of(connection: Connection, run: int, most: int) -> DeadLetters:
    """The tokens that ended `unhandled`: all are counted, at most `most` are told."""
    s, e = schema.segments.c, schema.errors.c
    same = and_(e.run == s.run, e.chunk == s.chunk, e.position == s.position)
    mine = (
        s.run == run,
        s.kind.in_(("failed", "batch_failed")),
        s.clause.is_(None),
        func.coalesce(s.reached_limit, 0) == 0,
    )
    total = connection.scalar(select(func.sum(func.coalesce(s.members, s.size))).where(*mine)) or 0
    found = connection.execute(
        select(s.kind, s.node, s.first_token, s.batch, e.type, e.message)
        .select_from(schema.segments.join(schema.errors, same))
        .where(*mine)
        .order_by(s.chunk, s.position)
        .limit(most)
    )
    told: list[DeadLetter] = []
    for kind, node, token, batch, error, message in found:
        tokens = (token,) if kind == "failed" else _members(connection, run, batch)
        told += [DeadLetter(each, node, error, message) for each in tokens]
    return DeadLetters(int(total), tuple(told[:most]))


def _members(connection: Connection, run: int, batch: int) -> Iterator[int]:
    segments = schema.segments
    joined = select(segments).where(
        segments.c.run == run, segments.c.batch == batch, segments.c.kind == "buffered"
    )
    for segment in connection.execute(joined.order_by(segments.c.chunk, segments.c.position)):
        yield from tokens_of(segment)
