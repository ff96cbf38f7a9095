"""Values of rows as a database keeps them: exactly, or not at all."""

import math
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from frame_sql.database import Column
from frame_sql.json_text import Unstorable, json_text, storable_text
from frame_sql.values import Zone, naive, write_duration

Store = Callable[[Any], Any]
LARGEST_EXPONENT = 16_000
"""Digits on either side of the point; PostgreSQL's numeric ends at 16,383 behind it."""
_BITS = {"int2": 15, "int4": 31}


def storer(column: Column, zone: Zone | None, *, sqlite: bool) -> Store:
    """What makes a value for `column` of a row's value; it raises Unstorable."""
    if column.kind is None:
        store = _by_sqlite(column.declared) if sqlite else _as_text
    elif column.kind.name == "list":
        inner = storer(
            Column(column.name, "", column.kind.items, column.size, column.scale), zone, sqlite=sqlite
        )
        store = _listed(inner)
    else:
        kinds = _in_sqlite(column) if sqlite else _in_postgresql(column, zone)
        store = kinds[column.kind.name]
    return lambda value: None if value is None else store(value)


def _only(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise Unstorable(f"is {type(value).__name__}, and the column is for {types[0].__name__}")
    return value


def _as_text(value: Any) -> str:
    return storable_text(_only(value, str))


def _listed(inner: Store) -> Store:
    def store(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise Unstorable(f"is {type(value).__name__}, and the column is for lists")
        return [inner(item) for item in value]

    return store


def _text(column: Column) -> Store:
    def store(value: Any) -> str:
        text = _as_text(value)
        if column.size is not None and len(text) > column.size:
            raise Unstorable(f"has {len(text)} characters, and the column takes {column.size}")
        if column.declared == "bpchar" and len(text) != column.size:
            raise Unstorable(f"would be filled up with blanks to {column.size} characters")
        return text

    return store


def _integer(column: Column) -> Store:
    bits = _BITS.get(column.declared, 63)

    def store(value: Any) -> int:
        if not -(1 << bits) <= _only(value, int) < 1 << bits:
            raise Unstorable(f"is an integer that does not fit into {bits + 1} bits")
        return int(value)

    return store


def _float(value: Any) -> float:
    number = _only(value, float, int)
    try:
        stored = float(number)
    except OverflowError:
        stored = math.inf
    if not math.isfinite(stored) or stored != number:
        raise Unstorable("is a number that no float is equal to")
    return stored


def _single(value: Any) -> float:
    stored = _float(value)
    try:
        (kept,) = struct.unpack("f", struct.pack("f", stored))
    except OverflowError:
        kept = math.inf
    # What such a column keeps is read again as the shortest text that means it.
    if kept != stored and float(f"{kept:.6g}") != stored:
        raise Unstorable("is a number that a float of 32 bits does not keep")
    return stored


def _decimal(column: Column) -> Store:
    def store(value: Any) -> Decimal:
        number = Decimal(_only(value, Decimal, int))
        if not number.is_finite() or not -LARGEST_EXPONENT < number.adjusted() < LARGEST_EXPONENT:
            raise Unstorable("is a decimal beyond what databases keep")
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        if exponent < -LARGEST_EXPONENT:
            raise Unstorable("is a decimal beyond what databases keep")
        if column.scale is not None and number != round(number, column.scale):
            raise Unstorable(
                f"has more than the {column.scale} digits behind the point that the column keeps"
            )
        return number

    return store


def _moment(value: Any, column: Column) -> datetime:
    moment: datetime = _only(value, datetime)
    if moment.tzinfo is None:
        raise Unstorable("is a time without a zone")
    _check_whole(moment.microsecond, column)
    return moment.astimezone(UTC)


def _whole(value: Any, micros: int, column: Column) -> Any:
    _check_whole(micros, column)
    return value


def _check_whole(micros: int, column: Column) -> None:
    if column.scale is not None and micros % 10 ** (6 - column.scale):
        raise Unstorable(f"has more than the {column.scale} digits of a second that the column keeps")


def _without_zone(column: Column, zone: Zone | None) -> Store:
    def store(value: Any) -> datetime:
        if zone is None:
            raise Unstorable("is for a column of times without a zone: set `naive_zone`")
        try:
            return naive(_moment(value, column), zone)
        except (ValueError, OverflowError) as error:
            raise Unstorable(str(error)) from error

    return store


def _time(value: Any) -> time:
    moment: time = _only(value, time)
    if moment.tzinfo is not None:
        raise Unstorable("is a time with a zone")
    return moment


def _in_postgresql(column: Column, zone: Zone | None) -> Mapping[str, Store]:
    without_zone = column.declared == "timestamp"
    return {
        "str": _text(column),
        "int": _integer(column),
        "float": _single if column.declared == "float4" else _float,
        "bool": lambda value: _only(value, bool),
        "decimal": _decimal(column),
        "datetime": _without_zone(column, zone) if without_zone else lambda value: _moment(value, column),
        "date": lambda value: _only(value, date),
        "time": lambda value: _whole(_time(value), value.microsecond, column),
        "duration": lambda value: _whole(_only(value, timedelta), value.microseconds, column),
        "uuid": lambda value: _only(value, UUID),
        "bytes": lambda value: _only(value, bytes),
        "any": json_text,
    }


def _in_sqlite(column: Column) -> Mapping[str, Store]:
    return {
        "str": _text(column),
        "int": _integer(column),
        "float": _real,
        "bool": lambda value: int(_only(value, bool)),
        "decimal": lambda value: format(_unsigned_zero(_decimal(column)(value)), "f"),
        "datetime": lambda value: _moment(value, column).isoformat(timespec="microseconds")[:-6] + "Z",
        "date": lambda value: _only(value, date).isoformat(),
        "time": lambda value: _time(value).isoformat(timespec="microseconds"),
        "duration": lambda value: write_duration(_only(value, timedelta)),
        "uuid": lambda value: str(_only(value, UUID)),
        "bytes": lambda value: _only(value, bytes),
        "any": json_text,
        "object": _container,
    }


def _real(value: Any) -> float:
    stored = _float(value)
    if stored == 0 and math.copysign(1, stored) < 0:
        raise Unstorable("is -0.0, of which SQLite keeps no sign")
    return stored


def _unsigned_zero(value: Decimal) -> Decimal:
    """`value` as PostgreSQL has it: -0 is 0."""
    return abs(value) if value.is_zero() else value


def _container(value: Any) -> str:
    if not isinstance(value, Mapping | list | tuple):
        raise Unstorable("is neither object nor list, and SQLite makes a number of others in a JSON column")
    return json_text(value)


def _by_sqlite(declared: str) -> Store:
    """For a column without a type, which keeps what it is given, or of one that makes numbers of texts."""

    def store(value: Any) -> Any:
        if type(value) is int:
            return _integer(Column("", "", None))(value)
        if type(value) is float and (not declared or not value.is_integer()):
            return _real(value) if declared else _float(value)
        if not declared and type(value) in {str, bytes}:
            return storable_text(value) if type(value) is str else value
        why = (
            f"SQLite would make another value of it in a {declared} column"
            if declared
            else "the column has no type"
        )
        raise Unstorable(f"is {type(value).__name__}, and {why}")

    return store
