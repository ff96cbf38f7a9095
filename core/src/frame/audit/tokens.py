"""What became of a token: its visits, its end, where it came from and who carries on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from frame.audit import schema
from frame.audit.batches import BatchRecord, members_of, passthrough_digest, read_batch
from frame.audit.conservation import discards
from frame.audit.decoding import PATHS, Stored, error_of, origins_of, tokens_of
from frame.audit.packing import unpack
from frame.audit.stories import AT_ONCE, Birth, Step, Story, digest_in, read_story
from frame.errors import FrameBug
from frame.events import OUTCOME_OF, ErrorInfo, Outcome, Path

LATE = ErrorInfo("LateAtMerge", "the merge had been decided")


@dataclass(frozen=True, slots=True)
class Visit:
    """One attempt of a token at a node.

    `duration_us` is this visit's own where it was measured alone; `segment_duration_us` is that of all
    `segment_visits` that were made together. `label` and `mode` are a gate's decision, `label` a drop's reason.
    `output_digest` equals `input_digest` where the row was not changed, and is None where nothing came out.
    """

    token: int
    visit: int
    attempt: int
    node: int
    status: str
    chunk: int
    position: int
    input_digest: bytes | None
    output_digest: bytes | None
    started_us: int | None
    duration_us: int | None
    segment_duration_us: int | None
    segment_visits: int
    label: str | None = None
    mode: str | None = None
    batch: int | None = None
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class TokenOutcome:
    """How a token ended; the fields that its path does not have are None (BEHAVIOUR §1)."""

    token: int
    outcome: Outcome
    path: Path
    chunk: int
    position: int
    node: int | None = None
    sink: int | None = None
    fallback: int | None = None
    reason: str | None = None
    error: ErrorInfo | None = None
    batch: int | None = None
    fork_group: int | None = None
    expand_group: int | None = None
    merge_group: int | None = None


@dataclass(frozen=True, slots=True)
class Parents:
    """Where a token came from. `kind`: source or carried (then there are none), fork, expansion, merge or batch.

    `origin`: the token of another run that a carried one carries on.
    """

    kind: str
    tokens: tuple[int, ...]
    node: int | None = None
    group: int | None = None
    row: int | None = None
    origin: int | None = None


def _error(connection: Connection, step: Step) -> ErrorInfo | None:
    errors, segment = schema.errors, step.segment
    key = (getattr(errors.c, name) == getattr(segment, name) for name in ("run", "chunk", "position"))
    row = connection.execute(select(errors).where(*key), execution_options=AT_ONCE).first()
    return None if row is None else error_of(row)


# --- Where it came from, who carries on ---------------------------------------------------------------------


def parents_of(connection: Connection, run: int, birth: Birth) -> Parents:
    """The tokens that a token came from; all members, for the output of a batch."""
    segment = birth.segment
    if birth.kind == "source":
        return Parents("source", (), row=birth.row)
    if birth.kind == "carried":
        return Parents("carried", (), segment.node, origin=origins_of(segment)[birth.place])
    if birth.kind == "fork":
        parent = tokens_of(segment)[birth.place // segment.fan]
        return Parents("fork", (parent,), segment.node, group=parent)
    if birth.kind == "merge":
        start = birth.place * segment.fan
        group = unpack(segment.children, segment.first_group, segment.group_width, segment.groups)[
            birth.place
        ]
        return Parents("merge", tuple(tokens_of(segment)[start : start + segment.fan]), segment.node, group)
    if birth.kind == "expansion":
        parent = _parent_of_expansion(connection, birth)
        return Parents("expansion", (parent,), segment.node, group=parent)
    if birth.kind == "batch":
        members = tuple(members_of(connection, run, segment.batch))
        return Parents("batch", members, segment.node, group=segment.batch)
    raise FrameBug(f"a token came into being by {birth.kind!r}")


def _parent_of_expansion(connection: Connection, birth: Birth) -> int:
    segments, found = schema.segments, birth.segment
    key = (getattr(segments.c, name) == getattr(found, name) for name in ("run", "chunk", "position"))
    return int(connection.scalars(select(segments.c.first_token).where(*key, segments.c.part == 0)).one())


def children_of(connection: Connection, run: int, story: Story) -> tuple[int, ...]:
    """The tokens that carry a token on: branches, expanded rows, the merged row, the outputs of its batch."""
    for step in reversed(story.steps):
        segment = step.segment
        if segment.kind == "routed" and segment.fan:
            first = segment.first_child + step.place * segment.fan
            return tuple(range(first, first + segment.fan))
        if segment.kind == "merged":
            return (segment.first_child + step.place // segment.fan,)
        if segment.kind == "expanded":
            return tuple(range(segment.first_child, segment.first_child + segment.fan))
        if segment.kind == "buffered":
            return tuple(read_batch(connection, run, segment.batch).outputs)
    return ()


# --- Visits -------------------------------------------------------------------------------------------------


def birth_digest(connection: Connection, run: int, birth: Birth) -> bytes | None:
    """The digest of the row that a token came with; a branch has that of the token which was forked."""
    if birth.kind != "fork":
        return digest_in(connection, birth.segment, birth.place)
    (parent,) = parents_of(connection, run, birth).tokens
    story = read_story(connection, run, parent)
    digest = birth_digest(connection, run, story.birth)
    for visit in visits_of(connection, run, story):
        digest = visit.output_digest or digest
    return digest


def visits_of(connection: Connection, run: int, story: Story) -> Iterator[Visit]:
    """Every attempt of a token, in order, with the digests of what went in and came out."""
    digest = birth_digest(connection, run, story.birth)
    for step in story.steps:
        if step.segment.status is not None:
            visit = _visit(connection, story.token, step, digest)
            yield visit
            digest = visit.output_digest or digest
        if step.segment.kind == "buffered":
            digest = _after_batch(connection, run, step.segment.batch, story.token) or digest


def _after_batch(connection: Connection, run: int, batch: int, token: int) -> bytes | None:
    if not read_batch(connection, run, batch).passthrough:
        return None
    return passthrough_digest(connection, run, batch, token)


_UNCHANGED = frozenset({"routed", "buffered", "waiting"})


def _visit(connection: Connection, token: int, step: Step, digest: bytes | None) -> Visit:
    segment = step.segment
    output = digest if segment.kind in _UNCHANGED else None
    if segment.kind == "visited":
        changed = digest_in(connection, segment, step.place)
        output = digest if changed is None else changed
    number = segment.visit
    if segment.visit_width:
        number = unpack(segment.size, segment.visit, segment.visit_width, segment.visits)[step.place]
    visit = Visit(
        token=token,
        visit=number,
        attempt=segment.attempt,
        node=segment.node,
        status=segment.status,
        chunk=segment.chunk,
        position=segment.position,
        input_digest=digest,
        output_digest=output,
        started_us=segment.started_us,
        duration_us=segment.duration_us if segment.size == 1 else None,
        segment_duration_us=segment.duration_us,
        segment_visits=segment.size,
        label=segment.label,
        mode=segment.mode,
        batch=segment.batch,
    )
    if segment.kind == "sink_intended":
        return _at_sink(connection, visit, step)
    if segment.kind in ("attempt_failed", "merge_late"):
        return replace(visit, error=_error(connection, step) or LATE)
    return visit


def _at_sink(connection: Connection, visit: Visit, step: Step) -> Visit:
    done = _confirmation(connection, step)
    if done is None:
        return visit
    times = {"started_us": done.started_us, "segment_duration_us": done.duration_us}
    refused = _refusal(connection, visit.token, step) if done.rejected else None
    if refused is not None:
        return replace(visit, status="failed", error=ErrorInfo("SinkRejected", refused.reason), **times)
    return replace(visit, status="completed", **times)


def _confirmation(connection: Connection, step: Step) -> Stored | None:
    done, segment = schema.confirmations, step.segment
    key = (getattr(done.c, name) == getattr(segment, name) for name in ("run", "node", "intent"))
    return connection.execute(select(done).where(*key), execution_options=AT_ONCE).first()


def _refusal(connection: Connection, token: int, step: Step) -> Stored | None:
    refused, segment = schema.rejections, step.segment
    key = (getattr(refused.c, name) == getattr(segment, name) for name in ("run", "node", "intent"))
    found = select(refused).where(*key, refused.c.token == token)
    return connection.execute(found, execution_options=AT_ONCE).first()


# --- The end ------------------------------------------------------------------------------------------------


def outcome_of(connection: Connection, run: int, story: Story) -> TokenOutcome | None:
    """How a token ended, None while it is open."""
    for step in reversed(story.steps):
        ended = _ending(connection, run, story, step)
        if ended is not None:
            return ended
    return None


def _ending(connection: Connection, run: int, story: Story, step: Step) -> TokenOutcome | None:
    match step.segment.kind:
        case "routed":
            return _end_of_route(story, step)
        case "failed":
            return _end_of_failure(connection, run, story, step)
        case "buffered":
            return _end_of_batch(connection, run, story, step)
        case "sink_intended":
            return _end_at_sink(connection, story, step)
        case _:
            return _end_at_once(connection, story, step)


def _ended(story: Story, step: Step, path: Path) -> TokenOutcome:
    segment = step.segment
    return TokenOutcome(story.token, OUTCOME_OF[path], path, segment.chunk, segment.position, segment.node)


def _end_of_route(story: Story, step: Step) -> TokenOutcome | None:
    segment = step.segment
    if segment.reached_limit:
        error = ErrorInfo("VisitLimit", segment.label)
        return replace(_ended(story, step, Path.VISIT_LIMIT), error=error)
    if segment.mode == "discard":
        return replace(_ended(story, step, Path.GATE_DISCARDED), reason=segment.label)
    if segment.mode == "fork":
        return replace(_ended(story, step, Path.FORKED), fork_group=story.token)
    return None


def _end_of_failure(connection: Connection, run: int, story: Story, step: Step) -> TokenOutcome | None:
    segment = step.segment
    if segment.reached_limit:
        path = Path.VISIT_LIMIT
    elif segment.clause is None:
        path = Path.UNHANDLED
    elif (segment.node, segment.clause) in discards(connection, run):
        path = Path.ERROR_DISCARDED
    else:
        return None
    return replace(_ended(story, step, path), error=_error(connection, step))


def _end_of_batch(connection: Connection, run: int, story: Story, step: Step) -> TokenOutcome | None:
    batch = read_batch(connection, run, step.segment.batch)
    path = _path_of_batch(connection, run, batch)
    if path is None or batch.chunk is None or batch.position is None:
        return None
    ended = TokenOutcome(story.token, OUTCOME_OF[path], path, batch.chunk, batch.position, batch.node)
    return replace(ended, batch=batch.batch, error=batch.error)


def _path_of_batch(connection: Connection, run: int, batch: BatchRecord) -> Path | None:
    if batch.status == "completed":
        return None if batch.passthrough else Path.BATCHED
    if batch.status == "failed" and batch.clause is None:
        return Path.UNHANDLED
    if batch.status == "failed" and (batch.node, batch.clause) in discards(connection, run):
        return Path.ERROR_DISCARDED
    return None


def _end_at_sink(connection: Connection, story: Story, step: Step) -> TokenOutcome | None:
    done = _confirmation(connection, step)
    if done is None:
        return None
    segment = step.segment
    refused = _refusal(connection, story.token, step) if done.rejected else None
    where = {"chunk": done.chunk, "position": done.position, "sink": segment.node}
    if refused is not None:
        if refused.fallback is not None:
            return None
        error = ErrorInfo("SinkRejected", refused.reason)
        return replace(_ended(story, step, Path.SINK_REJECTED), **where, error=error)
    path = Path(segment.path) if segment.path else PATHS[segment.path_codes[step.place]]
    ended = replace(_ended(story, step, path), **where)
    if path is Path.SINK_REJECTED:
        return _diverted(connection, story, ended)
    if OUTCOME_OF[path] is Outcome.FAILURE:
        return replace(ended, error=_last_error(connection, story))
    return ended


def _diverted(connection: Connection, story: Story, ended: TokenOutcome) -> TokenOutcome:
    """The end of a token that another sink had refused before."""
    for step in reversed(story.steps):
        refused = _refusal(connection, story.token, step) if step.segment.kind == "sink_intended" else None
        if refused is not None:
            error = ErrorInfo("SinkRejected", refused.reason)
            return replace(ended, sink=step.segment.node, fallback=ended.sink, error=error)
    return ended


def _last_error(connection: Connection, story: Story) -> ErrorInfo | None:
    for step in reversed(story.steps):
        if step.segment.kind in ("failed", "row_invalid"):
            return _error(connection, step)
        if step.segment.kind == "buffered":
            error = read_batch(connection, step.segment.run, step.segment.batch).error
            if error is not None:
                return error
    return None


def _end_at_once(connection: Connection, story: Story, step: Step) -> TokenOutcome | None:
    segment = step.segment
    match segment.kind:
        case "dropped":
            return replace(_ended(story, step, Path.DROPPED), reason=segment.label)
        case "expanded":
            return replace(_ended(story, step, Path.EXPANDED), expand_group=story.token)
        case "merged":
            groups = unpack(segment.children, segment.first_group, segment.group_width, segment.groups)
            return replace(_ended(story, step, Path.MERGED), merge_group=groups[step.place // segment.fan])
        case "merge_failed":
            ended = replace(_ended(story, step, Path.MERGE_INCOMPLETE), merge_group=segment.first_group)
        case "merge_late":
            ended = replace(_ended(story, step, Path.LATE_AT_MERGE), merge_group=segment.first_group)
            return replace(ended, error=LATE)
        case "abandoned":
            ended = _ended(story, step, Path.ABANDONED)
        case "row_invalid" if segment.target is None:
            ended = replace(_ended(story, step, Path.INVALID_AT_SOURCE), node=0)
        case _:
            return None
    return replace(ended, error=_error(connection, step))
