"""Identifiers for people."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from frame.ids import uuid7
from hypothesis import given
from hypothesis import strategies as st

FIFTY_YEARS_US = 1_577_836_800_000_000


@given(st.integers(0, FIFTY_YEARS_US), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7_that_holds_its_time(time_us, noise):
    parsed = uuid.UUID(uuid7(time_us, lambda count: noise[:count]))

    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == time_us // 1000
    assert str(parsed) == uuid7(time_us, lambda count: noise[:count])


@given(st.integers(0, FIFTY_YEARS_US), st.integers(1000, 10**12))
def test_a_later_id_sorts_after_an_earlier_one(time_us, later_us):
    assert uuid7(time_us) < uuid7(time_us + later_us)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [(b"\x00", "018bcfe5-6800-7000-8000-000000000000"), (b"\xff", "018bcfe5-6800-7fff-bfff-ffffffffffff")],
)
def test_noise_fills_everything_but_time_version_and_variant(noise, expected):
    assert uuid7(1_700_000_000_000_000, lambda count: noise * count) == expected


def test_ids_made_at_the_same_moment_differ():
    with ThreadPoolExecutor(4) as threads:
        made = set(threads.map(uuid7, [1_700_000_000_000_000] * 2000))

    assert len(made) == 2000
