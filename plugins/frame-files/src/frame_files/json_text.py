"""Values of rows as JSON and as text: what JSON lacks is written as a string.

datetime   RFC 3339 in UTC, with Z        decimal    its digits
date, time ISO 8601                       uuid       its usual form
duration   ISO 8601, in seconds           bytes      base64
"""

import base64
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


def scalar_text(value: Any) -> str:
    """The text for a value that JSON has no form for. Raises TypeError for what can be in no row.

    >>> scalar_text(datetime(2013, 1, 1, 10, tzinfo=UTC)), scalar_text(timedelta(seconds=90, microseconds=5))
    ('2013-01-01T10:00:00Z', 'PT90.000005S')
    """
    match value:
        case datetime():
            if value.tzinfo is None:
                raise TypeError("a datetime without a time zone has no place in a row")
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case timedelta():
            return _duration(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _duration(value: timedelta) -> str:
    microseconds = value // timedelta(microseconds=1)
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    text = f"{seconds}.{fraction:06d}".rstrip("0").rstrip(".")
    return f"{'-' if microseconds < 0 else ''}PT{text}S"


_in_order = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=scalar_text
)
_sorted = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=scalar_text, sort_keys=True
)
json_line = _in_order.encode
"""A row as JSON, in the order of its fields. Raises ValueError (NaN) or TypeError."""
json_cell = _sorted.encode
"""A nested value as JSON with sorted keys. Raises ValueError (NaN) or TypeError."""
