"""The aggregation `collect`."""

from collections.abc import Mapping, Sequence
from typing import Any

from frame.plugin import Aggregation, Context, Determinism, FieldType, PluginConfig, Schema
from frame.rows import Row
from pydantic import Field, model_validator

from frame_std.declared import PURE
from frame_std.fields import FieldName, OneOrMore, missing, reader, type_in, wanting
from frame_std.keys import Key, key_of, scalar, sorting


class Collect(Aggregation):
    """Gather the rows of a batch into one row with a list, or into one a key.

    >>> from frame.rows import freeze
    >>> collect = Collect(Collect.Config(by="id", of="tag", into="tags"))
    >>> for id, tag in ((7, "a"), (3, "x"), (7, "b")):
    ...     collect.accept(freeze({"id": id, "tag": tag}))
    >>> collect.flush()
    [{'id': 3, 'tags': ['x']}, {'id': 7, 'tags': ['a', 'b']}]

    Without `of` the list holds whole rows, less the key fields. It keeps the order of arrival; the groups come in the
    order of their keys, and 1, 1.0, "1" and true are different keys. Everything is held in memory: bound the
    batch by its trigger.
    """

    name = "collect"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        by: OneOrMore = Field(
            default=(), description="The fields whose values make a group; default: all rows are one group."
        )
        of: FieldName | None = Field(
            default=None, description="Gather this field's values; default: whole rows."
        )
        into: FieldName = Field(default="items", description="The field that takes the list.")

        @model_validator(mode="after")
        def _list_has_a_name_of_its_own(self) -> "Collect.Config":
            if self.into in self.by:
                raise ValueError(f"into: {self.into!r} is a key field already")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._node = self.name
        self._by = reader(self.config.by)
        self._groups: dict[Key, tuple[tuple[Any, ...], list[Any]]] = {}

    def requires(self) -> Schema:
        return wanting([*self.config.by, *([] if self.config.of is None else [self.config.of])])

    def provides(self, incoming: Schema) -> Schema:
        item = FieldType("object") if self.config.of is None else type_in(incoming, self.config.of)
        keys = {name: type_in(incoming, name) for name in self.config.by}
        return Schema({**keys, self.config.into: FieldType("list", items=item)}, complete=True)

    def start(self, context: Context) -> None:
        self._node = context.node

    def accept(self, row: Row) -> None:
        try:
            key = self._by(row)
            item = self._rest(row) if self.config.of is None else row[self.config.of]
        except KeyError:
            missing(row, self.requires().fields, self._node)
        told_apart = tuple(map(key_of, key))
        if told_apart not in self._groups:
            shown = tuple(scalar(part, name) for part, name in zip(key, self.config.by, strict=True))
            self._groups[told_apart] = (shown, [])
        self._groups[told_apart][1].append(item)

    def flush(self) -> Sequence[Mapping[str, Any]]:
        groups = sorted(self._groups.values(), key=lambda group: sorting(group[0]))
        rows = [
            {**dict(zip(self.config.by, key, strict=True)), self.config.into: items} for key, items in groups
        ]
        self._groups = {}
        return rows

    def close(self) -> None:
        self._groups = {}

    def _rest(self, row: Row) -> Row | dict[str, Any]:
        if not self.config.by:
            return row
        return {name: value for name, value in row.items() if name not in self.config.by}
