"""The order in which fields stand in a row, beside its canonical form, which sorts them.

A sink may write fields in the order in which they come, so a row that is taken from the record has to come in the
order that it had. Rows that follow one another mostly have the same shape: it is said once, with how many share it.

A shape is JSON: a list of field names; `[name, shape]` stands for a field that holds an object, and `[name, {"each":
[...]}]` for one that holds a list, with null for each of its values that holds no object.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, repeat
from typing import Any

import orjson

from frame.canonical import parsed_all, restore, revived
from frame.rows import FrozenList, Row, freeze

Shapes = Sequence[tuple[int, bytes]]
"""How many rows one after the other, and their shape; nothing at all where every row is in canonical order."""

_AT_ONCE = 200
"""Rows restored together: what was parsed of 200 rows of 23 fields stays in the cache of a processor until it is used,
and of 1,000 it does not, which then takes half as long again."""

_PLAIN: frozenset[object] = frozenset({type(None), bool, int, float, str})
_JSON_CONTAINERS: frozenset[object] = frozenset({dict, list})
_CONTAINERS: frozenset[object] = frozenset({Row, FrozenList})


def shapes_of(rows: Sequence[Row], forms: Sequence[bytes] = ()) -> Shapes:
    """The shapes of `rows`, in their order. `forms`: their canonical forms, where these are at hand."""
    # Most rows are flat and share one order: two passes in C over all of them tell.
    if _hold_no_objects(forms) or _are_flat(rows):
        orders = set(map(tuple, rows))
        if all(map(_is_sorted, orders)):
            return ()
        if len(orders) == 1:
            return ((len(rows), orjson.dumps(orders.pop())),)
        return tuple((len(list(group)), orjson.dumps(names)) for names, group in groupby(map(tuple, rows)))
    shapes = [orjson.dumps(_shape(row)) for row in rows]
    if all(_is_canonical(row) for row in rows):
        return ()
    return merged((1, shape) for shape in shapes)


def shaped(values: Sequence[Mapping[str, Any]], shapes: Shapes) -> list[Row]:
    """Rows with the fields of `values` in the order that they had."""
    if not shapes:
        return [freeze(value) for value in values]
    given = iter(values)
    rows: list[Row] = []
    for count, shape in shapes:
        order = orjson.loads(shape)
        rows += [freeze(_ordered(next(given), order)) for _ in range(count)]
    return rows


def restored(forms: Sequence[bytes], shapes: Shapes) -> list[Row]:
    """The rows that have these canonical `forms` and `shapes`. Raises NotCanonical."""
    try:
        return _restored_by_column(forms, shapes)
    except (ValueError, ArithmeticError, TypeError, KeyError):
        # Damaged, or with a single field, which may be a tag: one by one, each says what is wrong with it.
        return shaped(list(map(restore, forms)), shapes)


# Of a resume that is to give 289,000 members to a batch, this is the loop.
def _restored_by_column(forms: Sequence[bytes], shapes: Shapes) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(forms), _AT_ONCE):
        values: list[dict[str, Any]] = parsed_all(forms[start : start + _AT_ONCE])
        here, at = cut(shapes, start, start + len(values)), 0
        orders = ((count, orjson.loads(shape)) for count, shape in here) if shapes else _orders(values)
        for count, order in orders:
            rows += _in_order(values[at : at + count], order)
            at += count
    return rows


def merged(shapes: Iterator[tuple[int, bytes]]) -> Shapes:
    """`shapes` with equal neighbours made one."""
    groups = groupby(shapes, key=lambda run: run[1])
    return tuple((sum(count for count, _ in group), shape) for shape, group in groups)


def cut(shapes: Shapes, start: int, stop: int) -> Shapes:
    """The shapes of rows `start` to `stop` (excluded).

    >>> cut([(2, b'["a"]'), (3, b'["b"]')], 1, 4)
    [(1, b'["a"]'), (2, b'["b"]')]
    """
    pieces, at = [], 0
    for count, shape in shapes:
        inside = min(stop, at + count) - max(start, at)
        if inside > 0:
            pieces.append((inside, shape))
        at += count
    return pieces


def _orders(values: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Any]]:
    """The order in which fields stand in `values`, as shapes would say it."""
    return ((len(list(group)), names) for names, group in groupby(map(tuple, values)))


def _in_order(values: Sequence[Mapping[str, Any]], order: Sequence[Any]) -> list[Row]:
    """Rows of what is still tagged. Raises ValueError if there are less than two fields, or others than in `order`."""
    shape_of = dict((entry, None) if isinstance(entry, str) else entry for entry in order)
    if len(shape_of) < 2:
        raise ValueError("a row of one field may be a tag, and one without fields has no columns")
    # To write over the values of a row that has the right order takes half the time of putting one in order.
    rows = list(map(Row, repeat(dict.fromkeys(shape_of), len(values))))
    for row, value in zip(rows, values, strict=True):
        dict.update(row, value)
    if not {len(shape_of)}.issuperset(map(len, (*rows, *values))):
        raise ValueError("a row has other fields than its shape")
    is_flat = True
    columns = list(zip(*map(dict.values, rows), strict=True))
    for (name, shape), column in zip(shape_of.items() if rows else (), columns, strict=True):
        if not _PLAIN.issuperset(map(type, column)):
            settled = _revived_column(column, shape)
            is_flat = is_flat and _JSON_CONTAINERS.isdisjoint(map(type, settled))
            for row, value in zip(rows, settled, strict=True):
                dict.__setitem__(row, name, value)
    return rows if is_flat else [freeze(dict(row)) for row in rows]


def _revived_column(column: Sequence[Any], shape: Any) -> Sequence[Any]:
    """The values of one field, their tags read: once where it is the same in several rows, as dates often are."""
    if shape is None and {dict}.issuperset(map(type, column)):
        tagged = [tuple(value.items()) for value in column]
        if all(len(items) == 1 and type(items[0][1]) is str for items in tagged):
            known = {items: revived(dict(items)) for items in set(tagged)}
            return [known[items] for items in tagged]
    return [_ordered(revived(value), shape) for value in column]


def _hold_no_objects(forms: Sequence[bytes]) -> bool:
    """Whether these forms show that their rows hold no objects, which have an order of their own.

    An object is written with a brace, and so may be others; to count them takes a tenth of the time of all types.
    """
    return 0 < b"".join(forms).count(b"{") == len(forms)


def _are_flat(rows: Sequence[Row]) -> bool:
    return _CONTAINERS.isdisjoint(set(map(type, chain.from_iterable(map(dict.values, rows)))))


def _is_sorted(names: Sequence[str]) -> bool:
    return list(names) == sorted(names, key=lambda name: name.encode("utf-16-be"))


def _is_canonical(value: Any) -> bool:
    if isinstance(value, Row):
        return _is_sorted(tuple(value)) and all(map(_is_canonical, value.values()))
    return all(map(_is_canonical, value)) if isinstance(value, FrozenList) else True


def _shape(value: Any) -> Any:
    if isinstance(value, Row):
        return [name if (inner := _shape(item)) is None else [name, inner] for name, item in value.items()]
    if isinstance(value, FrozenList):
        each = [_shape(item) for item in value]
        return None if not any(inner is not None for inner in each) else {"each": each}
    return None


def _ordered(value: Any, shape: Any) -> Any:
    if shape is None:
        return value
    if isinstance(shape, dict):
        return [_ordered(item, inner) for item, inner in zip(value, shape["each"], strict=True)]
    fields = ((entry, None) if isinstance(entry, str) else entry for entry in shape)
    return {name: _ordered(value[name], inner) for name, inner in fields}
