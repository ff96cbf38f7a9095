"""Lists of whole numbers as fixed-width decimal text, which SQL can take apart with `substr`.

A list is stored relative to its smallest member, each offset padded with zeros to one width:
`[1000, 1002, 1007]` is first 1000, width 1, text "027". Consecutive numbers need no text at all: width 0.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

SEGMENT = 2_500
"""Most members of one stored list. SQLite finds the n-th character of a text by walking to it, so a list twice
as long takes twice as long a member to unpack; shorter ones mean more stored rows."""


class Packed(NamedTuple):
    """`first` is the smallest member and `high` the largest; `text` is None when members are consecutive."""

    size: int
    first: int
    high: int
    width: int
    text: str | None


EMPTY = Packed(0, 0, 0, 0, None)


@cache
def _padded(width: int) -> tuple[str, ...]:
    return tuple(f"{number:0{width}d}" for number in range(10**width))


def _text(values: Sequence[int], first: int, width: int) -> str:
    if width <= 4:
        padded = _padded(width)
        return "".join([padded[value - first] for value in values])
    return (f"%0{width}d" * len(values)) % tuple([value - first for value in values])


def pack(values: Sequence[int]) -> Packed:
    """`values` in their order, packed.

    >>> pack(range(5, 8))
    Packed(size=3, first=5, high=7, width=0, text=None)
    >>> pack([1000, 1007, 1002])
    Packed(size=3, first=1000, high=1007, width=1, text='072')
    """
    count = len(values)
    if count == 0:
        return EMPTY
    if isinstance(values, range) and values.step == 1:
        return Packed(count, values.start, values.stop - 1, 0, None)
    first, high = values[0], values[-1]
    if high - first == count - 1 and list(values) == list(range(first, high + 1)):
        return Packed(count, first, high, 0, None)
    return pack_text(values)


def pack_text(values: Sequence[int]) -> Packed:
    """`values` packed with text even where they are consecutive."""
    first, high = min(values, default=0), max(values, default=0)
    width = len(str(high - first))
    return Packed(len(values), first, high, width, _text(values, first, width))


def unpack(count: int, first: int, width: int, text: str | None) -> Sequence[int]:
    """The numbers again, as a range where they are consecutive.

    >>> unpack(3, 1000, 1, "072")
    [1000, 1007, 1002]
    """
    return range(first, first + count) if text is None else list(_numbers(count, first, width, text))


# The tokens of a chunk go through several nodes, so half of the lists that are read are the same as one before. Those
# of a thousand rows have three or four digits a number: added up they take 60 and 80 ns, and `int` of a slice 125.
@lru_cache(maxsize=16)
def _numbers(count: int, first: int, width: int, text: str) -> tuple[int, ...]:
    if width in (3, 4) and len(text) == count * width and text.isascii() and text.isdigit():
        digits = text.encode()
        if width == 3:
            least = first - 111 * ord("0")
            columns = zip(digits[::3], digits[1::3], digits[2::3], strict=True)
            return tuple([least + 100 * a + 10 * b + c for a, b, c in columns])
        least = first - 1111 * ord("0")
        wide = zip(digits[::4], digits[1::4], digits[2::4], digits[3::4], strict=True)
        return tuple([least + 1000 * a + 100 * b + 10 * c + d for a, b, c, d in wide])
    return tuple([first + int(text[at : at + width]) for at in range(0, count * width, width)])


def join(parts: Sequence[Sequence[int]]) -> Sequence[int]:
    """The parts as one sequence: a range if they are ranges that follow each other."""
    parts = [part for part in parts if len(part)] or [range(0)]
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, range) for part in parts) and all(
        left[-1] + 1 == right[0] for left, right in pairwise(parts)
    ):
        return range(parts[0][0], parts[-1][-1] + 1)
    return [number for part in parts for number in part]
