"""The transform `select`."""

from frame.plugin import Context, Determinism, PluginConfig, Schema, Transform, TransformResult
from frame.rows import Row
from pydantic import Field, model_validator

from frame_std.declared import PURE
from frame_std.fields import FieldNames, missing, type_in, wanting


class Select(Transform):
    """Keep some fields of each row, or drop some.

    >>> from frame.rows import freeze
    >>> select = Select(Select.Config(fields=["b", "a"]))
    >>> select.process(freeze({"a": 1, "b": 2, "c": 3}), context=None)
    {'b': 2, 'a': 1}

    `fields` also sets their order; a row without one of them fails. A field of `drop` need not be there.
    """

    name = "select"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        fields: FieldNames = Field(default=(), description="The fields to keep, in this order.")
        drop: FieldNames = Field(default=(), description="The fields to leave out; all others are kept.")

        @model_validator(mode="after")
        def _one_of_both(self) -> "Select.Config":
            if bool(self.fields) == bool(self.drop):
                raise ValueError("give either fields (what to keep) or drop (what to leave out)")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._fields = self.config.fields
        self._drop = frozenset(self.config.drop)

    def requires(self) -> Schema:
        return wanting(self._fields)

    def provides(self, incoming: Schema) -> Schema:
        if self._drop:
            return incoming.without(self._drop)
        return Schema({field: type_in(incoming, field) for field in self._fields}, complete=True)

    def process(self, row: Row, context: Context) -> TransformResult:
        if self._drop:
            return {field: value for field, value in row.items() if field not in self._drop}
        try:
            return {field: row[field] for field in self._fields}
        except KeyError:
            missing(row, self._fields, context.node)
