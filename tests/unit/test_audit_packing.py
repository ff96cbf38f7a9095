"""Lists of numbers come back from their packed text, and damaged text does not come back as numbers."""

import pytest
from frame.audit.packing import pack_text, unpack
from hypothesis import given
from hypothesis import strategies as st

SPANS = st.sampled_from((0, 9, 10, 99, 100, 999, 1_000, 9_999, 10_000, 10**9))


@given(st.data(), st.integers(0, 10**12), SPANS)
def test_numbers_come_back_whatever_their_width(data, least, span):
    numbers = data.draw(st.lists(st.integers(least, least + span), min_size=1, max_size=20))

    size, first, _, width, text = pack_text(numbers)

    assert unpack(size, first, width, text) == numbers


def test_a_list_that_was_read_is_nobody_elses():
    one = unpack(2, 1000, 3, "007002")
    one.append(0)

    assert unpack(2, 1000, 3, "007002") == [1007, 1002]


@pytest.mark.parametrize("width", [2, 3, 4, 5])
@pytest.mark.parametrize("damage", ["x", ":", "/", "²"])
def test_text_that_is_no_number_is_refused(width, damage):
    text = "1" * width + damage * width

    with pytest.raises(ValueError, match="invalid literal"):
        unpack(2, 1000, width, text)


@pytest.mark.parametrize("width", [2, 3, 4, 5])
def test_text_that_is_too_short_is_refused(width):
    with pytest.raises(ValueError, match="invalid literal"):
        unpack(3, 1000, width, "1" * 2 * width)
