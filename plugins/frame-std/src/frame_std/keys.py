"""When two rows have the same key.

Two values are the same key exactly when they are written alike: 1, 1.0, "1" and true are four keys, null is a key,
decimals 1.0 and 1.00 are two. Times are compared as moments, whatever their zone; -0.0 is 0.0.
"""

from collections.abc import Hashable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from frame.errors import WrongType

from frame_std.fields import type_name

Key = Hashable


def key_of(value: Any) -> Key:
    """A hashable stand-in for `value`, equal exactly for the same key.

    >>> len({key_of(1), key_of(1.0), key_of("1"), key_of(True), key_of(None)})
    5
    """
    kind = type(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return dict, frozenset((name, key_of(inner)) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return list, tuple(map(key_of, value))
    return kind, str(value) if kind is Decimal else value


def scalar(value: Any, field: str) -> Any:
    """`value` as the group's output shows it. Raises WrongType for a list or an object."""
    if isinstance(value, list | tuple | Mapping):
        raise WrongType(field, "a single value, to be a key", type_name(value))
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value + 0.0 if isinstance(value, float) else value


_ORDER: dict[type, tuple[int, int]] = {
    type(None): (0, 0),
    bool: (1, 0),
    int: (2, 0),
    float: (2, 1),
    Decimal: (2, 2),
    str: (3, 0),
    bytes: (4, 0),
    datetime: (5, 0),
    date: (6, 0),
    time: (7, 0),
    timedelta: (8, 0),
    UUID: (9, 0),
}


def sorting(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """What puts keys of any scalar types into one order: null, booleans, numbers, text, bytes, times, ids.

    >>> sorted([("b",), (None,), (1.5,), (1,), ("a",)], key=sorting)
    [(None,), (1,), (1.5,), ('a',), ('b',)]
    """
    return tuple(_sorting(value) for value in key)


def _sorting(value: Any) -> tuple[Any, ...]:
    rank, tie = _ORDER[type(value)]
    return rank, 0 if value is None else value, tie, str(value) if tie == 2 else ""
