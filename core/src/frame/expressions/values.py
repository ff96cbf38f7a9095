"""How a row's values reach CEL, and how results come back: no value is changed without being asked.

The library would turn an integer beyond 64 bits, and a Decimal, into a float. Here they are refused.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

MAX_TEXT = 1_000_000
"""Characters of a text result, or of a text that is to be joined to another."""

MAX_DEPTH = 64

SAME_IN_CEL = frozenset((type(None), bool, float, str))
"""Types whose values can be handed over as they are."""


class Unusable(ValueError):
    """A value cannot be handed to CEL, or a result not handed on; the text says which, why and what helps."""


def to_cel(value: Any, place: str, depth: int = 0) -> Any:
    """`value`, which stands at `place`, as CEL takes it. Raises Unusable."""
    kind = type(value)
    if kind is str:
        return _short(value, place)
    if kind in SAME_IN_CEL or kind is timedelta:
        return value
    if kind is int:
        return _int64(value, place)
    if kind is datetime:
        if value.utcoffset() is None:
            raise Unusable(f"{place} is a datetime without a time zone: cast it at the source")
        # As the record keeps it: `getHours` must say the same when the row is read back.
        return value.astimezone(UTC)
    if kind in (date, time):
        return value.isoformat()
    if kind is UUID:
        return str(value)
    if kind is bytes:
        return _short(value, place)
    if isinstance(value, Mapping | list | tuple) and depth < MAX_DEPTH:
        return _container_to_cel(value, place, depth + 1)
    raise Unusable(f"{place} {_why_not(value)}")


def _container_to_cel(value: Any, place: str, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {name: to_cel(inner, f"{place}.{name}", depth) for name, inner in value.items()}
    return [to_cel(inner, f"{place}[{index}]", depth) for index, inner in enumerate(value)]


def _int64(value: int, place: str) -> int:
    if -(2**63) <= value < 2**63:
        return value
    raise Unusable(
        f"{place} is an integer beyond 64 bits, which CEL cannot hold: cast it to float or str first"
    )


def _short(value: Any, place: str) -> Any:
    if len(value) <= MAX_TEXT:
        return value
    raise Unusable(
        f"{place} has {len(value)} characters, and {MAX_TEXT} are the limit where texts are joined"
    )


def _why_not(value: Any) -> str:
    if isinstance(value, Decimal):
        return "is a Decimal, which CEL does not have: cast it to float or str first"
    if isinstance(value, Mapping | list | tuple):
        return f"is nested more than {MAX_DEPTH} deep"
    return f"is of type {type(value).__name__}, which CEL does not have"


def weigh(value: Any) -> int:
    """About how much there is in `value`, in units of 64 bytes. Raises Unusable for too long a text."""
    if isinstance(value, str | bytes):
        return 1 + len(_short(value, "a text that a macro walks over")) // 64
    if isinstance(value, dict):
        return 1 + sum(1 + weigh(inner) for inner in value.values())
    if isinstance(value, list):
        return 1 + sum(map(weigh, value))
    return 1


def from_cel(value: Any) -> Any:
    """The result `value` in plain Python, with the fields of maps in alphabetical order. Raises Unusable.

    The library has no order of its own: it differs from one evaluation to the next.
    """
    kind = type(value)
    if kind in (str, bytes) and len(value) > MAX_TEXT:
        raise Unusable(f"the result has {len(value)} characters, and {MAX_TEXT} are the limit")
    if kind is list:
        return [from_cel(item) for item in value]
    if kind is dict:
        odd = next((name for name in value if type(name) is not str), None)
        if odd is not None:
            raise Unusable(f"the result is a map with the key {odd!r}: in a row, keys are text")
        return {name: from_cel(value[name]) for name in sorted(value)}
    if kind in SAME_IN_CEL or kind in (int, bytes, datetime, timedelta):
        return value
    raise Unusable(f"the result is a {kind.__name__}, which a row cannot hold")


_CEL_NAMES = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    datetime: "timestamp",
    timedelta: "duration",
}


def describe(given: Mapping[str, Any]) -> str:
    """The types of what was handed over, for an error message.

    >>> describe({"row": {"a": 1, "b": None}})
    'row.a is int, row.b is null'
    """
    parts = []
    for variable, value in given.items():
        if isinstance(value, dict):
            parts += [f"{variable}.{name} is {_cel_name(inner)}" for name, inner in value.items()]
        else:
            parts.append(f"{variable} is {_cel_name(value)}")
    return ", ".join(parts[:6]) + (", ..." if len(parts) > 6 else "")


def _cel_name(value: Any) -> str:
    return _CEL_NAMES.get(type(value), "map" if isinstance(value, dict) else "list")
