"""The functions that frame adds to CEL's, and what keeps a macro from running away.

They are called from native code, where an exception would be logged and could be swallowed by `||`: the first
problem is kept instead, and fails the evaluation when it comes back.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from frame.expressions.syntax import EACH, OWN_NAMES
from frame.expressions.values import Unusable, weigh

MAX_WORK = 30_000_000
"""Squares of the lengths of the lists that macros walk, times what an item's result could hold, added up.

The library copies the list of results for every item that it adds: 30,000,000 took 1.6 s in the worst case
that was found.
"""


class Calls:
    """frame's own functions for one evaluation.

    `weight`: of all that the expression could put into the result for each item. `joins`: how often it puts
    values together.
    """

    def __init__(self, weight: int, joins: int) -> None:
        self.problem = ""
        self._weight, self._factor = weight, joins + 1
        self._work = 0

    def table(self, names: frozenset[str]) -> dict[str, Callable[..., Any]]:
        """The functions called `names`, as the library wants them."""
        return {name: partial(self._call, name) for name in names}

    def _call(self, name: str, *arguments: Any) -> Any:
        if self.problem:
            return None
        try:
            return self._each(*arguments) if name == EACH else _FUNCTIONS[name](*arguments)
        except (Unusable, TypeError, ArithmeticError, ValueError) as problem:
            shown = next((public for public, own in OWN_NAMES.items() if own == name), name)
            self.problem = str(problem) if name == EACH else f"{shown}(): {problem}"
            return None

    def _each(self, items: Any) -> Any:
        """What a macro is to walk instead of `items`: the same list, or the keys of a map in order."""
        if not isinstance(items, list | dict):
            raise Unusable("a macro (map, filter, all, exists) walks a list or a map, and nothing else")
        heaviest = max(map(weigh, items), default=0)
        self._work += len(items) ** 2 * (1 + self._weight + heaviest) * self._factor
        if self._work > MAX_WORK:
            raise Unusable(
                f"a macro over {len(items)} items would copy too much: use smaller lists, or a transform"
            )
        return items if isinstance(items, list) else sorted(items, key=str)


def _size(value: Any) -> int:
    """Characters of a string, items of a list or map; the library would count a string's bytes."""
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise Unusable("takes a string, bytes, a list or a map")


def _text(change: Callable[[str], str], value: Any) -> str:
    if not isinstance(value, str):
        raise Unusable("takes a string")
    return change(value)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("takes a number")
    return value


def _abs(value: Any) -> int | float:
    size = abs(_number(value))
    if isinstance(size, int) and size >= 2**63:
        raise Unusable("the result does not fit into 64 bits")
    return size


def _extreme(choose: Callable[[list[Any]], Any], *values: Any) -> Any:
    """The least or greatest of `values`, or of the one list that is given."""
    items = list(values[0]) if len(values) == 1 and isinstance(values[0], list) else list(values)
    if not items:
        raise Unusable("takes at least one value")
    kinds = {"number" if type(item) in (int, float) else type(item) for item in items}
    if len(kinds) > 1 or not kinds <= {"number", str, datetime, timedelta}:
        raise Unusable("takes numbers, or strings, or timestamps, or durations, and does not mix them")
    if any(isinstance(item, float) and math.isnan(item) for item in items):
        raise Unusable("takes no NaN")
    return choose(items)


def _round(value: Any, digits: Any = 0) -> float:
    """Ties go to the even digit (IEEE 754)."""
    if type(digits) is not int or not 0 <= digits <= 15:
        raise Unusable("rounds to 0 to 15 digits")
    return round(float(_number(value)), digits)


def _whole(change: Callable[[float], int], value: Any) -> float:
    number = float(_number(value))
    return float(change(number)) if math.isfinite(number) else number


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_size": _size,
    "lower": partial(_text, str.lower),
    "upper": partial(_text, str.upper),
    "trim": partial(_text, str.strip),
    "abs": _abs,
    "min": partial(_extreme, min),
    "max": partial(_extreme, max),
    "round": _round,
    "floor": partial(_whole, math.floor),
    "ceil": partial(_whole, math.ceil),
    "coalesce": _coalesce,
}
