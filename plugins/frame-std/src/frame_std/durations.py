"""Durations as pipeline files write them."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_PATTERN = r"[0-9]{1,12}(\.[0-9]{1,6})?(ms|s|m|h|d)"
_TEXT = re.compile(_PATTERN, re.ASCII)
_UNIT_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


def parse_duration(text: str) -> timedelta:
    """The duration that `text` writes: a number and one of the units ms, s, m, h, d. Raises ValueError.

    >>> parse_duration("1.5h"), parse_duration("250ms")
    (datetime.timedelta(seconds=5400), datetime.timedelta(microseconds=250000))
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a duration; write a number and a unit, as in 500ms, 30s, 5m, 2h, 1d"
        )
    unit = match.group(2)
    whole, _, fraction = text.removesuffix(unit).partition(".")
    size_us = _UNIT_US[unit]
    part_us = int(fraction or "0") * size_us // 10 ** len(fraction)
    try:
        return timedelta(microseconds=int(whole) * size_us + part_us)
    except OverflowError:
        raise ValueError(f"{text!r} is too long a duration") from None


def write_duration(duration: timedelta) -> str:
    """`duration` in seconds, as `parse_duration` reads it back.

    >>> write_duration(timedelta(minutes=1)), write_duration(timedelta(microseconds=1500))
    ('60s', '0.0015s')
    """
    total_us = duration // timedelta(microseconds=1)
    seconds, part_us = divmod(abs(total_us), 1_000_000)
    fraction = f".{part_us:06d}".rstrip("0") if part_us else ""
    return f"{'-' if total_us < 0 else ''}{seconds}{fraction}s"


def _read(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return parse_duration(f"{value:.6f}s")
    if isinstance(value, timedelta):
        return value
    raise ValueError("a duration is written as in 500ms, 30s, 5m, 2h, 1d, or as a number of seconds")


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(write_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": f"^{_PATTERN}$"}, {"type": "number", "minimum": 0}]}
    ),
]
"""An option that takes a duration: text such as `30s`, or a number of seconds."""
