"""Fields and their types: what every plugin here asks of a row, and how it says that the row has not got it."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Annotated, Any, NoReturn
from uuid import UUID

from frame.errors import MissingField
from frame.plugin import FieldType, Schema, parse_field_type
from pydantic import AfterValidator, BeforeValidator, Field

ANY = parse_field_type("any")

FieldName = Annotated[str, Field(min_length=1)]


def _check_type(text: str) -> str:
    parse_field_type(text)
    return text


FieldTypeText = Annotated[str, AfterValidator(_check_type)]
"""An option that takes a field type as text, as in `int?` or `list[str]`."""


def _check_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is listed twice")
    return names


FieldNames = Annotated[tuple[FieldName, ...], AfterValidator(_check_distinct)]
"""An option that takes a list of different fields."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


OneOrMore = Annotated[FieldNames, BeforeValidator(_listed)]
"""An option that takes one field, or a list of different fields."""

_NAMES: dict[type, str] = {
    type(None): "null",
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    Decimal: "decimal",
    datetime: "datetime",
    date: "date",
    time: "time",
    timedelta: "duration",
    UUID: "uuid",
    bytes: "bytes",
}


def type_name(value: object) -> str:
    """What frame calls the type of `value`.

    >>> type_name(True), type_name(None), type_name([1])
    ('bool', 'null', 'list')
    """
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list | tuple):
        return "list"
    return _NAMES.get(type(value), type(value).__name__)


def fits(value: Any, kind: FieldType) -> bool:
    """Whether `value` is of type `kind`. An int will do where a float is asked for; NaN and infinities never do.

    >>> fits(1, FieldType("float")), fits(True, FieldType("int")), fits(None, FieldType("int", nullable=True))
    (True, False, True)
    """
    if value is None:
        return kind.nullable
    if type(value) is float and not math.isfinite(value):
        return False
    if kind.name == "any":
        return type(value) in _NAMES or isinstance(value, Mapping | list | tuple)
    name = type_name(value)
    if kind.name == "list":
        return name == "list" and all(fits(item, kind.items or ANY) for item in value)
    return name == kind.name or (kind.name == "float" and name == "int")


def missing(row: Mapping[str, Any], names: Iterable[str], node: str) -> NoReturn:
    """Raise MissingField for the first of `names` that `row` lacks."""
    raise MissingField(next(name for name in names if name not in row), node)


def reader(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """A function that gives the values of `names` as a tuple; it raises KeyError when one is missing."""
    if len(names) == 1:
        only = names[0]
        return lambda row: (row[only],)
    if not names:
        return lambda row: ()
    return itemgetter(*names)


def wanting(names: Iterable[str], kind: FieldType = ANY) -> Schema:
    """The schema of rows that have all of `names`."""
    return Schema(dict.fromkeys(names, kind))


def type_in(schema: Schema, name: str) -> FieldType:
    """What `schema` knows of the type of field `name`."""
    return schema.fields.get(name, ANY)
