"""Rows against the types that a plugin declares for what it provides."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from frame.errors import WrongType
from frame.plugin.schema import FieldType, Schema
from frame.rows import FrozenList, Row

_TYPES: dict[str, frozenset[type]] = {
    "str": frozenset({str}),
    "int": frozenset({int}),
    "float": frozenset({float, int}),
    "bool": frozenset({bool}),
    "decimal": frozenset({Decimal}),
    "datetime": frozenset({datetime}),
    "date": frozenset({date}),
    "time": frozenset({time}),
    "duration": frozenset({timedelta}),
    "uuid": frozenset({UUID}),
    "bytes": frozenset({bytes}),
    "list": frozenset({FrozenList}),
    "object": frozenset({Row}),
}


def types_of(kind: FieldType) -> frozenset[type]:
    """The Python types that a value of `kind` may have; empty for `any`."""
    types = _TYPES.get(kind.name, frozenset())
    return types | {type(None)} if types and kind.nullable else types


def checker(provides: Schema, incoming: Schema) -> Callable[[Sequence[Row]], WrongType | None]:
    """Finds the first row that lacks a field which its plugin provides, or has another type there.

    Fields that came in with that type already are not looked at again.
    """
    wanted = [
        (name, types, str(kind))
        for name, kind in provides.fields.items()
        if incoming.fields.get(name) != kind and (types := types_of(kind))
    ]

    def check(rows: Sequence[Row]) -> WrongType | None:
        for name, types, expected in wanted:
            try:
                if types.issuperset({type(row[name]) for row in rows}):
                    continue
            except KeyError:
                pass
            return _first_wrong(rows, name, types, expected)
        return None

    return check


def _first_wrong(rows: Sequence[Row], name: str, types: frozenset[type], expected: str) -> WrongType | None:
    for row in rows:
        if name not in row:
            return WrongType(name, expected, "missing")
        if type(row[name]) not in types:
            return WrongType(name, expected, type(row[name]).__name__)
    return None
