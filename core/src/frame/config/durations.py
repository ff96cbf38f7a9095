"""Durations and rates as people write them: `500ms`, `30s`, `10/s`."""

import math
import re
from dataclasses import dataclass
from datetime import timedelta

_UNITS_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_RATE_UNITS = {unit: size // 1_000_000 for unit, size in _UNITS_US.items() if unit != "ms"}

DURATION_PATTERN = r"^\s*[0-9]{1,15}(\.[0-9]{1,9})?\s*(ms|s|m|h|d)?\s*$"
RATE_PATTERN = r"^\s*([0-9]{1,9})\s*/\s*(s|m|h|d)\s*$"
LONGEST = timedelta(days=36_500)

_DURATION = re.compile(DURATION_PATTERN)
_RATE = re.compile(RATE_PATTERN)


def parse_duration(text: str) -> timedelta:
    """The duration that `text` writes: a number and a unit, `ms s m h d`; without one, seconds.

    Raises ValueError.

    >>> parse_duration("500ms"), parse_duration("1.5h") == timedelta(minutes=90)
    (datetime.timedelta(microseconds=500000), True)
    """
    match = _DURATION.match(text)
    if match is None or not text.isascii():
        raise ValueError(f"{text!r} is not a duration")
    unit = match.group(2) or "s"
    number = text.strip().removesuffix(match.group(2) or "").strip()
    return _bounded(float(number) * _UNITS_US[unit], text)


def seconds(number: float) -> timedelta:
    """`number` of seconds as a duration. Raises ValueError when it is negative, not finite or too long."""
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{number} is not a duration")
    return _bounded(number * 1_000_000, f"{number}")


def _bounded(microseconds: float, written: str) -> timedelta:
    if microseconds > LONGEST / timedelta(microseconds=1):
        raise ValueError(f"{written!r} is longer than {LONGEST.days} days")
    return timedelta(microseconds=round(microseconds))


def format_duration(duration: timedelta) -> str:
    """The shortest way to write `duration` as a whole number of a unit; `parse_duration` reads it back.

    >>> [format_duration(timedelta(milliseconds=n)) for n in (0, 250, 1500, 90_000, 7_200_000)]
    ['0s', '250ms', '1500ms', '90s', '2h']
    """
    microseconds = duration // timedelta(microseconds=1)
    if microseconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s", "ms"):
        if microseconds % _UNITS_US[unit] == 0:
            return f"{microseconds // _UNITS_US[unit]}{unit}"
    return f"{microseconds / 1_000:.3f}ms"


@dataclass(frozen=True, slots=True)
class Rate:
    """`calls` in every `per_s` seconds."""

    calls: int
    per_s: int

    def __str__(self) -> str:
        unit = next((unit for unit, size in _RATE_UNITS.items() if size == self.per_s), f"{self.per_s}s")
        return f"{self.calls}/{unit}"


def parse_rate(text: str) -> Rate:
    """The rate that `text` writes, as in `10/s`, `100/m`, `1000/h`. Raises ValueError.

    >>> parse_rate("100/m")
    Rate(calls=100, per_s=60)
    """
    match = _RATE.match(text)
    if match is None or not text.isascii() or int(match[1]) < 1:
        raise ValueError(f"{text!r} is not a rate")
    return Rate(int(match[1]), _RATE_UNITS[match[2]])
