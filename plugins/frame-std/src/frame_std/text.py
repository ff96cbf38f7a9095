"""Values as text, one way only."""

import base64
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from frame_std.durations import write_duration


def as_text(value: Any) -> str | None:
    """The text of a scalar value, or None when it is a list or an object.

    Numbers as Python writes them shortest, times in UTC as RFC 3339, durations in seconds, bytes in base64.

    >>> as_text(True), as_text(None), as_text(1.0), as_text(datetime(2013, 1, 1, tzinfo=UTC))
    ('true', 'null', '1.0', '2013-01-01T00:00:00Z')
    """
    match value:
        case str():
            return value
        case bool() | None:
            return json.dumps(value)
        case int() | float() | Decimal() | UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return write_duration(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
    return None
