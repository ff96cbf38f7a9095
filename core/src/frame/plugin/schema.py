"""Field types, and what is known of the rows that pass an edge of the graph."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SCALARS = ("str", "int", "float", "bool", "decimal", "datetime", "date", "time", "duration", "uuid", "bytes")


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of one field: a scalar, `object`, `any`, or `list` with its `items`; `nullable` admits null."""

    name: str
    nullable: bool = False
    items: "FieldType | None" = None

    def __str__(self) -> str:
        text = f"list[{self.items or 'any'}]" if self.name == "list" else self.name
        return text + "?" if self.nullable else text


ANY = FieldType("any", nullable=True)


def parse_field_type(text: str) -> FieldType:
    """The field type that `text` writes, as in `int`, `float?`, `list[str]?`. Raises ValueError.

    >>> str(parse_field_type("list[int?]?"))
    'list[int?]?'
    """
    stripped = text.strip()
    nullable = stripped.endswith("?")
    name = stripped.removesuffix("?").strip()
    if name.startswith("list[") and name.endswith("]"):
        return FieldType("list", nullable, parse_field_type(name[5:-1]))
    if name == "list":
        return FieldType("list", nullable, ANY)
    if name == "any":
        return ANY
    if name not in (*SCALARS, "object"):
        raise ValueError(
            f"{text!r} is not a field type; there are {', '.join(SCALARS)}, list[...], object, any"
        )
    return FieldType(name, nullable)


@dataclass(frozen=True, slots=True)
class Schema:
    """What every row on an edge is known to have.

    `fields`: guaranteed fields and their types. `complete`: no other field can be there.
    `Schema()` knows nothing.
    """

    fields: Mapping[str, FieldType] = field(default_factory=dict)
    complete: bool = False

    def with_fields(self, fields: Mapping[str, FieldType]) -> "Schema":
        """This schema with `fields` added or replaced."""
        return Schema({**self.fields, **fields}, self.complete)

    def without(self, names: Iterable[str]) -> "Schema":
        """This schema, no longer guaranteeing `names`."""
        gone = set(names)
        return Schema({name: kind for name, kind in self.fields.items() if name not in gone}, self.complete)


def accepts(needed: FieldType, given: FieldType) -> bool:
    """Whether a value of type `given` will always do where `needed` is asked for.

    >>> accepts(FieldType("float"), FieldType("int")), accepts(FieldType("int"), FieldType("int", nullable=True))
    (True, False)
    """
    if needed.name == "any" or given.name == "any":
        return True
    if given.nullable and not needed.nullable:
        return False
    if needed.name == "list" and given.name == "list":
        return accepts(needed.items or ANY, given.items or ANY)
    return needed.name == given.name or (needed.name == "float" and given.name == "int")
