"""When a batch is due: exactly then, never before, and never with a row that came too late for it."""

import pytest
from frame.events import TriggerKind
from frame.expressions import Expression
from frame.graph.model import Trigger
from frame.scheduler.triggers import deadline_us, due, room

SECOND = 1_000_000


def when(source: str) -> Expression:
    return Expression.compile(source, ("batch",))


@pytest.mark.parametrize(
    ("trigger", "count", "age_us", "fired"),
    [
        (Trigger(), 10**6, 10**12, None),
        (Trigger(count=3), 2, 0, None),
        (Trigger(count=3), 3, 0, TriggerKind.COUNT),
        (Trigger(after_s=10), 1, 10 * SECOND - 1, None),
        (Trigger(after_s=10), 1, 10 * SECOND, TriggerKind.AFTER),
        (Trigger(when=when("batch.count > 2")), 2, 0, None),
        (Trigger(when=when("batch.count > 2")), 3, 0, TriggerKind.WHEN),
        (Trigger(when=when("batch.age >= 1.5")), 1, 1_499_999, None),
        (Trigger(when=when("batch.age >= 1.5")), 1, 1_500_000, TriggerKind.WHEN),
        (Trigger(count=3, after_s=10, when=when("true")), 3, 10 * SECOND, TriggerKind.COUNT),
        (Trigger(count=4, after_s=10, when=when("true")), 3, 10 * SECOND, TriggerKind.AFTER),
        (Trigger(count=4, after_s=10, when=when("true")), 3, SECOND, TriggerKind.WHEN),
    ],
)
def test_a_batch_is_due(trigger: Trigger, count: int, age_us: int, fired: TriggerKind | None):
    assert due(trigger, count, age_us) is fired


@pytest.mark.parametrize(
    ("trigger", "count", "offered", "joining"),
    [
        (Trigger(), 0, 7, 7),
        (Trigger(count=3), 0, 7, 3),
        (Trigger(count=3), 2, 7, 1),
        (Trigger(count=3), 0, 2, 2),
        (Trigger(when=when("batch.count >= 4")), 1, 7, 3),
        (Trigger(count=3, when=when("batch.count >= 4")), 1, 7, 2),
    ],
)
def test_no_more_rows_join_than_make_the_batch_due(trigger: Trigger, count: int, offered: int, joining: int):
    assert room(trigger, count, 0, offered) == joining


@pytest.mark.parametrize("after_s", [1.0, 0.25, 1e-6, 4e-7, 0.1234567, 3600.0])
def test_a_batch_is_due_at_its_deadline_and_not_a_microsecond_before(after_s: float):
    trigger = Trigger(after_s=after_s)
    moment = deadline_us(trigger, 100)
    assert moment is not None

    assert due(trigger, 1, moment - 100) is TriggerKind.AFTER
    assert moment == 100 or due(trigger, 1, moment - 101) is None
