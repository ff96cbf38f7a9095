"""The gate `switch`."""

from typing import Annotated

from frame.errors import WrongType
from frame.plugin import Context, Determinism, Fail, Gate, GateResult, PluginConfig, Schema
from frame.rows import Row
from pydantic import Field, model_validator

from frame_std.declared import PURE
from frame_std.fields import FieldName, missing, type_name, wanting
from frame_std.text import as_text

Label = Annotated[str, Field(min_length=1)]


class Switch(Gate):
    """Route rows by the value of a field.

    >>> from frame.rows import freeze
    >>> switch = Switch(Switch.Config(field="origin", cases={"JFK": "new_york", "EWR": "newark"}, default="other"))
    >>> [switch.evaluate(freeze({"origin": origin}), context=None) for origin in ("EWR", "JFK", "BOS")]
    ['newark', 'new_york', 'other']

    Values are compared by their text: true is `true`, 1 is `1`, 1.0 is `1.0`, null is `null`, a time is RFC 3339 in
    UTC. Without `cases` that text is the label. A value that no case names takes `default`; without one the row fails.
    """

    name = "switch"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        field: FieldName = Field(description="The field whose value decides.")
        cases: dict[str, Label] = Field(
            default={}, description="Value as text -> label; default: the label is the value's text."
        )
        default: Label | None = Field(
            default=None, description="The label of values that no case names; default: such a row fails."
        )

        @model_validator(mode="after")
        def _default_needs_cases(self) -> "Switch.Config":
            if self.default is not None and not self.cases:
                raise ValueError("default needs cases; without cases every value is a label of its own")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._field = self.config.field
        self._cases = dict(self.config.cases)

    def labels(self) -> frozenset[str] | None:
        if not self._cases:
            return None
        default = [] if self.config.default is None else [self.config.default]
        return frozenset([*self._cases.values(), *default])

    def requires(self) -> Schema:
        return wanting([self._field])

    def evaluate(self, row: Row, context: Context) -> GateResult:
        if self._field not in row:
            missing(row, [self._field], context.node)
        text = as_text(row[self._field])
        if text is None:
            raise WrongType(self._field, "a single value", type_name(row[self._field]))
        if not self._cases:
            return text
        label = self._cases.get(text, self.config.default)
        if label is None:
            return Fail(f"field {self._field!r}: no case for {text!r}, and there is no default")
        return label
