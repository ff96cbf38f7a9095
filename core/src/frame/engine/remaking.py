"""Calling plugins again: what they give now for rows that they were given before."""

import inspect
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from frame.engine.calls import TimedOut, call_in_turn
from frame.engine.context import NodeContext, RunFacts
from frame.engine.executors.base import as_row
from frame.engine.failures import Raised, outcome_of
from frame.engine.nodes import PluginNode, Surroundings
from frame.engine.recorded_calls import Answers, NoAnswer
from frame.engine.redaction import Redactor
from frame.errors import NotCanonical
from frame.plugin.protocols import Kind
from frame.plugin.results import Drop, Expand, Fail
from frame.rows import Row

Made = tuple[Row, bytes]


class Otherwise(Exception):
    """What a plugin gives now is no row, though it was one then; the text says what it is."""


def call_again(
    plugin: PluginNode,
    around: Surroundings,
    attempt: tuple[int, int],
    tokens: Sequence[int],
    rows: Sequence[Row],
    answers: Answers,
    *,
    facts: RunFacts | None = None,
) -> list[Any]:
    """What `plugin` gives now for each of `rows`: a result, or `Raised`.

    `attempt`: the numbers of the visit and of the attempt that is made again. `facts`: of the run that made it, if
    that is another one than `around` belongs to. What the plugin asks of the outside
    world is answered by `answers`; where these have none, the value is a `Raised` NoAnswer, whatever the plugin
    made of that.
    """
    facts = replace(facts or around.facts, answers=answers)
    capabilities = plugin.plugin.capabilities
    context = NodeContext(facts, plugin.number, plugin.name, plugin.context.secret, capabilities)
    context.visit, context.attempt = attempt
    values = _values(plugin, around, context, tokens, rows)
    for (_, missed), missing in answers.missing.items():
        for index, token in enumerate(tokens):
            if missed is None or missed == token:
                values[index] = Raised(missing)
    answers.missing.clear()
    return values


def _values(
    plugin: PluginNode,
    around: Surroundings,
    context: NodeContext,
    tokens: Sequence[int],
    rows: Sequence[Row],
) -> list[Any]:
    call, _ = plugin.current()
    if inspect.iscoroutinefunction(call):
        forks = [context.fork(token, context.visit, context.attempt) for token in tokens]
        return [
            _awaited(around, call(*each), plugin.policy.timeout_s) for each in zip(rows, forks, strict=True)
        ]
    if context.attempt == 0 and _goes_at_once(plugin):
        made = plugin.outcome(lambda instance: list(instance.process_many(rows, context)))
        if isinstance(made, list) and len(made) == len(rows):
            return made
    values: list[Any] = []
    ahead = list(rows)

    def job() -> None:
        call_in_turn(call, tokens, ahead, context, values)

    if not around.watch.run(job, plugin.policy.timeout_s, lambda: len(values)):
        ahead.clear()
        hung = Raised(TimedOut(plugin.policy.timeout_s or 0))
        values = [*values, *[hung] * (len(rows) - len(values))]
    return values


def _goes_at_once(plugin: PluginNode) -> bool:
    """Whether a run gives this plugin all rows of a chunk at once."""
    policy = plugin.policy
    limited = policy.breaker is not None or policy.rate_limit is not None or policy.concurrency > 1
    return plugin.ref.kind == Kind.TRANSFORM and not limited and hasattr(plugin.plugin, "process_many")


def _awaited(around: Surroundings, call: Coroutine[Any, Any, Any], timeout_s: float | None) -> Any:
    future = around.loop.start(call)
    answer = outcome_of(future.result, timeout_s)
    if isinstance(answer, Raised) and not future.done():
        future.cancel()
        return Raised(TimedOut(timeout_s or 0))
    return answer


def made_row(value: Any, redactor: Redactor) -> Made:
    """The row that a plugin gave, with its canonical form. Raises Otherwise, and NoAnswer."""
    if not isinstance(value, Mapping):
        raise Otherwise(told(value, redactor))
    try:
        return as_row(value)
    except NotCanonical as error:
        raise Otherwise(f"a row without a canonical form: {error}") from error
    except Exception as error:  # to read what a plugin made may run its code
        raise Otherwise(redactor.told(error)) from error


def made_rows(value: Any, redactor: Redactor) -> list[Made]:
    """The rows that a plugin made of one. Raises Otherwise, and NoAnswer."""
    if not isinstance(value, Expand) or not isinstance(value.rows, Iterable):
        raise Otherwise(told(value, redactor))
    return [made_row(row, redactor) for row in value.rows]


def told(value: Any, redactor: Redactor) -> str:
    """What a plugin gave, in words. Raises NoAnswer if it came to nothing because the record has no answer."""
    match value:
        case Raised(error=NoAnswer() as error):
            raise error
        case Raised(error=error):
            return redactor.told(error)
        case Drop(reason=reason):
            return redactor.text(f"Drop({reason!r})")
        case Fail(reason=reason):
            return redactor.text(f"Fail({reason!r})")
        case Expand():
            return "Expand"
        case Mapping():
            return "one row"
    return type(value).__name__
