"""What psycopg makes of PostgreSQL's values: what a row can hold, exactly, or an `Unfit`.

Types that no row knows (ranges, addresses, times with a zone, ...) come as PostgreSQL writes them.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import psycopg
from psycopg.adapt import Loader
from psycopg.types.multirange import MultirangeInfo
from psycopg.types.range import RangeInfo
from psycopg.types.string import TextLoader

from frame_sql.values import Unfit, read_json

NAIVE = frozenset({1114, 1115})
"""The OIDs of `timestamp without time zone` and of its arrays."""
_AS_TEXT = ("inet", "cidr", "timetz")
_INTERVAL = re.compile(r"(?:(-?\d+) days?)?\s?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?")


def teach(connection: "psycopg.Connection[Any]") -> None:
    """Make `connection` read as this module says."""
    adapters = connection.adapters
    reads: dict[str, Callable[[str], Any]] = {
        "timestamptz": datetime.fromisoformat,
        "timestamp": datetime.fromisoformat,
        "date": date.fromisoformat,
        "time": time.fromisoformat,
        "interval": interval,
        "json": read_json,
        "jsonb": read_json,
    }
    for name, read in reads.items():
        adapters.register_loader(name, _loader(read))
    for info in adapters.types:
        if isinstance(info, RangeInfo | MultirangeInfo) or info.name in _AS_TEXT:
            adapters.register_loader(info.oid, TextLoader)


def interval(text: str) -> timedelta:
    """An interval of days and time. Raises ValueError for one of months, whose length nobody knows.

    >>> interval("-1 days +02:03:00.5") == timedelta(days=-1, hours=2, minutes=3, seconds=0.5)
    True
    """
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError("is an interval of months or years, which has no length of its own")
    days, sign, hours, minutes, seconds, fraction = match.groups(default="0")
    part = timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=int(fraction.ljust(6, "0"))
    )
    return timedelta(days=int(days)) + (-part if sign == "-" else part)


_SPOKEN = (interval, read_json)
"""These say themselves what is wrong."""


def _loader(read: Callable[[str], Any]) -> type[Loader]:
    class Reads(Loader):
        def load(self, data: Any) -> Any:
            text = bytes(data).decode()
            try:
                return read(text)
            except (ValueError, OverflowError, RecursionError) as error:
                return Unfit(text, str(error) if read in _SPOKEN else "has a value that no row can hold")

    return Reads
