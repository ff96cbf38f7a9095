"""How every value that is not a container is written in canonical form, and read again.

`PLAIN` has the types that JSON knows, `TAGGED` those that it lacks, with their tags, `FROM_TAG` the way back.
The functions raise ValueError with the reason, worded to follow the place: "price" + "is nan, which has ...".
"""

import base64
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

MAX_INT_BITS = 4096

MAX_DECIMAL_DIGITS = 1234
"""As many as an integer of `MAX_INT_BITS` can have."""


def string(value: str) -> str:
    """`value` quoted as RFC 8785, 3.2.2.2 has it, which is what `json` does when it keeps to UTF-8."""
    try:
        str.encode(value)
    except UnicodeEncodeError as problem:
        raise ValueError(f"holds half of a surrogate pair at character {problem.start}") from None
    return json.dumps(value, ensure_ascii=False)


def _integer(value: int) -> str:
    if value.bit_length() > MAX_INT_BITS:
        raise ValueError(f"is an integer of {value.bit_length()} bits, and {MAX_INT_BITS} are the limit")
    return str(value)


def _float(value: float) -> str:
    """`value` as ECMAScript writes it (RFC 8785, 3.2.2.3), with `.0` where that would read as an integer."""
    if not math.isfinite(value):
        raise ValueError(
            f"is {value!r}, which has no canonical form: null is the value for what is not known"
        )
    if value == 0:
        return repr(value)
    minus, shortest, exponent = Decimal(repr(value)).normalize(_EXACT).as_tuple()
    sign, digits = "-" * minus, "".join(map(str, shortest))
    count, point = len(digits), len(digits) + int(exponent)
    if count <= point <= 21:
        return f"{sign}{digits}{'0' * (point - count)}.0"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"is the Decimal {value}, which has no canonical form")
    if len(value.as_tuple().digits) > MAX_DECIMAL_DIGITS:
        raise ValueError(f"is a Decimal of more than {MAX_DECIMAL_DIGITS} digits")
    return _EXACT.to_sci_string(value)


def datetime_text(value: datetime) -> str:
    if value.utcoffset() is None:
        raise ValueError(f"is the datetime {value} without a time zone: give it one, as in tzinfo=UTC")
    try:
        moment = value if value.tzinfo is UTC else value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"is the datetime {value}, which in UTC is outside the years 1 to 9999") from None
    text = moment.isoformat()[:-6]
    return f"{text.rstrip('0') if moment.microsecond else text}Z"


def _time(value: time) -> str:
    if value.tzinfo is not None:
        raise ValueError(f"is the time {value} with a time zone, which means nothing without a date")
    text = value.isoformat()
    return text.rstrip("0") if value.microsecond else text


def _duration(value: timedelta) -> str:
    seconds, micros = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    return f"{'-' * (value < timedelta(0))}PT{seconds}{fraction}S"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def why_not(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    for base in (bool, int, float, str, bytes, Decimal, datetime, date, time, timedelta, UUID):
        if issubclass(kind, base):
            return f"is of type {name}: make it a plain {base.__name__}"
    return f"is of type {name}, which a row cannot hold"


def _read_duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration")
    minus, seconds, fraction = match.groups(default="")
    size = timedelta(seconds=int(seconds), microseconds=int(fraction.ljust(6, "0")))
    return -size if minus else size


def _read_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


# A context of frame's own: the thread's may round, or write a small "e".
_EXACT = Context(prec=MAX_DECIMAL_DIGITS, capitals=1)

PLAIN: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "null",
    bool: lambda value: "true" if value else "false",
    int: _integer,
    float: _float,
    str: string,
}

TAGGED: dict[type, tuple[str, Callable[[Any], str]]] = {
    Decimal: ("$decimal", _decimal),
    datetime: ("$datetime", datetime_text),
    date: ("$date", date.isoformat),
    time: ("$time", _time),
    timedelta: ("$duration", _duration),
    UUID: ("$uuid", str),
    bytes: ("$bytes", _base64),
}

_DURATION = re.compile(r"(-?)PT([0-9]+)(?:\.([0-9]{1,6}))?S")
FROM_TAG: dict[str, Callable[[str], Any]] = {
    "$decimal": Decimal,
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$duration": _read_duration,
    "$uuid": UUID,
    "$bytes": _read_bytes,
}
