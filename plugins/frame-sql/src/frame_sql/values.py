"""Values of databases as values of rows: the same, or an `Unfit` that says why not."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID
from zoneinfo import ZoneInfo

from frame.plugin import InvalidRow

Read = Callable[[Any], Any]
Zone = ZoneInfo | timezone
_PRECISE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Unfit:
    """A value that no row can hold, as the database writes it."""

    text: str
    why: str


def read_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for what would come out otherwise than it stands there."""
    return json.loads(
        text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_without_doubles
    )


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"has {text}, which is no JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError("has a number that is too large for a float")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("has an object with a key twice")
    return found


def aware(moment: datetime, zone: Zone | None) -> datetime:
    """`moment` in UTC; one without a zone is taken for the time in `zone`. Raises ValueError."""
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError("is a time without a zone: set `naive_zone`")
        moment = moment.replace(tzinfo=zone)
        there_and_back = moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        if there_and_back != moment.replace(tzinfo=None):
            raise ValueError(f"never was the time in {zone}")
        if moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset():
            raise ValueError(f"was the time in {zone} twice")
    return moment.astimezone(UTC)


def naive(moment: datetime, zone: Zone) -> datetime:
    """`moment` as the clocks in `zone` show it. Raises ValueError if they do so twice."""
    shown = moment.astimezone(zone).replace(tzinfo=None)
    if aware(shown, zone) != moment:
        raise ValueError(f"cannot be told from another time in {zone}")
    return shown


_TEXTS: Mapping[str, Read] = {
    "decimal": Decimal,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "uuid": UUID,
    "any": read_json,
    "object": read_json,
}


def read_duration(text: str) -> timedelta:
    """A duration of so many seconds. Raises ValueError.

    >>> read_duration("-1.500000")
    datetime.timedelta(days=-1, seconds=86398, microseconds=500000)
    """
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("-").partition(".")
    return sign * timedelta(seconds=int(whole), microseconds=int(fraction.ljust(6, "0") or 0))


def write_duration(value: timedelta) -> str:
    """`value` in seconds, as `read_duration` reads it."""
    seconds, micros = divmod(abs(value) // _PRECISE, 1_000_000)
    return f"{'-' * (value < timedelta(0))}{seconds}.{micros:06d}"


def reader_of_text(kind: str, zone: Zone | None) -> Read | None:
    """What makes a value of `kind` of what SQLite has in a column that is declared so; None: nothing has to."""
    if kind == "bool":
        return _bool
    if kind == "datetime":
        return _guarded(lambda text: aware(datetime.fromisoformat(text), zone))
    if kind == "duration":
        return _guarded(read_duration)
    return _guarded(_TEXTS[kind]) if kind in _TEXTS else None


def _bool(value: Any) -> Any:
    return bool(value) if type(value) is int and value in {0, 1} else Unfit(str(value), "is neither 0 nor 1")


def _guarded(read: Callable[[str], Any]) -> Read:
    def guarded(value: Any) -> Any:
        if isinstance(value, Unfit):
            return value
        if type(value) is not str:
            return Unfit(str(value), f"is {type(value).__name__} in a column of texts")
        try:
            return read(value)
        except (ValueError, ArithmeticError, RecursionError) as error:
            return Unfit(value, str(error) or "cannot be read")

    return guarded


def zoned(zone: Zone | None) -> Read:
    """Gives datetimes, also those in lists, in UTC."""

    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [item if item is None else read(item) for item in value]
        if not isinstance(value, datetime):
            return value
        try:
            return aware(value, zone)
        except (ValueError, OverflowError) as error:
            return Unfit(value.isoformat(" "), str(error))

    return read


def row_of(names: Sequence[str], values: Sequence[Any], place: str) -> Mapping[str, Any] | InvalidRow:
    """A row of these values, or the invalid row that they are."""
    for name, value in zip(names, values, strict=True):
        found = _unfit_in(value)
        if found is not None:
            shown = {key: _shown(inner) for key, inner in zip(names, values, strict=True)}
            raw = json.dumps(shown, ensure_ascii=False).encode("utf-8", "backslashreplace")
            return InvalidRow(raw, f"column {name!r} {found.why}", place)
    return dict(zip(names, values, strict=True))


def _unfit_in(value: Any) -> Unfit | None:
    if isinstance(value, Unfit):
        return value
    if type(value) is list:
        return next((found for item in value if (found := _unfit_in(item)) is not None), None)
    return None


def _shown(value: Any) -> Any:
    if isinstance(value, Unfit):
        return value.text
    if type(value) is list:
        return [_shown(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
