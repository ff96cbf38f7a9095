"""Durations and rates."""

from datetime import timedelta

import pytest
from frame.config.durations import Rate, format_duration, parse_duration, parse_rate, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("1.5s", timedelta(milliseconds=1500)),
        ("0.001ms", timedelta(microseconds=1)),
        ("45", timedelta(seconds=45)),
        (" 3 s ", timedelta(seconds=3)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected
    assert parse_duration(format_duration(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1w", "1s 2s", "1e3s", "٣s", "1.s", "inf", "36501d", "9" * 15 + "d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is longer than"):
        parse_duration(text)


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf"), 1e30])
def test_seconds_that_are_no_duration_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is longer than"):
        seconds(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10/s", Rate(10, 1)), ("100/m", Rate(100, 60)), ("5 / h", Rate(5, 3600)), ("1/d", Rate(1, 86400))],
)
def test_a_rate_is_calls_in_a_unit_of_time(text: str, expected: Rate) -> None:
    assert parse_rate(text) == expected
    assert parse_rate(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "10", "10/", "0/s", "-1/s", "1.5/s", "10/ms", "10/2s", "٣/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)
