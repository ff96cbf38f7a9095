"""Dead letters: which there are, what became of them, and to say of some that they need nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from frame.clock import Clock, SystemClock, as_datetime
from frame.errors import UsageError
from frame.operations.asker import asker
from frame.operations.stores import store_url

if TYPE_CHECKING:
    from frame.audit.dead_letter_states import State
    from frame.events import ErrorInfo


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A token that failed at `node` with nothing to catch it. `state`: what was done about it since.

    `row`: the source row that it goes back to, None if that is not one. `at_us`: when the chunk was opened in which
    it failed.
    """

    run_id: str
    token: int
    row: int | None
    node: str
    error: "ErrorInfo"
    at_us: int
    state: "State"

    def as_json(self) -> dict[str, Any]:
        """This as JSON values."""
        error, state = self.error, self.state
        return {
            "run": self.run_id,
            "token": self.token,
            "row": self.row,
            "node": self.node,
            "error": {"type": error.type, "message": error.message},
            "attempts": error.attempts,
            "at": as_datetime(self.at_us).isoformat(),
            "state": state.fate.value,
            "retried_in": state.run_id,
            "retried_as": state.token,
            "reason": state.reason,
            "by": state.by,
            "settled_at": None if state.at_us is None else as_datetime(state.at_us).isoformat(),
        }


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead letters of a store, or of one run, in the order in which they failed."""

    store: str
    letters: tuple[DeadLetter, ...]

    def as_json(self) -> dict[str, Any]:
        """The list as one JSON object."""
        return {
            "schema_version": 1,
            "store": self.store,
            "dead_letters": [each.as_json() for each in self.letters],
        }


@dataclass(frozen=True, slots=True)
class Resolved:
    """Dead letters of a run that need nothing, as `by` has put on record."""

    run_id: str
    tokens: tuple[int, ...]
    reason: str
    by: str
    log_n: int | None

    def as_json(self) -> dict[str, Any]:
        """The answer as one JSON object."""
        return {
            "schema_version": 1,
            "run": self.run_id,
            "tokens": list(self.tokens),
            "reason": self.reason,
            "by": self.by,
            "log_record": self.log_n,
        }


def dead_letters(
    run: str | None = None,
    *,
    settled: bool = False,
    audit: str | None = None,
    pipeline: str | PathLike[str] | None = None,
    clock: Clock | None = None,
) -> DeadLetters:
    """The open dead letters of `run`, or of all runs in the audit store; with `settled` also those that are not open.

    `run`: a run id, an unambiguous beginning of one, or "latest". One that a linked run is still to carry on counts
    as open. Raises UsageError if there is no such run.
    """
    from frame.audit import database
    from frame.audit.dead_letters import runs_with_dead_letters
    from frame.audit.queries import find_run

    now_us = (clock or SystemClock()).time_us()
    with database.open(store_url(audit, pipeline), to_read=True) as store, store.reading() as connection:
        runs = runs_with_dead_letters(connection) if run is None else [find_run(connection, run)]
        found = [
            letter
            for number in runs
            for letter in _letters(connection, number, now_us)
            if settled or is_open(letter.state)
        ]
        return DeadLetters(store.where, tuple(found))


def is_open(state: "State") -> bool:
    """Whether something is still to be done about a dead letter."""
    return state.fate.value in {"open", "under_way"}


def _letters(connection: Any, run: int, now_us: int) -> Iterator[DeadLetter]:
    """The dead letters of one run."""
    from frame.audit.dead_letter_states import States
    from frame.audit.dead_letters import Roots, failures, run_id_of
    from frame.audit.queries import nodes_of

    run_id = run_id_of(connection, run)
    names = {node.node: node.name for node in nodes_of(connection, run)}
    states, roots = States(connection, run_id, now_us), Roots(connection)
    for each in failures(connection, run):
        row, state = roots.row(run, each.token), states.of(each.token)
        yield DeadLetter(run_id, each.token, row, names[each.node], each.error, each.at_us, state)


def dead_letter(
    run: str,
    token: int,
    *,
    audit: str | None = None,
    pipeline: str | PathLike[str] | None = None,
    clock: Clock | None = None,
) -> DeadLetter:
    """The dead letter `token` of `run`, open or not. Raises UsageError if it is none."""
    found = dead_letters(run, settled=True, audit=audit, pipeline=pipeline, clock=clock)
    for letter in found.letters:
        if letter.token == token:
            return letter
    from frame.audit.dead_letter_states import not_dead_letters

    raise not_dead_letters(run, [token])


def resolve_dead_letters(
    run: str,
    tokens: Sequence[int] | None = None,
    *,
    reason: str,
    audit: str | None = None,
    pipeline: str | PathLike[str] | None = None,
    clock: Clock | None = None,
) -> Resolved:
    """Put on record that dead letters of `run` need nothing, and why; by default all that are open.

    Raises UsageError for tokens that are no dead letters and without a reason, Refused for those that are not open.
    """
    from frame.audit import database
    from frame.audit.dead_letter_states import note_resolved, open_tokens
    from frame.audit.dead_letters import run_id_of
    from frame.audit.queries import find_run

    if not reason.strip():
        raise UsageError("say why nothing is to be done about them: --reason TEXT")
    by, now_us = asker(), (clock or SystemClock()).time_us()
    with database.open(store_url(audit, pipeline), create=False) as store, store.writing() as connection:
        number = find_run(connection, run)
        run_id = run_id_of(connection, number)
        chosen = tuple(open_tokens(connection, number, tokens, now_us))
        log_n = None
        if chosen:
            said = {"run_id": run_id, "reason": reason, "by": by}
            log_n = note_resolved(connection, chosen, said, now_us)
        return Resolved(run_id, chosen, reason, by, log_n)
