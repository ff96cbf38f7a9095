"""JSON that comes back as it went in, also from `jsonb`, which keeps numbers and not how they were written."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


class Unstorable(ValueError):
    """A column cannot keep a value exactly. Says why, and never which value."""


def storable_text(value: str) -> str:
    """`value`, if every database keeps it. Raises Unstorable."""
    if "\0" in value:
        raise Unstorable("has a NUL character, which not every database can keep")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unstorable("has half of a surrogate pair") from None
    return value


def json_text(value: Any) -> str:
    """`value` as JSON. Raises Unstorable for what JSON does not have.

    >>> json_text({"a": [1, 1e22, None]})
    '{"a":[1,10000000000000000000000.0,null]}'
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value)
        case str():
            return json.dumps(storable_text(value), ensure_ascii=False)
        case Mapping():
            return "{" + ",".join(f"{json_text(str(name))}:{json_text(value[name])}" for name in value) + "}"
        case list() | tuple():
            return "[" + ",".join(map(json_text, value)) + "]"
    raise Unstorable(f"has a {type(value).__name__} inside, which JSON has not")


def _number(value: float) -> str:
    if not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0):
        raise Unstorable("has a number that JSON columns do not keep: infinity, NaN or -0.0")
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"
