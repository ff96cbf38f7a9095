"""Statistics of the numbers in one field, exact and independent of their order.

Sums are exact rational numbers, rounded once when they are told: an int of any size for ints, a decimal for decimals
(also among ints), a float as soon as one value is a float. What has no value, such as the mean of nothing or the
deviation of a single one, is null and never 0.
"""

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from enum import IntEnum, StrEnum
from fractions import Fraction

from frame.errors import RowError

Number = int | float | Decimal


class Stat(StrEnum):
    """`stddev` divides by n - 1 (a sample), `stddev_pop` by n (a whole population)."""

    COUNT = "count"
    NULLS = "nulls"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    STDDEV = "stddev"
    STDDEV_POP = "stddev_pop"


class TooLarge(RowError):
    """A statistic is beyond what a float can hold."""

    def __init__(self, stat: str) -> None:
        super().__init__(stat)
        self.stat = stat

    def __str__(self) -> str:
        return f"the {self.stat} is greater than a float can hold (1.8e308)"


class Kind(IntEnum):
    """What a group's values are; the greatest of the values' kinds is the group's."""

    INT = 0
    DECIMAL = 1
    FLOAT = 2


LARGEST_EXPONENT = 6144
"""Decimals reach as far as IEEE 754 decimal128, which keeps their exact sum below 20,000 digits."""

_EXACT = Context(prec=20_000)
_ROUNDED = Context(prec=34)


@dataclass(frozen=True, slots=True)
class Summary:
    """What can be told of values without keeping them. `low` and `high` are None when there are none."""

    kind: Kind
    count: int
    total: Fraction
    low: Number | None
    high: Number | None


NOTHING = Summary(Kind.INT, 0, Fraction(0), None, None)


def summarised(ints: Sequence[int], floats: Sequence[float], decimals: Sequence[Decimal]) -> Summary:
    """The summary of all these values."""
    kinds = [kind for kind, values in zip(Kind, (ints, decimals, floats), strict=True) if values]
    total = sum(ints) + _sum_of_floats(floats) + _sum_of_decimals(decimals)
    present = [values for values in (ints, floats, decimals) if values]
    low = _extreme(min, [min(values, key=_rank if values is decimals else None) for values in present])
    high = _extreme(max, [max(values, key=_rank if values is decimals else None) for values in present])
    return Summary(max(kinds, default=Kind.INT), len(ints) + len(floats) + len(decimals), total, low, high)


def merged(one: Summary, other: Summary) -> Summary:
    """The summary of the values of both."""
    return Summary(
        max(one.kind, other.kind),
        one.count + other.count,
        one.total + other.total,
        _extreme(min, [value for value in (one.low, other.low) if value is not None]),
        _extreme(max, [value for value in (one.high, other.high) if value is not None]),
    )


def total(summary: Summary) -> Number | None:
    return None if summary.count == 0 else _told(summary.total, summary.kind, "sum")


def mean(summary: Summary) -> Number | None:
    return (
        None
        if summary.count == 0
        else _told(summary.total / summary.count, summary.kind, "mean", divided=True)
    )


def quantile(ordered: Sequence[Number], share: Fraction, kind: Kind) -> Number | None:
    """The value that `share` of `ordered` lie below, linear between neighbours (Hyndman and Fan 1996, type 7).

    >>> quantile([1, 2, 4], Fraction(1, 2), Kind.INT), quantile([1, 2], Fraction(1, 4), Kind.INT)
    (2.0, 1.25)
    """
    if not ordered:
        return None
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    low = Fraction(ordered[below])
    high = Fraction(ordered[min(below + 1, len(ordered) - 1)])
    return _told(low + (high - low) * (place - below), kind, "quantile", divided=True)


def deviation(values: Sequence[Number], summary: Summary, freedom: int) -> Number | None:
    """The standard deviation of `values`, dividing by their number less `freedom`; None when that is 0."""
    divisor = summary.count - freedom
    if divisor < 1:
        return None
    if summary.kind is Kind.FLOAT:
        return _deviation_of_floats([float(value) for value in values], summary, divisor)
    squares = sum(Fraction(value) ** 2 for value in values)
    variance = (squares - summary.total**2 / summary.count) / divisor
    if summary.kind is Kind.DECIMAL:
        return _ROUNDED.sqrt(_ROUNDED.divide(variance.numerator, variance.denominator))
    shift = max(0, variance.numerator.bit_length() - variance.denominator.bit_length() - 900) // 2 * 2
    try:
        return math.ldexp(math.sqrt(variance / 2**shift), shift // 2)
    except OverflowError:
        raise TooLarge("standard deviation") from None


def _deviation_of_floats(values: list[float], summary: Summary, divisor: int) -> float:
    """Two passes, with the rounding of the mean taken out again; scaled so that no square is lost or overflows."""
    middle = float(summary.total / summary.count)
    distances = [value - middle for value in values]
    scale = max(map(abs, distances))
    if not math.isfinite(scale):
        raise TooLarge("standard deviation")
    if scale == 0:
        return 0.0
    scaled = [distance / scale for distance in distances]
    squares = math.fsum(part * part for part in scaled) - math.fsum(scaled) ** 2 / len(values)
    return scale * math.sqrt(max(0.0, squares) / divisor)


def _sum_of_floats(values: Sequence[float]) -> Fraction:
    """The exact sum: `math.fsum` gives it rounded, then what it left over, until nothing is left."""
    parts: list[float] = []
    try:
        while part := math.fsum([*values, *parts]):
            parts.append(-part)
    except OverflowError:
        return sum(map(Fraction, values), Fraction(0))
    return -sum(map(Fraction, parts), Fraction(0))


def _sum_of_decimals(values: Sequence[Decimal]) -> Fraction:
    with localcontext(_EXACT):
        return Fraction(sum(values, Decimal(0)))


def _rank(value: Number) -> tuple[Number, int, str]:
    """Orders numbers by value, equal ones by their writing, so that 1, 1.0 and 1.00 have an order, too."""
    if isinstance(value, Decimal):
        return value, 1, str(value)
    return value, 2 if isinstance(value, float) else 0, ""


def _extreme(pick: Callable[..., Number], values: Sequence[Number]) -> Number | None:
    if not values:
        return None
    value = pick(values, key=_rank)
    return value + 0.0 if isinstance(value, float) else value


def _told(exact: Fraction, kind: Kind, stat: str, divided: bool = False) -> Number:
    """`exact` in the type of a statistic over values of `kind`."""
    if kind is Kind.INT and not divided:
        return exact.numerator
    if kind is Kind.DECIMAL:
        context = _ROUNDED if divided else _EXACT
        return context.divide(Decimal(exact.numerator), Decimal(exact.denominator))
    try:
        return float(exact)
    except OverflowError:
        raise TooLarge(stat) from None


FOLD_AT = 8192
"""Values that are held before they are summarised: at most 64 kB a group, and 0.1 us a value to fold them."""


class FieldStats:
    """The values of one field in one group. `keep` holds on to all of them, as deviation and quantiles need."""

    __slots__ = ("_decimals", "_floats", "_folded", "_ints", "_keep", "_room", "nulls")

    def __init__(self, keep: bool) -> None:
        self.nulls = 0
        self._keep = keep
        self._folded = NOTHING
        self._clear()

    def add(self, value: Number | None) -> None:
        kind = type(value)
        if kind is float:
            self._floats.append(value)  # type: ignore[arg-type]  # looked at above; isinstance is dearer
        elif kind is int:
            self._ints.append(value)  # type: ignore[arg-type]
        elif value is None:
            self.nulls += 1
            return
        else:
            self._decimals.append(value)  # type: ignore[arg-type]
        self._room -= 1
        if self._room == 0 and not self._keep:
            self._folded = self.summary()
            self._clear()

    def summary(self) -> Summary:
        return merged(self._folded, summarised(self._ints, self._floats, self._decimals))

    def values(self) -> list[Number]:
        """All values, in order; only with `keep`."""
        return sorted([*self._ints, *self._floats, *self._decimals])

    def _clear(self) -> None:
        self._ints: list[int] = []
        self._floats = array("d")
        self._decimals: list[Decimal] = []
        self._room = FOLD_AT
