"""What a row is: a mapping from field names to values that nobody can change.

A row is a `dict` to everything that reads it (copying, unpacking, JSON) and refuses every change. Values in
it are frozen all the way down, so the row that was hashed is the row that the next plugin sees.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, NoReturn
from uuid import UUID

Value = Any
"""None, bool, int, float, str, bytes, Decimal, date, time, aware datetime, timedelta, UUID, list or mapping."""


def _refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
    raise TypeError(
        f"{type(self).__name__} is read-only: return a new row instead, as in {{**row, 'field': value}}"
    )


class Row(dict[str, Any]):
    """A read-only row. `{**row, "field": value}` makes a changed copy (a plain dict)."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return Row, (dict(self),)

    def __deepcopy__(self, memo: object) -> "Row":
        return self


class FrozenList(list[Any]):
    """A read-only list inside a row. `[*items, more]` makes a changed copy."""

    __slots__ = ()

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenList, (list(self),)

    def __deepcopy__(self, memo: object) -> "FrozenList":
        return self


_ATOMS = frozenset({type(None), bool, int, float, str, bytes, Decimal, date, time, datetime, timedelta, UUID})


def freeze(row: Mapping[str, Any]) -> Row:
    """`row` as a read-only row, with every container inside it frozen, too. A `Row` comes back as it is.

    >>> freeze({"tags": ["a"], "n": 1})
    {'tags': ['a'], 'n': 1}
    """
    if type(row) is Row:
        return row
    # One pass in C over the types: a row without containers, nearly every row, is copied as it is.
    if _ATOMS.issuperset(map(type, row.values())):
        return Row(row)
    return Row({name: _freeze_value(value) for name, value in row.items()})


def freeze_all(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """`freeze` of each of `rows`; for a chunk of rows without containers in a fraction of the time."""
    if {dict}.issuperset(map(type, rows)) and _ATOMS.issuperset(
        map(type, chain.from_iterable(map(dict.values, rows)))  # type: ignore[arg-type]
    ):
        return list(map(Row, rows))
    return [freeze(row) for row in rows]


def _freeze_value(value: Any) -> Any:
    if isinstance(value, Row | FrozenList):
        return value
    if isinstance(value, Mapping):
        return Row({name: _freeze_value(inner) for name, inner in value.items()})
    if isinstance(value, list | tuple):
        return FrozenList([_freeze_value(inner) for inner in value])
    return value
