"""The place behind a row, by its key, as JSON: what a later process goes on from.

It has whole numbers, texts and `{"bytes": HEX}`; PostgreSQL reads a text as whatever its column is.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from frame_sql.values import Unfit, write_duration


class NoKey(ValueError):
    """What stands in a key column does not name a row."""


def place_of(values: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """The place of a row with these `values` in its key columns. Raises NoKey.

    >>> place_of([7, Decimal("1.50"), b"x"], ["a", "b", "c"])
    [7, '1.50', {'bytes': '78'}]
    """
    return [_part(value, name) for value, name in zip(values, names, strict=True)]


def _part(value: Any, name: str) -> Any:
    match value:
        case bool() | float():
            raise NoKey(f"the key {name!r} is a {type(value).__name__}, by which no row can be found exactly")
        case int() | str():
            return value
        case bytes():
            return {"bytes": value.hex()}
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return write_duration(value)
        case Decimal() | UUID():
            return str(value)
        case Unfit():
            return value.text
    shown = "null" if value is None else type(value).__name__
    raise NoKey(f"the key {name!r} is {shown}, which names no row")


def values_of(place: Sequence[Any]) -> tuple[Any, ...]:
    """What is bound to a statement for the rows from `place` on."""
    return tuple(bytes.fromhex(part["bytes"]) if isinstance(part, dict) else part for part in place)
