"""The transform `cast`."""

from typing import Any, Literal

from frame.plugin import (
    Context,
    Determinism,
    Fail,
    FieldType,
    PluginConfig,
    Schema,
    Transform,
    TransformResult,
    parse_field_type,
)
from frame.rows import Row
from pydantic import Field

from frame_std.casting import CastFailed, caster
from frame_std.declared import PURE
from frame_std.fields import FieldName, FieldTypeText, missing, wanting


class Cast(Transform):
    """Turn fields into other types, strictly.

    >>> from frame.rows import freeze
    >>> cast = Cast(Cast.Config(fields={"seats": "int", "day": "date"}))
    >>> cast.process(freeze({"seats": "180", "day": "2013-01-31"}), context=None)
    {'seats': 180, 'day': datetime.date(2013, 1, 31)}
    >>> cast.process(freeze({"seats": "many", "day": "2013-01-31"}), context=None)
    Fail(reason="field 'seats': str 'many' is not int", retryable=False)

    Nothing is guessed or lost: "1.5" is no int, 1.5 neither, "yes" no bool, a time without zone no datetime. Null is
    a failure unless the type is nullable (`int?`). The full table is in the package's README.
    """

    name = "cast"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        fields: dict[FieldName, FieldTypeText] = Field(
            min_length=1, description="Field -> type, as in `int`, `decimal?` or `list[float]`."
        )
        on_failure: Literal["fail", "null"] = Field(
            default="fail", description="A value that cannot be cast fails its row, or becomes null."
        )

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._types = {field: parse_field_type(kind) for field, kind in self.config.fields.items()}
        self._casters = [(field, caster(kind)) for field, kind in self._types.items()]
        self._nulls = self.config.on_failure == "null"

    def requires(self) -> Schema:
        return wanting(self._types)

    def provides(self, incoming: Schema) -> Schema:
        return incoming.with_fields(
            {name: FieldType(k.name, k.nullable or self._nulls, k.items) for name, k in self._types.items()}
        )

    def process(self, row: Row, context: Context) -> TransformResult:
        result: dict[str, Any] = dict(row)
        for field, cast in self._casters:
            if field not in row:
                missing(row, [field], context.node)
            try:
                result[field] = cast(row[field])
            except CastFailed as failure:
                if not self._nulls:
                    return Fail(f"field {field!r}: {failure}")
                result[field] = None
        return result
