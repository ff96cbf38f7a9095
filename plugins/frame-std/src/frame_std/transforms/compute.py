"""The transform `compute`."""

import math
from typing import Any

from frame.errors import ExpressionError
from frame.plugin import (
    Context,
    Determinism,
    Expression,
    FieldType,
    PluginConfig,
    Schema,
    Transform,
    TransformResult,
    parse_field_type,
)
from frame.rows import Row
from pydantic import Field, model_validator

from frame_std.declared import PURE
from frame_std.expressions import CelText, fields_needed
from frame_std.fields import ANY, FieldName, FieldTypeText, fits, type_name, wanting


class Compute(Transform):
    """Add or replace fields by CEL expressions.

    >>> from frame.rows import freeze
    >>> gain = Compute(Compute.Config(set={"gain": "row.dep_delay - row.arr_delay"}))
    >>> gain.process(freeze({"dep_delay": 20, "arr_delay": 5}), context=None)
    {'dep_delay': 20, 'arr_delay': 5, 'gain': 15}

    Every expression sees the row as it came in, so their order does not matter; a field that builds on a computed
    one is set by a second `compute`. When an expression cannot be evaluated, or gives another type than `types`
    declares, the row fails and the message names the field.
    """

    name = "compute"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        set: dict[FieldName, CelText] = Field(
            min_length=1, description="Field -> CEL expression over `row`, as in `row.price * row.quantity`."
        )
        types: dict[FieldName, FieldTypeText] = Field(
            default={},
            description="Field -> type that its result must have; later nodes can then rely on it.",
        )

        @model_validator(mode="after")
        def _types_are_of_set_fields(self) -> "Compute.Config":
            for field in self.types:
                if field not in self.set:
                    raise ValueError(f"types names {field!r}, which set does not compute")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._types = {
            field: parse_field_type(self.config.types.get(field, "any")) for field in self.config.set
        }
        self._steps = [(field, Expression.compile(source)) for field, source in self.config.set.items()]

    def requires(self) -> Schema:
        return wanting(name for _, expression in self._steps for name in fields_needed(expression))

    def provides(self, incoming: Schema) -> Schema:
        return incoming.with_fields(self._types)

    def process(self, row: Row, context: Context) -> TransformResult:
        result: dict[str, Any] = dict(row)
        for field, expression in self._steps:
            try:
                value = expression.evaluate(row)
            except ExpressionError as error:
                raise ExpressionError(error.expression, f"{error.why} (for field {field!r})") from error
            kind = self._types[field]
            if not fits(value, kind):
                raise ExpressionError(expression.source, _misfit(field, value, kind))
            result[field] = value
        return result


def _misfit(field: str, value: Any, kind: FieldType) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"gives {value} for field {field!r}, which no row can hold"
    if kind is ANY:
        return f"gives a {type_name(value)} for field {field!r}, which no row can hold"
    return f"gives {type_name(value)} for field {field!r}, which should be {kind}"
