"""The gate `threshold`."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal

from frame.errors import WrongType
from frame.plugin import Context, Determinism, Gate, GateResult, PluginConfig, Schema
from frame.rows import Row
from pydantic import BeforeValidator, Field, field_validator, model_validator

from frame_std.declared import PURE
from frame_std.fields import FieldName, missing, type_name, wanting


def _listed(value: Any) -> Any:
    bounds = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(bound, bool) for bound in bounds):
        raise ValueError("bounds are numbers, not true or false")
    return bounds


class Threshold(Gate):
    """Route rows by which side of one or more bounds a number lies on.

    >>> from frame.rows import freeze
    >>> gate = Threshold(Threshold.Config(field="delay", bounds=60))
    >>> gate.evaluate(freeze({"delay": 59.9}), context=None), gate.evaluate(freeze({"delay": 60}), context=None)
    ('below', 'above')
    >>> bands = Threshold(Threshold.Config(field="delay", bounds=[0, 15], labels=["early", "on_time", "late"]))
    >>> [bands.evaluate(freeze({"delay": delay}), context=None) for delay in (-1, 0, 14, 15)]
    ['early', 'on_time', 'on_time', 'late']

    A number that equals a bound lies above it, unless `on_bound: below`. Ints of any size and decimals are compared
    exactly. Null fails the row unless `null_label` names a label for it; anything but a number fails it.
    """

    name = "threshold"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        field: FieldName = Field(description="The number's field: int, float or decimal.")
        bounds: Annotated[tuple[int | float, ...], BeforeValidator(_listed)] = Field(
            min_length=1, description="One bound, or several in rising order."
        )
        labels: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
            default=("below", "above"),
            description="The label of each band from the lowest: one more than there are bounds.",
        )
        on_bound: Literal["above", "below"] = Field(
            default="above", description="The side on which a number lies that equals a bound."
        )
        null_label: str | None = Field(
            default=None,
            min_length=1,
            description="The label of rows where the field is null; default: they fail.",
        )

        @field_validator("bounds")
        @classmethod
        def _bounds_rise(cls, bounds: tuple[float, ...]) -> tuple[float, ...]:
            if not all(map(math.isfinite, bounds)):
                raise ValueError("a bound must be a finite number")
            if any(low >= high for low, high in pairwise(bounds)):
                raise ValueError("bounds must rise, each greater than the one before")
            return bounds

        @model_validator(mode="after")
        def _a_label_for_each_band(self) -> "Threshold.Config":
            needed = len(self.bounds) + 1
            if len(self.labels) != needed:
                raise ValueError(
                    f"{len(self.bounds)} bounds make {needed} bands, and there are {len(self.labels)} labels"
                )
            if len(set(self.labels)) < needed:
                raise ValueError("two bands have the same label")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._field = self.config.field
        self._bounds = self.config.bounds
        self._labels = self.config.labels
        self._band: Callable[[Sequence[Any], Any], int] = (
            bisect_right if self.config.on_bound == "above" else bisect_left
        )
        self._decimal_bounds = [Decimal(str(bound)) for bound in self._bounds]

    def labels(self) -> frozenset[str]:
        labels = frozenset(self._labels)
        return labels if self.config.null_label is None else labels | {self.config.null_label}

    def requires(self) -> Schema:
        return wanting([self._field])

    def evaluate(self, row: Row, context: Context) -> GateResult:
        try:
            value = row[self._field]
        except KeyError:
            missing(row, [self._field], context.node)
        kind = type(value)
        if kind is int or kind is float:
            return self._labels[self._band(self._bounds, value)]
        if kind is Decimal:
            return self._labels[self._band(self._decimal_bounds, value)]
        if value is None and self.config.null_label is not None:
            return self.config.null_label
        raise WrongType(self._field, "a number", type_name(value))
