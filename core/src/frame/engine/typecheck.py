"""Rows against the types that a plugin declares for what it provides."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any
from uuid import UUID

from frame.errors import WrongType
from frame.plugin.schema import ANY, FieldType, Schema
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


TypeCheck = Callable[[Sequence[Row]], WrongType | None]
"""The first row that does not have the types which its plugin declares, as an error; None if all have."""


def nothing_declared(_rows: Sequence[Row]) -> None:
    """The check of a plugin that declares nothing."""


def checker(provides: Schema) -> TypeCheck:
    """Finds the first row that lacks a field which its plugin provides, or has another type there."""
    wanted = [(name, types, kind) for name, kind in provides.fields.items() if (types := types_of(kind))]
    if not wanted:
        return nothing_declared
    names = tuple(name for name, _, _ in wanted)
    fitting: set[tuple[type, ...]] = set()
    values_of = itemgetter(*names) if len(names) > 1 else _one_of(names[0])
    lists = any(kind.name == "list" and types_of(kind.items or ANY) for _, _, kind in wanted)

    def check(rows: Sequence[Row]) -> WrongType | None:
        # Rows of a chunk have few combinations of types: each is looked at once, and then known.
        try:
            found = set(map(_types_in, map(values_of, rows)))
        except KeyError:
            return _first_wrong(rows, wanted)
        if found <= fitting and not lists:
            return None
        wrong = _first_wrong(rows, wanted)
        if wrong is None and len(fitting) < MOST_COMBINATIONS:
            fitting.update(found)
        return wrong

    return check


MOST_COMBINATIONS = 1_000


def _types_in(values: tuple[Any, ...]) -> tuple[type, ...]:
    return tuple(map(type, values))


def _one_of(name: str) -> Callable[[Row], tuple[Any, ...]]:
    return lambda row: (row[name],)


def _first_wrong(
    rows: Sequence[Row], wanted: Sequence[tuple[str, frozenset[type], FieldType]]
) -> WrongType | None:
    for row in rows:
        for name, types, kind in wanted:
            if name not in row:
                return WrongType(name, str(kind), "missing")
            value = row[name]
            if type(value) not in types:
                return WrongType(name, str(kind), type(value).__name__)
            if kind.name == "list" and value is not None:
                wrong = _wrong_item(value, name, kind.items or ANY)
                if wrong is not None:
                    return wrong
    return None


def _wrong_item(items: Sequence[Any], name: str, kind: FieldType) -> WrongType | None:
    types = types_of(kind)
    for place, item in enumerate(items if types else ()):
        if type(item) not in types:
            return WrongType(f"{name}[{place}]", str(kind), type(item).__name__)
        if kind.name == "list" and item is not None:
            wrong = _wrong_item(item, f"{name}[{place}]", kind.items or ANY)
            if wrong is not None:
                return wrong
    return None
