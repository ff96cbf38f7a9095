"""The story of a row, for reading: token by token, step by step, with what each step did to the data."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from frame.canonical import canonical
from frame.cli.output import visible
from frame.cli.rendering.impact import batch_lines, impact_lines, row_set
from frame.errors import NotCanonical

if TYPE_CHECKING:
    from frame.events import ErrorInfo
    from frame.operations.explanation import (
        Attempt,
        Data,
        Explanation,
        FieldHistory,
        FieldStep,
        Origin,
        OutcomeShown,
        TokenStory,
        VisitStory,
    )

LONGEST_VALUE = 160


def text(explanation: "Explanation") -> str:
    """The whole answer."""
    return "\n".join(_lines(explanation))


def _lines(found: "Explanation") -> Iterator[str]:
    yield from _of_run(found)
    for before in found.before:
        yield ""
        yield f"carried on from run {before.run_id}, where this is its story:"
        yield from _lines(before)
    for after in found.after:
        yield ""
        yield f"carried on in run {after.run_id}, where it went on so:"
        yield from _lines(after)


def _of_run(found: "Explanation") -> Iterator[str]:
    status = visible(found.status.replace("_", " "))
    yield f"{visible(found.asked)} of run {found.run_id} ({visible(found.pipeline)}, {status})"
    if found.field is not None:
        yield from _field(found.field)
    else:
        for story in found.stories:
            yield ""
            yield from _story(story, story.token in found.subject)
        for batch in found.batches:
            yield ""
            yield from batch_lines(batch)
    yield ""
    carried = [story.origin for story in found.stories if story.origin.kind == "carried"]
    for origin in carried:
        yield f"goes back to token {origin.token} of run {origin.run_id}"
    if found.sources.count or not carried:
        yield f"goes back to source {row_set(found.sources)}"
    if found.impact is not None:
        yield from impact_lines(found.impact)


def _story(story: "TokenStory", is_subject: bool) -> Iterator[str]:
    mark = " <- this one" if is_subject and story.origin.kind != "source" else ""
    yield f"token {story.token}: {_origin(story.origin)}{mark}"
    if story.origin.error is not None:
        yield f"  invalid: {_message(story.origin.error.message)}"
    yield f"  {_data(story.data)}"
    for visit in story.visits:
        yield from _visit(visit)
    yield f"  = {_end(story)}"


def _origin(origin: "Origin") -> str:
    parents = ", ".join(map(str, origin.parents[:10])) + (", ..." if len(origin.parents) > 10 else "")
    at = visible(origin.node or "")
    match origin.kind:
        case "source":
            return f"source row {origin.row}" + (f", {visible(origin.place)}" if origin.place else "")
        case "fork":
            return f"branch {visible(origin.branch or '')} of token {parents}, forked at {at}"
        case "expansion":
            return f"number {origin.index} of what token {parents} was expanded to at {at}"
        case "merge":
            return f"tokens {parents} merged at {at}"
        case "carried":
            return f"carries on token {origin.token} of run {origin.run_id}, which had failed at {at}"
        case _:
            return f"output {origin.index} of batch {origin.batch} at {at}"


def _visit(visit: "VisitStory") -> Iterator[str]:
    yield f"  {visible(visit.node)} ({_who(visit)}): {_what(visit)}{_took(visit.attempts)}"
    for attempt in visit.attempts:
        if attempt.error is not None:
            yield f"      attempt {attempt.number} {attempt.status}: {_error(attempt.error)}"
        for call in attempt.calls:
            yield f"      called {visible(call.kind)}: {visible(call.status)}, {_duration(call.duration_us)}"
    if visit.went is not None:
        yield from (f"      {line}" for line in _change(visit.came, visit.went))
    if visit.decision is not None and visit.decision.reason:
        yield f"      reason: {value_text(dict(visit.decision.reason))}"
    if visit.write is not None and visit.write.artifact:
        index = "" if visit.write.index is None else f"row {visit.write.index} of "
        yield f"      {index}{visible(visit.write.artifact)}"


def _who(visit: "VisitStory") -> str:
    if visit.plugin is not None:
        return visible(f"{visit.kind} {visit.plugin.package}.{visit.plugin.name} {visit.plugin.version}")
    if visit.decision is not None and visit.decision.expression:
        return visible(f"{visit.kind} {visit.decision.expression}")
    return visible(visit.kind)


def _what(visit: "VisitStory") -> str:
    to = f" to {', '.join(map(visible, visit.to))}" if visit.to else ""
    if visit.decision is not None:
        limit = ", and the limit of the loop is reached" if visit.decision.at_limit else ""
        return f"{visible(visit.decision.label)}, {visit.result}{to}{limit}"
    said = [
        visit.reason or "",
        "" if visit.error is None else _error(visit.error),
    ]
    if visit.batch is not None:
        said.append(f"in batch {visit.batch}")
    if visit.merge is not None:
        said.append(visit.merge.reason or visit.merge.policy)
    if visit.write is not None and visit.write.refused:
        said.append(visit.write.refused)
    why = "; ".join(visible(each) for each in said if each)
    return f"{visit.result}{f' ({why})' if why else ''}"


def _took(attempts: "tuple[Attempt, ...]") -> str:
    last = attempts[-1] if attempts else None
    if last is None or last.duration_us is None:
        return ""
    return f", {_duration(last.duration_us)}" + (f" for {last.together} rows" if last.together > 1 else "")


def _duration(duration_us: int) -> str:
    return f"{duration_us} µs" if duration_us < 1000 else f"{duration_us / 1000:.1f} ms"


def _data(data: "Data") -> str:
    if data.row is not None:
        return f"{value_text(dict(data.row), 500)}{_doubt(data)}"
    if data.raw is not None:
        return f"raw bytes {visible(data.raw.decode('utf-8', 'backslashreplace'))[:500]}{_doubt(data)}"
    return f"the data is not at hand{_doubt(data)}"


def _doubt(data: "Data") -> str:
    why = f": {visible(data.why)}" if data.why else ""
    match data.state.value:
        case "differs":
            return f"  !! its hash is NOT the one on record{why}"
        case "not_kept":
            return f"  (not kept{why})"
        case "not_recomputable":
            return f"  (cannot be computed again{why})"
    return ""


def _change(came: "Data", went: "Data") -> Iterator[str]:
    """What a step did to the row, field by field."""
    if came.row is None or went.row is None:
        if went.sha256 != came.sha256:
            yield _data(went)
        return
    yield from difference(came.row, went.row)
    if doubt := _doubt(went):
        yield doubt.strip()


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The fields that were added, changed and removed.

    >>> list(difference({"a": 1, "b": 2}, {"a": 3, "c": "x"}))
    ['~ a: 1 -> 3', '+ c: "x"', '- b: 2']
    """
    for name, value in after.items():
        if name not in before:
            yield f"+ {visible(name)}: {value_text(value)}"
        elif value_text(before[name], None) != value_text(value, None):
            yield f"~ {visible(name)}: {value_text(before[name])} -> {value_text(value)}"
    for name, value in before.items():
        if name not in after:
            yield f"- {visible(name)}: {value_text(value)}"


def _end(story: "TokenStory") -> str:
    if story.outcome is None:
        return f"open{f', at {visible(story.stands)}' if story.stands else ''}"
    ended = _outcome(story.outcome)
    if story.children_count:
        more = ", ..." if story.children_count > len(story.children) else ""
        ended += f"; goes on as token {', '.join(map(str, story.children))}{more}"
    return ended


def _outcome(outcome: "OutcomeShown") -> str:
    parts = [f"{outcome.outcome.value}: {outcome.path.value.replace('_', ' ')}"]
    if outcome.sink:
        parts.append(f"in {visible(outcome.sink)}")
    if outcome.reason:
        parts.append(visible(outcome.reason))
    if outcome.error is not None:
        parts.append(_error(outcome.error))
    return ", ".join(parts)


def _field(history: "FieldHistory") -> Iterator[str]:
    end = "it is not there at the end" if history.value is None else f"is {value_text(history.value.value)}"
    yield f"\n{visible(history.field)}: {end}"
    for step in history.steps:
        yield f"  token {step.token}, {visible(step.node)}: {_step(step)}"


def _step(step: "FieldStep") -> str:
    after = "" if step.after is None else f" {value_text(step.after.value)}"
    before = "" if step.before is None else f" {value_text(step.before.value)} ->"
    branch = f" from branch {visible(step.branch)}" if step.branch else ""
    batch = f" of {step.members_count} rows of batch {step.batch}" if step.batch is not None else ""
    why = f" ({visible(step.why)})" if step.why else ""
    return f"{step.what}{before}{after}{branch}{batch}{why}"


def value_text(value: Any, longest: int | None = LONGEST_VALUE) -> str:
    """A value as JSON on one line, cut where it is long.

    >>> value_text({"a": "\\x1b[31m", "b": 1.0})
    '{"a":"\\\\u001b[31m","b":1.0}'
    """
    try:
        shown = visible(canonical(value).decode("utf-8"))
    except NotCanonical:
        shown = visible(repr(value))
    return shown if longest is None or len(shown) <= longest else f"{shown[: longest - 3]}..."


def _error(error: "ErrorInfo") -> str:
    return f"{visible(error.type)}: {_message(error.message)}"


def _message(message: str) -> str:
    return visible(message.strip().partition("\n")[0])
