"""Dead letters: tokens of a run that failed with nothing to catch them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, select

from frame.audit import schema
from frame.audit.decoding import error_of, tokens_of
from frame.audit.lineage_births import Births
from frame.audit.linked_runs import origin_of
from frame.audit.runs import find_run
from frame.events import ErrorInfo

_s = schema.segments.c
UNHANDLED = (
    _s.kind.in_(("failed", "batch_failed")) & _s.clause.is_(None) & (func.coalesce(_s.reached_limit, 0) == 0)
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A token that ended unhandled at `node`, as chunk `chunk` says, which was opened at `at_us`."""

    token: int
    node: int
    chunk: int
    at_us: int
    error: ErrorInfo


def failures(connection: Connection, run: int) -> Iterator[Failure]:
    """The tokens of a run that ended `unhandled`, in the order in which they did."""
    e, c = schema.errors.c, schema.chunks.c
    same = and_(e.run == _s.run, e.chunk == _s.chunk, e.position == _s.position)
    tables = schema.segments.join(schema.errors, same).join(
        schema.chunks, and_(c.run == _s.run, c.chunk == _s.chunk)
    )
    what = e.type, e.message, e.attempts, e.retryable, e.traceback
    found = (
        select(_s.kind, _s.node, _s.chunk, _s.first_token, _s.batch, c.opened_us, *what)
        .select_from(tables)
        .where(_s.run == run, UNHANDLED, _s.part == 0)
        .order_by(_s.chunk, _s.position)
    )
    rows: Sequence[Any] = connection.execute(found).all()
    for row in rows:
        error = error_of(row)
        tokens = (row.first_token,) if row.kind == "failed" else _members(connection, run, row.batch)
        for token in tokens:
            yield Failure(token, row.node, row.chunk, row.opened_us, error)


def _members(connection: Connection, run: int, batch: int) -> Iterator[int]:
    wanted = select(schema.segments).where(_s.run == run, _s.batch == batch, _s.kind == "buffered")
    for segment in connection.execute(wanted.order_by(_s.chunk, _s.position, _s.part)):
        yield from tokens_of(segment)


def unhandled_tokens(connection: Connection, run: int) -> set[int]:
    """The tokens of a run that ended `unhandled`."""
    wanted = select(_s.kind, _s.first_token, _s.batch).where(_s.run == run, UNHANDLED, _s.part == 0)
    found: set[int] = set()
    for row in connection.execute(wanted).all():
        found.update([row.first_token] if row.kind == "failed" else _members(connection, run, row.batch))
    return found


class Roots:
    """The source rows that tokens go back to, through the runs that they were carried on from."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._births: dict[int, Births] = {}

    def row(self, run: int, token: int) -> int | None:
        """The number of the source row, None if the token came out of a batch."""
        while True:
            if run not in self._births:
                self._births[run] = Births(self._connection, run)
            root = self._births[run].root(token)
            origin = None if root.carried is None else origin_of(self._connection, run)
            if root.carried is None or origin is None:
                return root.row
            run, token = find_run(self._connection, origin), root.carried


def run_id_of(connection: Connection, run: int) -> str:
    """The id of run number `run`."""
    headers = schema.run_headers.c
    return str(connection.scalars(select(headers.run_id).where(headers.run == run)).one())


def runs_with_dead_letters(connection: Connection) -> Iterable[int]:
    """The runs that have left some, the oldest first."""
    return connection.scalars(select(_s.run).where(UNHANDLED).distinct().order_by(_s.run)).all()
