"""Cycles are looked for rarely while frame works, and the collector is left as it was found."""

import gc

import pytest
from frame.garbage import ALLOCATIONS, collecting_rarely


def test_the_collector_is_as_before_after_the_work() -> None:
    before = gc.get_threshold()

    with collecting_rarely():
        during = gc.get_threshold()

    assert during == (ALLOCATIONS, *before[1:])
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_the_collector_is_as_before_after_work_that_fails() -> None:
    before = gc.get_threshold()

    with pytest.raises(ZeroDivisionError), collecting_rarely():
        1 / 0  # noqa: B018

    assert gc.get_threshold() == before


def test_the_outermost_of_several_decides() -> None:
    with collecting_rarely():
        with collecting_rarely():
            pass

        assert (gc.get_threshold()[0], gc.get_freeze_count() > 0) == (ALLOCATIONS, True)
