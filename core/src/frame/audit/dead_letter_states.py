"""What has been done about dead letters since they failed.

The record of a run is never changed. What is done about its dead letters is on record elsewhere: in the log of the
store (they were retried in another run, or resolved by somebody), and in the runs that carry them on.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from frame.audit import schema
from frame.audit.dead_letters import failures, run_id_of, unhandled_tokens
from frame.audit.linked_runs import Heir
from frame.audit.store_log import LogKind, append
from frame.audit.text import from_json
from frame.errors import Refused, UsageError

MOST_NAMED = 5


class Fate(StrEnum):
    """What became of a dead letter.

    `open`: nothing yet. `under_way`: a linked run that has not come to its end is to carry it on. `retried`: a linked
    run has; `failed_again`: and there it is a dead letter once more. `resolved`: somebody said that it needs nothing.
    """

    OPEN = "open"
    UNDER_WAY = "under_way"
    RETRIED = "retried"
    FAILED_AGAIN = "failed_again"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class State:
    """Where a dead letter stands. `run_id` and `token`: the linked run, and who it is there, if it is."""

    fate: Fate = Fate.OPEN
    at_us: int | None = None
    run_id: str | None = None
    token: int | None = None
    reason: str | None = None
    by: str | None = None


OPEN = State()


class States:
    """Where the dead letters of one run stand, by token; those of which nothing is said are open."""

    def __init__(self, connection: Connection, run_id: str, now_us: int) -> None:
        self._connection, self._now_us = connection, now_us
        self._states: dict[int, State] = {}
        for record in _records(connection, run_id):
            self._take_in(record.kind, record.at_us, from_json(record.detail))

    def of(self, token: int) -> State:
        """Where `token` stands."""
        return self._states.get(token, OPEN)

    def _take_in(self, kind: str, at_us: int, said: dict[str, Any]) -> None:
        if kind == LogKind.DEAD_LETTER_RESOLVED.value:
            done = State(Fate.RESOLVED, at_us, reason=said["reason"], by=said.get("by"))
            self._states.update(dict.fromkeys(said["tokens"], done))
            return
        run_id = said["retry_run_id"]
        heir = Heir(self._connection, run_id, self._now_us)
        lost = unhandled_tokens(self._connection, heir.run)
        for origin in said["tokens"]:
            token = heir.carried.get(origin)
            fate = _fate(heir, token, lost)
            # What a linked run has left as it was can be retried by another one.
            self._states[origin] = (
                OPEN if fate is Fate.OPEN else State(fate, at_us, run_id, token, by=said.get("by"))
            )


def _fate(heir: Heir, token: int | None, lost: set[int]) -> Fate:
    if token is None:
        return Fate.UNDER_WAY if heir.will_carry else Fate.OPEN
    if token in heir.abandoned:
        return Fate.OPEN
    if token in lost:
        return Fate.FAILED_AGAIN
    return Fate.RETRIED if heir.is_over else Fate.UNDER_WAY


def _records(connection: Connection, run_id: str) -> Iterator[Any]:
    log = schema.store_log.c
    kinds = LogKind.DEAD_LETTER_RESOLVED.value, LogKind.DEAD_LETTER_RETRIED.value
    found = select(log.kind, log.at_us, log.detail).where(log.kind.in_(kinds)).order_by(log.n)
    for record in connection.execute(found).all():
        if from_json(record.detail)["run_id"] == run_id:
            yield record


def retried_tokens(connection: Connection, run_id: str, retry_run_id: str) -> tuple[set[int], bool]:
    """The tokens of run `run_id` that `retry_run_id` was made for; whether it is the last one that was."""
    tokens: set[int] = set()
    newest = True
    for record in _records(connection, run_id):
        said = from_json(record.detail)
        if said.get("retry_run_id") == retry_run_id:
            tokens, newest = set(said["tokens"]), True
        elif "retry_run_id" in said and tokens.intersection(said["tokens"]):
            newest = False
    return tokens, newest


def open_count(connection: Connection, run: int, now_us: int) -> int:
    """How many dead letters of a run nothing was done about."""
    tokens = unhandled_tokens(connection, run)
    if not tokens:
        return 0
    states = States(connection, run_id_of(connection, run), now_us)
    return sum(states.of(token).fate in (Fate.OPEN, Fate.UNDER_WAY) for token in tokens)


# --- To say what is done ----------------------------------------------------------------------------------------------


def open_tokens(connection: Connection, run: int, asked: Sequence[int] | None, now_us: int) -> Iterator[int]:
    """The dead letters of a run that are open, in the order in which they failed; of those `asked` for, if any are.

    Raises UsageError for tokens that are no dead letters, Refused for those that are not open.
    """
    run_id = run_id_of(connection, run)
    states = States(connection, run_id, now_us)
    wanted = None if asked is None else set(asked)
    for failure in failures(connection, run):
        if wanted is not None and failure.token not in wanted:
            continue
        state = states.of(failure.token)
        if state.fate is Fate.OPEN:
            yield failure.token
        elif wanted is not None:
            raise _not_open(run_id, failure.token, state)
        if wanted is not None:
            wanted.discard(failure.token)
    if wanted:
        raise not_dead_letters(run_id, wanted)


def _not_open(run_id: str, token: int, state: State) -> Refused:
    match state.fate.value:
        case "resolved":
            what = f"was resolved by {state.by}: {state.reason}"
        case "under_way":
            what = f"is being carried on in run {state.run_id}: let that come to its end (frame resume {state.run_id})"
        case "failed_again":
            what = f"was retried in run {state.run_id} and is a dead letter there, as token {state.token}"
        case _:
            what = f"was retried in run {state.run_id}"
    return Refused(f"token {token} of run {run_id} {what}")


def not_dead_letters(run: str, tokens: Iterable[int]) -> UsageError:
    """The error for tokens that are no dead letters."""
    named = named_tokens(sorted(tokens))
    return UsageError(
        f"{named} of run {run} did not end as a dead letter: `frame dead-letters list {run} --all` shows those that did"
    )


def named_tokens(tokens: Sequence[int]) -> str:
    """Some tokens in words.

    >>> named_tokens([3]), named_tokens([1, 2])
    ('token 3', 'tokens 1, 2')
    """
    shown = ", ".join(map(str, tokens[:MOST_NAMED])) + (", ..." if len(tokens) > MOST_NAMED else "")
    return f"token{'s' * (len(tokens) != 1)} {shown}"


def note_retry(
    run: int, tokens: Sequence[int], said: dict[str, Any], at_us: int
) -> Callable[[Connection], None]:
    """Puts on record that dead letters of a run are retried, unless one of them is no longer open: then Refused."""

    def note(connection: Connection) -> None:
        still = set(open_tokens(connection, run, None, at_us))
        gone = [token for token in tokens if token not in still]
        if gone:
            run_id = run_id_of(connection, run)
            raise Refused(f"{named_tokens(gone)} of run {run_id} was retried or resolved just now")
        append(connection, LogKind.DEAD_LETTER_RETRIED, at_us, {**said, "tokens": list(tokens)})

    return note


def note_resolved(connection: Connection, tokens: Sequence[int], said: dict[str, Any], at_us: int) -> int:
    """Put on record that dead letters need nothing; the number of the log record."""
    return append(connection, LogKind.DEAD_LETTER_RESOLVED, at_us, {**said, "tokens": list(tokens)}).n
