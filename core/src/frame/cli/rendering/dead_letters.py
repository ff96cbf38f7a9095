"""Dead letters as text."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from frame.canonical import canonical
from frame.cli.output import columns, visible
from frame.cli.rendering.explanation import value_text
from frame.cli.rendering.runs import moment

if TYPE_CHECKING:
    from frame.audit.dead_letter_states import State
    from frame.operations import DeadLetter, DeadLetters, Resolved, Retried
    from frame.operations.explanation import Data, Explanation

MOST_TOKENS = 20
LONGEST_ROW = 2_000


def table(found: "DeadLetters", settled: bool) -> str:
    """The list, one line each."""
    if not found.letters:
        which = "no dead letters" if settled else "no open dead letters"
        return f"{which} in {visible(found.store)}"
    head = ("run", "token", "row", "node", "error", "attempts", "when", "state")
    rows = [
        (
            letter.run_id,
            str(letter.token),
            "." if letter.row is None else str(letter.row),
            letter.node,
            _error(letter),
            str(letter.error.attempts),
            moment(letter.at_us),
            state_text(letter.state),
        )
        for letter in found.letters
    ]
    return "\n".join(columns([head, *rows], right=frozenset({1, 2, 5}), indent=""))


def _error(letter: "DeadLetter") -> str:
    line = f"{letter.error.type}: {letter.error.message.strip()}".partition("\n")[0]
    return line if len(line) <= 60 else f"{line[:57]}..."


def state_text(state: "State") -> str:
    """Where a dead letter stands, in words."""
    match state.fate.value:
        case "under_way":
            return f"under way in {state.run_id}"
        case "retried":
            return f"retried in {state.run_id}"
        case "failed_again":
            return f"retried in {state.run_id}, failed again (token {state.token} there)"
        case "resolved":
            when = "" if state.at_us is None else f", {moment(state.at_us)}"
            return f"resolved: {state.reason} ({state.by}{when})"
        case _:
            return "open"


def letter(found: "DeadLetter", story: "Explanation") -> str:
    """One dead letter with its row."""
    return "\n".join(_lines(found, story))


def _lines(found: "DeadLetter", story: "Explanation") -> Iterator[str]:
    row = "" if found.row is None else f", source row {found.row}"
    yield f"token {found.token} of run {found.run_id} ({visible(story.pipeline)}){row}"
    yield from columns(
        [
            ("node", found.node),
            ("when", moment(found.at_us)),
            ("attempts", str(found.error.attempts)),
            ("state", state_text(found.state)),
            ("error", f"{found.error.type}: {found.error.message.strip()}"),
        ]
    )
    data = _came(found, story)
    if data is not None and data.row is not None:
        yield f"  row       {value_text(dict(data.row), LONGEST_ROW)}"
    elif data is not None:
        yield f"  row       not at hand{f': {visible(data.why)}' if data.why else ''}"
    for line in (found.error.traceback or "").strip().splitlines():
        yield f"    {visible(line)}"
    if found.state.fate.value == "open":
        yield f"retry it: frame dead-letters retry {found.run_id} {found.token}"


def _came(found: "DeadLetter", story: "Explanation") -> "Data | None":
    """The row as it came to the node where the token failed."""
    told = next((each for each in story.stories if each.token == found.token), None)
    visits = [] if told is None else [visit for visit in told.visits if visit.node == found.node]
    return visits[-1].came if visits else None


def letter_as_json(found: "DeadLetter", story: "Explanation") -> dict[str, Any]:
    """One dead letter with its row, as one JSON object."""
    data = _came(found, story)
    return {
        "schema_version": 1,
        **found.as_json(),
        "traceback": found.error.traceback,
        "data": None if data is None or data.row is None else json.loads(canonical(dict(data.row))),
    }


def kept_lines(done: "Retried") -> Iterator[str]:
    """The dead letters that could not be carried on, each with the reason."""
    for token, why in done.kept[:MOST_TOKENS]:
        yield f"token {token} is left: {visible(why)}"
    if len(done.kept) > MOST_TOKENS:
        yield f"and {len(done.kept) - MOST_TOKENS:,} more are left"


def retried_line(done: "Retried") -> str:
    """How many were carried on, and from where."""
    count = len(done.tokens)
    if not count:
        return f"nothing to retry: run {done.origin_run_id} has no open dead letter that can be carried on"
    return f"carried on: {count:,} dead letter{'s' * (count != 1)} of run {done.origin_run_id}"


def retried_as_json(done: "Retried") -> dict[str, Any]:
    """What was carried on, and what could not be, as JSON values."""
    kept = [{"token": token, "because": why} for token, why in done.kept]
    return {"origin_run": done.origin_run_id, "carried": list(done.tokens), "left": kept}


def resolved(done: "Resolved") -> str:
    """What was put on record."""
    if not done.tokens:
        return f"run {done.run_id} has no open dead letters"
    shown = ", ".join(map(str, done.tokens[:MOST_TOKENS])) + (
        ", ..." if len(done.tokens) > MOST_TOKENS else ""
    )
    count = len(done.tokens)
    return (
        f"resolved: {count:,} dead letter{'s' * (count != 1)} of run {done.run_id} (token {shown})\n"
        f"on record as number {done.log_n} of the store's log: by {visible(done.by)}, because: {visible(done.reason)}"
    )
