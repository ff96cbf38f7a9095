"""Field types of frame as types of Arrow, and the values of rows as values of Arrow, without loss.

str, int, float, bool, bytes, date   string, int64, float64, bool, binary, date32
datetime                             timestamp of microseconds in UTC
time, duration                       time64 and duration of microseconds
decimal                              decimal128(38, 18)
uuid                                 its usual form, as a string
object, any, list without a schema   JSON with sorted keys, as a string
list[T] in the option `fields`       list of T
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from frame.plugin import FieldType, Rejected, parse_field_type

from frame_files.json_text import json_cell

_PYTHON: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "decimal": (Decimal, int),
    "datetime": (datetime,),
    "date": (date,),
    "time": (time,),
    "duration": (timedelta,),
    "uuid": (UUID,),
    "bytes": (bytes,),
}
_JSON = frozenset({"object", "any"})


def kind_of_value(value: Any) -> str:
    """The field type, as text, that a column gets from its first value.

    >>> kind_of_value(1), kind_of_value(True), kind_of_value({"a": 1})
    ('int', 'bool', 'object')
    """
    for name, types in _PYTHON.items():
        if type(value) is types[0]:
            return name
    return "any" if not isinstance(value, dict) else "object"


def arrow_type(kind: FieldType | None) -> Any:
    """The Arrow type for a field type; None (nothing is known but nulls): null."""
    import pyarrow as pa

    if kind is None:
        return pa.null()
    if kind.name in _JSON or kind.name == "uuid":
        return pa.string()
    if kind.name == "list":
        return pa.list_(arrow_type(kind.items))
    return {
        "str": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "decimal": pa.decimal128(38, 18),
        "datetime": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
        "time": pa.time64("us"),
        "duration": pa.duration("us"),
        "bytes": pa.binary(),
    }[kind.name]


def arrow_value(value: Any, kind: FieldType | None) -> Any:
    """The value that Arrow takes for `value` in a column of this kind. Raises TypeError naming both types."""
    if value is None:
        return None
    if kind is None:
        raise TypeError("a value in a column of nulls")
    if kind.name in _JSON:
        return json_cell(value)
    if kind.name == "list" and isinstance(value, list | tuple):
        return [arrow_value(item, kind.items) for item in value]
    if type(value) not in _PYTHON.get(kind.name, ()):
        raise TypeError(f"is {type(value).__name__} and the column is {kind}")
    return str(value) if kind.name == "uuid" else value


def kind_named(name: str | None) -> FieldType | None:
    return None if name is None else parse_field_type(name)


def kinds_of(rows: Sequence[Mapping[str, Any]], known: Mapping[str, str | None]) -> dict[str, str | None]:
    """The kinds of all columns, where `rows` may tell some that were not `known` yet."""
    return {name: kind or _first_kind(row.get(name) for row in rows) for name, kind in known.items()}


def _first_kind(values: Iterable[Any]) -> str | None:
    return next((kind_of_value(value) for value in values if value is not None), None)


def kind_of_arrow(type_: Any) -> str:
    """The field type, as text, of a column that a Parquet file has. Raises ValueError if the sink writes no such."""
    for name in ("str", "int", "float", "bool", "decimal", "datetime", "date", "time", "duration", "bytes"):
        if arrow_type(FieldType(name)) == type_:
            return name
    raise ValueError(f"it has a column of type {type_}, which this sink does not write")


def converted(
    rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str | None]
) -> tuple[dict[int, dict[str, Any]], list[Rejected]]:
    """The rows in Arrow's values, by their index, and those that cannot be taken exactly."""
    types = {name: kind_named(kind) for name, kind in kinds.items()}
    taken: dict[int, dict[str, Any]] = {}
    rejected: list[Rejected] = []
    for index, row in enumerate(rows):
        try:
            taken[index] = _values(row, types)
        except (TypeError, ValueError) as error:
            rejected.append(Rejected(index, str(error)))
    misfits = _misfits(taken, types)
    rejected += [Rejected(index, reason) for index, reason in misfits.items()]
    return {index: row for index, row in taken.items() if index not in misfits}, rejected


def _values(row: Mapping[str, Any], types: Mapping[str, FieldType | None]) -> dict[str, Any]:
    if extra := [name for name in row if name not in types]:
        raise TypeError(f"the file has no column for {', '.join(map(repr, extra))}")
    values = {}
    for name, kind in types.items():
        try:
            values[name] = arrow_value(row.get(name), kind)
        except (TypeError, ValueError) as error:
            raise TypeError(f"field {name!r} {error}") from error
    return values


def _misfits(rows: Mapping[int, Mapping[str, Any]], types: Mapping[str, FieldType | None]) -> dict[int, str]:
    """Index -> why Arrow does not take the row's values exactly; looked for only in columns that it refuses."""
    misfits: dict[int, str] = {}
    for name, kind in types.items():
        if _why_not([row[name] for row in rows.values()], kind) is None:
            continue
        for index, row in rows.items():
            if reason := _why_not([row[name]], kind):
                misfits.setdefault(index, f"field {name!r} does not fit its column ({kind}): {reason}")
    return misfits


def _why_not(values: Sequence[Any], kind: FieldType | None) -> str | None:
    import pyarrow as pa

    try:
        pa.array(values, type=arrow_type(kind))
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        return str(error)
    return None
