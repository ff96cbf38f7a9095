"""The transform `filter`."""

from frame.errors import ExpressionError
from frame.plugin import (
    Context,
    Determinism,
    Drop,
    Expression,
    PluginConfig,
    Schema,
    Transform,
    TransformResult,
)
from frame.rows import Row
from pydantic import Field

from frame_std.declared import PURE
from frame_std.expressions import CelText, fields_needed
from frame_std.fields import type_name, wanting


class Filter(Transform):
    """Let rows pass that meet a condition, and drop the others with a reason.

    >>> from frame.rows import freeze
    >>> late = Filter(Filter.Config(where="row.delay > 60"))
    >>> late.process(freeze({"delay": 90}), context=None)
    {'delay': 90}
    >>> late.process(freeze({"delay": 5}), context=None)
    Drop(reason='not (row.delay > 60)')

    A condition that cannot be evaluated, or gives neither true nor false, fails the row: it never lets it pass.
    """

    name = "filter"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        where: CelText = Field(description="CEL condition over `row`; rows for which it is true pass.")
        reason: str | None = Field(
            default=None,
            min_length=1,
            description="What is recorded of a dropped row; default: `not (WHERE)`.",
        )

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._where = Expression.compile(self.config.where)
        self._drop = Drop(self.config.reason or f"not ({self.config.where})")

    def requires(self) -> Schema:
        return wanting(fields_needed(self._where))

    def provides(self, incoming: Schema) -> Schema:
        return incoming

    def process(self, row: Row, context: Context) -> TransformResult:
        passes = self._where.evaluate(row)
        if passes is True:
            return row
        if passes is False:
            return self._drop
        raise ExpressionError(self._where.source, f"gives {type_name(passes)}; a condition is true or false")
