"""When a batch is due. Triggers are OR-ed; the first that fires is recorded.

count   as soon as the batch has that many members
after   that long after the first member came; asked before a new row joins, so no late row gets in
when    an expression over batch.count and batch.age (seconds)
at_end  when the source has ended
"""

from frame.errors import ExpressionError
from frame.events import TriggerKind
from frame.graph.model import Trigger


def due(trigger: Trigger, count: int, age_us: int) -> TriggerKind | None:
    """The trigger that has fired for a batch of `count` members whose first came `age_us` ago, if one has.

    Raises ExpressionError when `when` cannot be evaluated.
    """
    if trigger.count is not None and count >= trigger.count:
        return TriggerKind.COUNT
    if trigger.after_s is not None and age_us >= _after_us(trigger.after_s):
        return TriggerKind.AFTER
    if trigger.when is not None and _holds(trigger, count, age_us):
        return TriggerKind.WHEN
    return None


def room(trigger: Trigger, count: int, age_us: int, offered: int) -> int:
    """How many of `offered` rows may join a batch of `count` before it has to be asked again whether it is due."""
    if trigger.count is not None:
        offered = min(offered, trigger.count - count)
    if trigger.when is not None:
        return next((n for n in range(1, offered + 1) if _may_hold(trigger, count + n, age_us)), offered)
    return offered


def deadline_us(trigger: Trigger, opened_us: int) -> int | None:
    """When a batch that was opened at `opened_us` becomes due by the passing of time alone, if it can be told."""
    return None if trigger.after_s is None else opened_us + _after_us(trigger.after_s)


def _after_us(after_s: float) -> int:
    return round(after_s * 1_000_000)


def _may_hold(trigger: Trigger, count: int, age_us: int) -> bool:
    """Whether `when` holds, or cannot be evaluated, which is for `due` to say when it comes to that."""
    try:
        return _holds(trigger, count, age_us)
    except ExpressionError:
        return True


def _holds(trigger: Trigger, count: int, age_us: int) -> bool:
    assert trigger.when is not None
    return trigger.when.evaluate_with(batch={"count": count, "age": age_us / 1_000_000}) is True
