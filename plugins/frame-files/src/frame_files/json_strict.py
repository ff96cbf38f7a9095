"""JSON objects read so that nothing is altered: RFC 8259, with exact integers, and refusing what has two readings."""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 100
MAX_INTEGER_DIGITS = 1233
"""4,096 bits: the largest integer that frame's canonical form is promised for."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')


class NotStrict(ValueError):
    """The text is not a JSON object that has exactly one meaning."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotStrict(f"key {name!r} occurs twice in one object")
            seen.add(name)
    return members


def _constant(name: str) -> NoReturn:
    raise NotStrict(f"{name} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotStrict(f"number {text[:40]} is too large for a float")
    return value


def _int(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        raise NotStrict(f"an integer has {len(text)} digits, more than {MAX_INTEGER_DIGITS}")
    return int(text)


_decoder = json.JSONDecoder(
    object_pairs_hook=_members, parse_constant=_constant, parse_float=_float, parse_int=_int
)


def loads(text: str) -> dict[str, Any]:
    """The object that `text` writes. Raises NotStrict.

    >>> loads('{"n": 9007199254740993, "x": 1.0}')
    {'n': 9007199254740993, 'x': 1.0}
    """
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise NotStrict(f"nested deeper than {MAX_DEPTH} levels")
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise NotStrict(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(value, dict):
        raise NotStrict(f"the line holds {_sort(value)}, not an object")
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in _STRING.sub("", text):
        if character in "{[":
            depth += 1
            deepest = max(depth, deepest)
        elif character in "}]":
            depth -= 1
    return deepest


def _check_surrogates(value: dict[str, Any]) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise NotStrict(f"\\u{ord(error.object[error.start]):04x} is half of a surrogate pair") from error


def _sort(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
