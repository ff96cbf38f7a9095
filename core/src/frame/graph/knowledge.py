"""What is known of rows: a schema, and how far its silence about a field can be trusted.

`open`: rows may well have fields that the schema does not name, because the source only observes, or because a
plugin stands in between that need not say all it adds. `gone`: fields that rows had, and that a plugin on the way
has taken from them. A field is missing for certain when the schema is complete, or not open, or the field is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from frame.plugin.schema import ANY, FieldType, Schema


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the rows at one place of a graph. `Known()`: nothing."""

    schema: Schema = field(default_factory=Schema)
    open: bool = True
    gone: frozenset[str] = frozenset()

    def with_fields(self, fields: Mapping[str, FieldType]) -> "Known":
        return replace(self, schema=self.schema.with_fields(fields), gone=self.gone - fields.keys())

    def misses(self, name: str) -> bool:
        """Whether it is an error to rely on field `name`."""
        return name not in self.schema.fields and (not self.open or self.surely_lacks(name))

    def surely_lacks(self, name: str) -> bool:
        """Whether no row can have field `name`."""
        return name not in self.schema.fields and (self.schema.complete or name in self.gone)


def meet(one: Known, other: Known) -> Known:
    """What is known of rows of which some are like `one` and the rest like `other`."""
    mine, theirs = one.schema.fields, other.schema.fields
    fields = {name: common_type(kind, theirs[name]) for name, kind in mine.items() if name in theirs}
    complete = one.schema.complete and other.schema.complete and mine.keys() == theirs.keys()
    return Known(Schema(fields, complete), one.open or other.open, (one.gone | other.gone) - fields.keys())


def common_type(one: FieldType, other: FieldType) -> FieldType:
    """The narrowest type that holds values of both types.

    >>> str(common_type(FieldType("int"), FieldType("int", nullable=True)))
    'int?'
    """
    nullable = one.nullable or other.nullable
    if one.name == other.name == "list":
        return FieldType("list", nullable, common_type(one.items or ANY, other.items or ANY))
    if one.name == other.name:
        return FieldType(one.name, nullable)
    return FieldType("float", nullable) if {one.name, other.name} == {"int", "float"} else ANY


def unite(branches: Sequence[Known]) -> Known:
    """What is known of rows that have the fields of all `branches`, whichever wins where two have the same."""
    fields: dict[str, FieldType] = {}
    for name in dict.fromkeys(name for branch in branches for name in branch.schema.fields):
        # A branch that may have the field with another type may also be the one that wins.
        kinds = [
            branch.schema.fields.get(name, ANY)
            for branch in branches
            if name in branch.schema.fields or not branch.schema.complete
        ]
        fields[name] = reduce(common_type, kinds)
    complete = all(branch.schema.complete for branch in branches)
    gone = frozenset().union(*(branch.gone for branch in branches)) - fields.keys()
    lacking = frozenset(name for name in gone if all(branch.misses(name) for branch in branches))
    return Known(Schema(fields, complete), any(branch.open for branch in branches), lacking)


def pass_through(incoming: Known, provided: Schema) -> Known:
    """What is known after a plugin that says it provides `provided` for rows like `incoming`.

    A plugin that keeps some of the fields it was told of and not others has taken the others away; one that names
    none of them may just not have looked.
    """
    before = incoming.schema.fields.keys()
    gone = (
        (incoming.gone | before) - provided.fields.keys()
        if before & provided.fields.keys()
        else frozenset[str]()
    )
    return Known(provided, open=not provided.complete, gone=frozenset(gone))
