"""A few source rows of a run and what happened to them, for a page."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select

from frame.audit import schema
from frame.audit.export.html_text import code, moment, span, text
from frame.audit.export.kept_data import NOT_KEPT, PURGED, shown
from frame.audit.export.kinds import Record
from frame.audit.export.source import RunRecord
from frame.audit.kept import calls_of, payload_of
from frame.audit.queries import children_of, outcome_of, visits_of
from frame.audit.stories import token_of_row
from frame.audit.tokens import TokenOutcome, Visit
from frame.errors import UsageError
from frame.events import Outcome, PayloadKind

FIRST_ROWS, FAILED_ROWS, MOST_TOKENS, LONGEST_DATA = 8, 12, 24, 4_000
WHY_NOT = {
    NOT_KEPT: "not kept: the run was told to keep no payloads, or none of this row",
    PURGED: "purged: the bytes were removed, the hash stays",
}


def sampled_rows(record: RunRecord) -> list[int]:
    """The first rows of the source, and the first of those that were invalid or whose visit failed."""
    s = schema.segments.c
    of_run = s.run == record.run
    invalid = select(s.first_row).where(of_run, s.kind == "row_invalid").order_by(s.first_row)
    chosen = set(record.connection.scalars(invalid.limit(FAILED_ROWS)))
    failed = select(s.first_token).where(of_run, s.kind == "failed").order_by(s.chunk, s.position)
    for token in record.connection.scalars(failed.limit(FAILED_ROWS)):
        row = _row_of(record, token)
        if row is not None and len(chosen) < FAILED_ROWS:
            chosen.add(row)
    for row in range(FIRST_ROWS):
        if _token_of(record, row) is not None:
            chosen.add(row)
    return sorted(chosen)


def _row_of(record: RunRecord, token: int) -> int | None:
    """The source row that became `token`; None if it came into being later."""
    s = schema.segments.c
    within = s.first_token <= token, s.first_token + s.size > token
    found = select(s.first_row, s.first_token).where(s.run == record.run, s.first_row.is_not(None), *within)
    row = record.connection.execute(found.limit(1)).first()
    return None if row is None else int(row.first_row + token - row.first_token)


def _token_of(record: RunRecord, row: int) -> int | None:
    try:
        return token_of_row(record.connection, record.run, row)
    except UsageError:
        return None


def story(record: RunRecord, row: int) -> str:
    """What happened to a source row and to all that came of it, to be opened by the reader."""
    token = token_of_row(record.connection, record.run, row)
    tokens, is_all = _family(record, token)
    ends = [outcome_of(record.connection, record.run, each) for each in tokens]
    final = [end for end in ends if _is_end(end)] or ends[-1:]
    how = " ".join(dict.fromkeys(_short_end(end) for end in final))
    parts = [_data(record, token)]
    for each, end in zip(tokens, ends, strict=True):
        steps = "".join(f"<li>{step}</li>" for step in _steps(record, each, end))
        parts.append(f'<h3>Token {each}</h3><ol class="story">{steps}</ol>')
    if not is_all:
        parts.append('<p class="soft">More came of this row; <code>frame explain</code> shows all of it.</p>')
    return f"<details><summary><b>Row {row:,}</b> {how}</summary>{''.join(parts)}</details>"


def _is_end(end: TokenOutcome | None) -> bool:
    return end is None or end.outcome is not Outcome.TRANSIENT


def _family(record: RunRecord, token: int) -> tuple[list[int], bool]:
    """The token and those that carried it on, and whether these are all."""
    found: list[int] = []
    waiting = [token]
    while waiting and len(found) < MOST_TOKENS:
        each = waiting.pop(0)
        found.append(each)
        ended = outcome_of(record.connection, record.run, each)
        if ended is None or ended.batch is None:  # what came of a batch came of all its members
            known = {*found, *waiting}
            waiting += [
                child for child in children_of(record.connection, record.run, each) if child not in known
            ]
    return found, not waiting


def _data(record: RunRecord, token: int) -> str:
    fields = row_data(record, token)
    if "withheld" in fields:
        return f'<p class="warn">Data {text(WHY_NOT[str(fields["withheld"])])}.</p>'
    said = str(fields.get("data", fields.get("data_base64")))
    cut = said[:LONGEST_DATA] + (" … (cut here)" if len(said) > LONGEST_DATA else "")
    return f"<pre>{text(cut)}</pre>"


def row_data(record: RunRecord, token: int) -> Record:
    """The kept data of a source row's token as the fields of a record."""
    if record.is_purged:
        return {"withheld": PURGED}
    data = payload_of(record.connection, record.run, PayloadKind.ROWS, token)
    return {"withheld": NOT_KEPT} if data is None else shown(data)


def _steps(record: RunRecord, token: int, end: TokenOutcome | None) -> Iterator[str]:
    calls = calls_of(record.connection, record.run, token)
    for visit in visits_of(record.connection, record.run, token):
        yield _visit(record, visit)
        for call in calls:
            if (call.node, call.visit, call.attempt) == (visit.node, visit.visit, visit.attempt):
                hashes = f"request {code(call.request_sha256.hex())}"
                yield f"called {text(call.kind)}: {text(call.status)} in {span(call.duration_us)}, {hashes}"
    yield f"<b>{_full_end(record, end)}</b>"


def _visit(record: RunRecord, visit: Visit) -> str:
    tried = f", attempt {visit.attempt + 1}" if visit.attempt else ""
    said = [f"<b>{text(record.name(visit.node))}</b>{tried}: {text(visit.status)}"]
    if visit.label is not None and visit.mode is not None:
        said.append(f"decided {code(visit.label)} ({text(visit.mode)})")
    if visit.batch is not None:
        said.append(f"joined batch {visit.batch}")
    if visit.error is not None:
        said.append(f'<span class="bad">{text(visit.error.type)}: {text(visit.error.message)}</span>')
    if visit.output_digest is not None and visit.output_digest != visit.input_digest:
        said.append(f"made {code(visit.output_digest.hex())}")
    when = "" if visit.started_us is None else f' <span class="soft">{moment(visit.started_us)}</span>'
    return ", ".join(said) + when


def _short_end(end: TokenOutcome | None) -> str:
    if end is None:
        return '<span class="badge warn">open</span>'
    kind = {Outcome.FAILURE: "bad", Outcome.SUCCESS: "good", Outcome.TRANSIENT: "soft"}[end.outcome]
    return f'<span class="badge {kind}">{_words(end)}</span>'


def _words(end: TokenOutcome) -> str:
    return text(end.path.value.replace("_", " "))


def _full_end(record: RunRecord, end: TokenOutcome | None) -> str:
    if end is None:
        return "open: the record has no end of it"
    said = [f"ended: {_words(end)}"]
    said += [f"at {text(record.name(end.sink))}"] if end.sink is not None else []
    said += [f"reason {code(end.reason)}"] if end.reason is not None else []
    said += [f"in batch {end.batch}"] if end.batch is not None else []
    if end.error is not None:
        said.append(f'<span class="bad">{text(end.error.type)}: {text(end.error.message)}</span>')
    return ", ".join(said)


def stories(record: RunRecord) -> Sequence[str]:
    """The sampled rows, each told."""
    return [story(record, row) for row in sampled_rows(record)]
