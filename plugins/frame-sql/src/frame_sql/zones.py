"""Time zones by their names."""

from datetime import UTC
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from frame_sql.values import Zone


def zone_called(name: str) -> Zone:
    """The zone of this name. Raises ValueError.

    >>> zone_called("UTC")
    datetime.timezone.utc
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone such as UTC or Europe/Berlin") from None
