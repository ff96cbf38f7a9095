"""The transform `rename`."""

from collections import Counter

from frame.plugin import Context, Determinism, Fail, PluginConfig, Schema, Transform, TransformResult
from frame.rows import Row
from pydantic import Field, field_validator

from frame_std.declared import PURE
from frame_std.fields import FieldName, missing, wanting


class Rename(Transform):
    """Give fields other names; their order and values stay.

    >>> from frame.rows import freeze
    >>> rename = Rename(Rename.Config(fields={"dep": "departure", "arr": "arrival"}))
    >>> rename.process(freeze({"dep": 5, "arr": 9, "carrier": "UA"}), context=None)
    {'departure': 5, 'arrival': 9, 'carrier': 'UA'}

    All renames happen at once, so two fields can swap their names. A row that lacks one of the old names fails,
    and so does one in which a new name is already taken.
    """

    name = "rename"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        fields: dict[FieldName, FieldName] = Field(min_length=1, description="Old name -> new name.")

        @field_validator("fields")
        @classmethod
        def _new_names_differ(cls, fields: dict[str, str]) -> dict[str, str]:
            for name, times in Counter(fields.values()).items():
                if times > 1:
                    raise ValueError(f"{times} fields would be called {name!r}")
            return fields

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._names = dict(self.config.fields)

    def requires(self) -> Schema:
        return wanting(self._names)

    def provides(self, incoming: Schema) -> Schema:
        names = self._names
        for old, new in names.items():
            if new in incoming.fields and new not in names:
                raise ValueError(
                    f"fields: {old!r} cannot become {new!r}: the rows have a field {new!r} already"
                )
        return Schema(
            {names.get(name, name): kind for name, kind in incoming.fields.items()}, incoming.complete
        )

    def process(self, row: Row, context: Context) -> TransformResult:
        names = self._names
        if not row.keys() >= names.keys():
            missing(row, names, context.node)
        renamed = {names.get(name, name): value for name, value in row.items()}
        if len(renamed) < len(row):
            taken = next(new for new in names.values() if new in row and new not in names)
            return Fail(f"a field {taken!r} is already there; drop or rename it first")
        return renamed
