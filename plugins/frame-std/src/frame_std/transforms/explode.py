"""The transform `explode`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from frame.errors import WrongType
from frame.plugin import (
    Context,
    Determinism,
    Drop,
    Expand,
    Fail,
    FieldType,
    PluginConfig,
    Schema,
    Transform,
    TransformResult,
)
from frame.rows import Row
from pydantic import Field, model_validator

from frame_std.declared import PURE
from frame_std.fields import ANY, FieldName, missing, type_in, type_name, wanting


class Explode(Transform):
    """Make one row of each element of a list field.

    >>> from frame.rows import freeze
    >>> tags = Explode(Explode.Config(field="tags", item_as="tag", index_as="n"))
    >>> tags.process(freeze({"id": 7, "tags": ["a", "b"]}), context=None)
    Expand(rows=[{'id': 7, 'tag': 'a', 'n': 0}, {'id': 7, 'tag': 'b', 'n': 1}])

    With `merge` the elements are objects whose fields become fields of the row. The list itself is left out. A name
    that the row already has fails the row; nothing is overwritten.
    """

    name = "explode"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE
    expands = True

    class Config(PluginConfig):
        field: FieldName = Field(description="The list field.")
        item_as: FieldName | None = Field(
            default=None, description="Field that takes the element; default: the list field's own name."
        )
        index_as: FieldName | None = Field(
            default=None,
            description="Field that takes the element's place in the list, from 0; default: none.",
        )
        merge: bool = Field(
            default=False, description="The elements are objects; add their fields to the row."
        )
        empty: Literal["drop", "keep"] = Field(
            default="drop",
            description="A row whose list is empty or null is dropped, or kept once with element and index null.",
        )

        @model_validator(mode="after")
        def _names_go_together(self) -> "Explode.Config":
            if self.merge and self.item_as is not None:
                raise ValueError(
                    "item_as and merge exclude each other: merged elements have no field of their own"
                )
            if self.index_as is not None and not self.merge and self.index_as == (self.item_as or self.field):
                raise ValueError(f"index_as and the element would both be called {self.index_as!r}")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._item_as = self.config.item_as or self.config.field

    def requires(self) -> Schema:
        return wanting([self.config.field], FieldType("list", nullable=True, items=ANY))

    def provides(self, incoming: Schema) -> Schema:
        kept = incoming.without([self.config.field])
        nullable = self.config.empty == "keep"
        added: dict[str, FieldType] = {}
        for name in (self.config.index_as, None if self.config.merge else self._item_as):
            if name in kept.fields:
                raise ValueError(
                    f"the rows have a field {name!r} already; choose another item_as or index_as"
                )
        if self.config.index_as is not None:
            added[self.config.index_as] = FieldType("int", nullable)
        if self.config.merge:
            return Schema({**kept.fields, **added})
        item = type_in(incoming, self.config.field).items or ANY
        added[self._item_as] = FieldType(item.name, item.nullable or nullable, item.items)
        return kept.with_fields(added)

    def process(self, row: Row, context: Context) -> TransformResult:
        field = self.config.field
        if field not in row:
            missing(row, [field], context.node)
        items = row[field]
        if items is not None and not isinstance(items, list | tuple):
            raise WrongType(field, "list", type_name(items))
        rest = {name: value for name, value in row.items() if name != field}
        if items:
            return self._expand(rest, items)
        if self.config.empty == "drop":
            return Drop(f"{field!r} is {'null' if items is None else 'empty'}")
        return self._joined(rest, {} if self.config.merge else {self._item_as: None}, None)

    def _expand(self, rest: dict[str, Any], items: Sequence[Any]) -> TransformResult:
        rows: list[Mapping[str, Any]] = []
        for index, item in enumerate(items):
            if self.config.merge and not isinstance(item, Mapping):
                raise WrongType(f"{self.config.field}[{index}]", "object, to be merged", type_name(item))
            joined = self._joined(rest, item if self.config.merge else {self._item_as: item}, index)
            if isinstance(joined, Fail):
                return joined
            rows.append(joined)
        return Expand(rows)

    def _joined(
        self, rest: dict[str, Any], item: Mapping[str, Any], index: int | None
    ) -> dict[str, Any] | Fail:
        place = {} if self.config.index_as is None else {self.config.index_as: index}
        joined = {**rest, **item, **place}
        if len(joined) == len(rest) + len(item) + len(place):
            return joined
        names = [*rest, *item, *place]
        taken = next(name for name in names if names.count(name) > 1)
        return Fail(
            f"a field {taken!r} is already there; rename it first, or choose another item_as or index_as"
        )
