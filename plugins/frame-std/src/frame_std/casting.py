"""Values from one type to another, strictly: what would lose or guess something is refused.

    to        from
    str       everything but list and object: `true`, `1.5`, RFC 3339 in UTC, seconds as `90s`, bytes as UTF-8
    int       text of digits with an optional sign; float and decimal without a fraction; bool as 0 or 1
    float     text of a number; int that a float holds exactly; decimal to the nearest float
    bool      the text `true` or `false`; int 0 or 1
    decimal   text of a number; int; float by its shortest text
    datetime  RFC 3339 text with a zone; date as midnight UTC
    date      ISO 8601 text (2013-01-31); datetime by its day in UTC
    time      ISO 8601 text (17:30:00); datetime by its time in UTC
    duration  text such as `30s` or `1.5h`; int or float as seconds
    uuid      text
    bytes     text as UTF-8
    list[T]   a list, element by element
    object    an object
    any       everything, unchanged

A value that is of the type already stays as it is. White space around text is not skipped, and "" is no number.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from frame.plugin import FieldType

from frame_std.durations import parse_duration
from frame_std.fields import ANY, type_name
from frame_std.text import as_text

Caster = Callable[[Any], Any]

_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?", re.ASCII)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?", re.ASCII)


class CastFailed(ValueError):
    """A value has no counterpart in the type that was asked for."""


def caster(kind: FieldType) -> Caster:
    """The function that turns a value into `kind`. It raises CastFailed, also for null unless `kind` is nullable.

    >>> from frame.plugin import parse_field_type
    >>> caster(parse_field_type("list[int]"))(["1", 2.0, True])
    [1, 2, 1]
    """
    convert = _list_caster(caster(kind.items or ANY)) if kind.name == "list" else _CASTERS[kind.name]

    def cast(value: Any) -> Any:
        if value is None:
            if kind.nullable:
                return None
            raise CastFailed(f"null is not {kind}")
        try:
            return convert(value)
        except CastFailed:
            raise
        except (ValueError, ArithmeticError):
            raise _no(value, kind.name) from None

    return cast


def _no(value: Any, target: str) -> CastFailed:
    shown = repr(value)
    return CastFailed(
        f"{type_name(value)} {shown if len(shown) <= 80 else shown[:77] + '...'} is not {target}"
    )


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError
    return text


def _to_str(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    text = as_text(value)
    if text is None:
        raise ValueError
    return text


def _to_int(value: Any) -> int:
    match value:
        case int():
            return int(value)
        case str():
            return int(_matching(_INTEGER, value))
        case float() | Decimal() if value == int(value):
            return int(value)
    raise ValueError


def _to_float(value: Any) -> float:
    match value:
        case bool():
            raise ValueError
        case float():
            result = value
        case int():
            result = float(value)
            if int(result) != value:
                raise ValueError
        case str():
            result = float(_matching(_NUMBER, value))
        case Decimal():
            result = float(value)
        case _:
            raise ValueError
    if not math.isfinite(result):
        raise ValueError
    return result


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value == "true" or (type(value) is int and value == 1):
        return True
    if value == "false" or (type(value) is int and value == 0):
        return False
    raise ValueError


def _to_decimal(value: Any) -> Decimal:
    match value:
        case bool():
            raise ValueError
        case Decimal():
            return value
        case int():
            return Decimal(value)
        case float() if math.isfinite(value):
            return Decimal(repr(value))
        case str():
            return Decimal(_matching(_NUMBER, value))
    raise ValueError


def _to_datetime(value: Any) -> datetime:
    match value:
        case datetime() if value.tzinfo is not None:
            return value
        case date() if not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        case str():
            return datetime.fromisoformat(_matching(_MOMENT, value).upper())
    raise ValueError


def _to_date(value: Any) -> date:
    match value:
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).date()
        case date() if not isinstance(value, datetime):
            return value
        case str():
            return date.fromisoformat(_matching(_DAY, value))
    raise ValueError


def _to_time(value: Any) -> time:
    match value:
        case time():
            return value
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).time()
        case str():
            return time.fromisoformat(_matching(_CLOCK, value))
    raise ValueError


def _to_duration(value: Any) -> timedelta:
    match value:
        case bool():
            raise ValueError
        case timedelta():
            return value
        case str():
            negative = value.startswith("-")
            return -parse_duration(value[1:]) if negative else parse_duration(value)
        case int() | float():
            return timedelta(seconds=value)
    raise ValueError


def _to_uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and len(value) == 36:
        return UUID(value)
    raise ValueError


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8")
    raise ValueError


def _to_object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ValueError


def _list_caster(cast_item: Caster) -> Caster:
    def cast(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ValueError
        return [cast_item(item) for item in value]

    return cast


_CASTERS: dict[str, Caster] = {
    "str": _to_str,
    "int": _to_int,
    "float": _to_float,
    "bool": _to_bool,
    "decimal": _to_decimal,
    "datetime": _to_datetime,
    "date": _to_date,
    "time": _to_time,
    "duration": _to_duration,
    "uuid": _to_uuid,
    "bytes": _to_bytes,
    "object": _to_object,
    "any": lambda value: value,
}
