"""Runs that carry on tokens of another one, and the family that they make up: an origin, its linked runs, theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from socket import gethostname
from typing import Any

from sqlalchemy import Connection, func, select

from frame.audit import schema
from frame.audit.decoding import origins_of, tokens_of
from frame.audit.giving_up import given_up
from frame.audit.leases import is_held
from frame.audit.recorder import ENDED_WELL, newest_status
from frame.audit.runs import find_run
from frame.audit.sinks import ArtifactRecord, artifacts_of
from frame.audit.text import from_json
from frame.events import RunStatus

DEAD_LETTERS = "dead_letters"
_s = schema.segments.c


@dataclass(frozen=True, slots=True)
class Relative:
    """A run of a family."""

    run: int
    run_id: str
    origin_run_id: str | None


class Heir:
    """A linked run, seen from the run whose tokens it carries on.

    `carried`: tokens there -> tokens here. `is_over`: it has come to its end and cannot go on. `will_carry`: it has
    not, and is to carry on what it has not carried yet: some process works on it, or it has begun to.
    """

    def __init__(self, connection: Connection, run_id: str, now_us: int) -> None:
        self.run = find_run(connection, run_id)
        self.carried = carried_tokens(connection, self.run)
        self.abandoned = _tokens_of_kind(connection, self.run, "abandoned")
        self.is_over = is_over(connection, self.run)
        self.will_carry = not self.is_over and (
            bool(self.carried) or is_worked_on(connection, self.run, now_us)
        )


def carried_tokens(connection: Connection, run: int) -> dict[int, int]:
    """Tokens of the run that `run` carries on -> its own."""
    wanted = select(schema.segments).where(_s.run == run, _s.kind == "carried")
    found: dict[int, int] = {}
    for segment in connection.execute(wanted.order_by(_s.chunk, _s.position, _s.part)):
        found.update(zip(origins_of(segment), tokens_of(segment), strict=True))
    return found


def _tokens_of_kind(connection: Connection, run: int, kind: str) -> set[int]:
    wanted = select(schema.segments).where(_s.run == run, _s.kind == kind)
    return {token for segment in connection.execute(wanted) for token in tokens_of(segment)}


def is_over(connection: Connection, run: int) -> bool:
    """Whether a run has come to its end, well or not, and cannot be gone on with."""
    status = newest_status(connection, run)
    if status in ENDED_WELL or given_up(connection, run) is not None:
        return True
    return status is RunStatus.FAILED and (is_given_up(connection, run) or not _is_stopped(connection, run))


def is_given_up(connection: Connection, run: int) -> bool:
    """Whether a run was ended with tokens that were open."""
    found = select(_s.run).where(_s.run == run, _s.kind == "abandoned").limit(1)
    return connection.execute(found).first() is not None


def _is_stopped(connection: Connection, run: int) -> bool:
    """Whether the last commit says why the run stopped short of its end."""
    notes, chunks = schema.notes.c, schema.chunks.c
    last = select(func.max(chunks.chunk)).where(chunks.run == run).scalar_subquery()
    found = select(notes.kind).where(notes.run == run, notes.chunk == last, notes.kind == "stopped")
    return connection.execute(found).first() is not None


def is_worked_on(connection: Connection, run: int, now_us: int) -> bool:
    """Whether some process is believed to work on a run."""
    if newest_status(connection, run) is not RunStatus.RUNNING:
        return False
    lease = connection.execute(select(schema.run_leases).where(schema.run_leases.c.run == run)).one()
    return is_held(lease, now_us, gethostname())


# --- Families -----------------------------------------------------------------------------------------------------


def origin_of(connection: Connection, run: int) -> str | None:
    """The run whose tokens a run carries on, None if it reads a source."""
    headers = schema.run_headers.c
    found: str | None = connection.scalar(select(headers.origin_run_id).where(headers.run == run))
    return found


def family_of(connection: Connection, run: int) -> list[Relative]:
    """The run at which it began, and all runs that carry on tokens of one of them, the oldest first."""
    while (origin := origin_of(connection, run)) is not None:
        run = find_run(connection, origin)
    headers = schema.run_headers.c
    columns = headers.run, headers.run_id, headers.origin_run_id
    found = [Relative(*connection.execute(select(*columns).where(headers.run == run)).one())]
    linked = select(*columns).where(headers.origin_run_id.is_not(None)).order_by(headers.run)
    known = {found[0].run_id}
    for row in connection.execute(linked).all():  # a run is younger than the one that it carries on
        if row.origin_run_id in known:
            known.add(row.run_id)
            found.append(Relative(*row))
    return found


def is_under_way(connection: Connection, relative: Relative, now_us: int) -> bool:
    """Whether a run has begun to move the sinks of its family and has not come to its end.

    A linked run that stopped before it had carried anything has left everything as it was.
    """
    if is_over(connection, relative.run):
        return False
    begun = relative.origin_run_id is None or bool(carried_tokens(connection, relative.run))
    return begun or is_worked_on(connection, relative.run, now_us)


def sink_positions(connection: Connection, family: Sequence[Relative]) -> dict[int, Any]:
    """Where each sink stands, by node: behind what it has confirmed last, in whichever run of the family."""
    positions: dict[int, Any] = {}
    notes, done = schema.notes.c, schema.confirmations.c
    for relative in family:
        opened = select(notes.node, notes.detail).where(
            notes.run == relative.run, notes.kind == "sink_opened"
        )
        for note in connection.execute(opened.order_by(notes.chunk, notes.position)):
            positions.setdefault(note.node, from_json(note.detail)["position"])
        newest = select(done.node, func.max(done.intent).label("intent")).where(done.run == relative.run)
        last = newest.group_by(done.node).subquery()
        same = (done.node == last.c.node) & (done.intent == last.c.intent) & (done.run == relative.run)
        for row in connection.execute(select(done.node, done.sink_position).where(same)):
            positions[row.node] = None if row.sink_position is None else from_json(row.sink_position)
    return positions


def source_names(connection: Connection, family: Sequence[Relative]) -> Mapping[str, str]:
    """Field names as the source wrote them, with what frame made of them."""
    notes = schema.notes.c
    said = select(notes.detail).where(notes.run == family[0].run, notes.kind == "names_normalized")
    newest = connection.scalar(said.order_by(notes.chunk.desc(), notes.position.desc()).limit(1))
    names: Mapping[str, str] = {} if newest is None else from_json(newest)["names"]
    return names


def last_artifacts(connection: Connection, family: Sequence[Relative]) -> dict[int, ArtifactRecord]:
    """What each sink has published last, by node."""
    return {made.node: made for relative in family for made in artifacts_of(connection, relative.run)}
