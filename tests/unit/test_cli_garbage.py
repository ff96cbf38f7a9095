"""A command does not look for cycles in what its imports made, and leaves the collector as it found it."""

import gc

import pytest
from frame.cli.garbage import ALLOCATIONS, collecting_seldom


def test_the_collector_is_as_before_after_a_command() -> None:
    before = gc.get_threshold()

    with collecting_seldom():
        during = gc.get_threshold()

    assert during == (ALLOCATIONS, *before[1:])
    assert gc.get_threshold() == before


def test_the_collector_is_as_before_after_a_command_that_fails() -> None:
    before = gc.get_threshold()

    with pytest.raises(ZeroDivisionError), collecting_seldom():
        1 / 0  # noqa: B018

    assert gc.get_threshold() == before
