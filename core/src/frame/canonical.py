"""The one way in which a value is written before it is hashed or stored: canonical form, version 1.

It is RFC 8785 (sorted keys, shortest numbers, no white space) with what a typed record needs: integers are
exact at any size, a float is always told from an integer, and the types that JSON lacks are written as an
object with one key that begins with `$`. docs/reference/canonical-form.md says it exactly.

`canonical` is the plain algorithm, and defines the bytes. `canonical_row` and `canonical_rows` give the same
bytes faster: they look at the types of a row, leave it to orjson where orjson is known to write the same, and
to `canonical` where it is not.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn

import orjson

from frame.errors import NotCanonical
from frame.scalars import FROM_TAG, PLAIN, TAGGED, datetime_text, string, why_not

MAX_DEPTH = 64
"""Containers inside each other, the outermost counted."""

Path = tuple[str | int, ...]


def digest(data: bytes) -> bytes:
    """SHA-256 of `data`, 32 bytes."""
    return hashlib.sha256(data).digest()


def digests(items: Iterable[bytes]) -> bytes:
    """SHA-256 of each of `items`, 32 bytes each, joined in their order."""
    sha256 = hashlib.sha256
    return b"".join([sha256(item).digest() for item in items])


# --- The plain algorithm ------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """The canonical form of `value`, in UTF-8.

    Raises NotCanonical, which names the place inside `value` and the reason.

    >>> canonical({"b": 1.0, "a": [True, Decimal("1.20")]})
    b'{"a":[true,{"$decimal":"1.20"}],"b":1.0}'
    """
    parts: list[str] = []
    _write(value, (), parts)
    return "".join(parts).encode()


def _write(value: Any, path: Path, parts: list[str]) -> None:
    """Append the canonical form of `value`, which stands at `path`, to `parts`."""
    kind = type(value)
    try:
        if kind in PLAIN:
            parts.append(PLAIN[kind](value))
        elif kind in TAGGED:
            tag, text = TAGGED[kind]
            parts.append(f'{{"{tag}":{string(text(value))}}}')
        elif isinstance(value, Mapping):
            _write_object(value, path, parts)
        elif isinstance(value, list | tuple):
            _write_array(value, path, parts)
        else:
            raise ValueError(why_not(kind))
    except ValueError as problem:
        raise NotCanonical(_place(path), str(problem)) from None


def _write_array(items: Sequence[Any], path: Path, parts: list[str]) -> None:
    _check_depth(path)
    parts.append("[")
    for index, item in enumerate(items):
        if index:
            parts.append(",")
        _write(item, (*path, index), parts)
    parts.append("]")


def _write_object(fields: Mapping[Any, Any], path: Path, parts: list[str]) -> None:
    _check_depth(path)
    names = sorted(fields, key=_utf16)
    escaped = _looks_tagged(names)
    parts.append('{"$object":{' if escaped else "{")
    for index, name in enumerate(names):
        if index:
            parts.append(",")
        parts.append(string(name) + ":")
        _write(fields[name], (*path, name), parts)
    parts.append("}}" if escaped else "}")


def _check_depth(path: Path) -> None:
    if len(path) >= MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} deep")


def _utf16(name: Any) -> bytes:
    """What a field name sorts by: its UTF-16 code units (RFC 8785, 3.2.3)."""
    if not isinstance(name, str):
        raise ValueError(f"has {name!r} for a field name, which is not a str")
    try:
        return str.encode(name, "utf-16-be")
    except UnicodeEncodeError:
        raise ValueError(f"has {name!a} for a field name, which holds half of a surrogate pair") from None


def _looks_tagged(names: Sequence[str]) -> bool:
    return len(names) == 1 and names[0].startswith("$")


def _place(path: Path) -> str:
    """`path` for people.

    >>> _place(("orders", 3, "unit price"))
    'orders[3]["unit price"]'
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step)}]"
    return text


# --- Back again ---------------------------------------------------------------------------------------------


def restore(data: bytes) -> Any:
    """The value whose canonical form is `data`, with its types; containers come back as dict and list.

    Raises NotCanonical if `data` is not JSON or has a tag that there is not.

    >>> restore(b'{"a":[true,{"$decimal":"1.20"}],"b":1.0}')
    {'a': [True, Decimal('1.20')], 'b': 1.0}
    """
    try:
        value = parsed(data)
        return revived(value) if b'"$' in data else value
    except (ValueError, ArithmeticError, TypeError) as problem:
        raise NotCanonical("", f"is not in canonical form: {problem}") from None


def parsed(data: bytes) -> Any:
    """The JSON of a canonical form, with its tags unread. Raises ValueError."""
    # orjson reads an integer beyond 64 bits as a float; `json` keeps it exact.
    if _LONG_NUMBER in data.translate(_DIGITS_AS_0):
        return _EXACT_JSON.decode(data.decode())
    return orjson.loads(data)


def parsed_all(data: Sequence[bytes]) -> list[Any]:
    """`parsed` of each of `data`, which are canonical forms, in two thirds of the time. Raises ValueError."""
    joined = b",".join(data)
    if _LONG_NUMBER in joined.translate(_DIGITS_AS_0):
        return list(map(parsed, data))
    values: list[Any] = orjson.loads(b"[%b]" % joined)
    if len(values) != len(data):
        raise ValueError(f"{len(values)} values stand where there should be {len(data)}")
    return values


def revived(value: Any) -> Any:
    """What a value that was `parsed` stands for, its tags read. Raises ValueError, ArithmeticError or TypeError."""
    if isinstance(value, list):
        return [revived(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not _looks_tagged(list(value)):
        return {name: revived(inner) for name, inner in value.items()}
    [(tag, inner)] = value.items()
    if tag == "$object" and isinstance(inner, dict):
        return {name: revived(field) for name, field in inner.items()}
    if tag not in FROM_TAG or not isinstance(inner, str):
        raise ValueError(f"there is no tag {tag!r} of {type(inner).__name__}")
    return FROM_TAG[tag](inner)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


_EXACT_JSON = json.JSONDecoder(parse_constant=_no_constant)
# Looking for 19 zeros takes an eighth of the time of a regular expression that looks for 19 digits.
_LONG_NUMBER = b"0" * 19
_DIGITS_AS_0 = bytes.maketrans(b"123456789", b"000000000")

# --- The same bytes, faster ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a row of one shape can be written. `fast`: by orjson, if the fields named here hold nothing odd."""

    fast: bool
    floats: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()


# This is the loop that was measured: with SHA-256, a row of 10 fields takes 1.7 µs here, 1.3 in canonical_rows,
# 14 with the rfc8785 package (tests/benchmarks/canonical_speed.py).
def canonical_row(row: Mapping[str, Any]) -> bytes:
    """`canonical(row)`, byte for byte, at a fraction of the time for the rows that occur most.

    Raises NotCanonical.
    """
    shape = (type(row), *row, *map(type, row.values()))
    plan = _plans.get(shape) or _remember(row, shape)
    if not plan.fast:
        return canonical(row)
    for name in plan.floats:
        size = row[name]
        if not (_SMALL <= size < _LARGE or -_LARGE < size <= -_SMALL or size == 0.0):
            return canonical(row)
    for name in plan.nested:
        if not _is_simple(row[name], 2):
            return canonical(row)
    try:
        return orjson.dumps(row, _tag, _OPTIONS)
    except TypeError:
        return canonical(row)


def canonical_rows(rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """`canonical_row` of each of `rows`, faster still when they have the same fields in the same order.

    Raises NotCanonical for the first row that has no canonical form; its path begins with the row's index,
    as in `[3].price`.
    """
    if len(rows) > 1 and _alike(rows):
        # orjson escapes every line feed inside a string, so one between two rows can only be this one.
        listed: list[Any] = [_LINE_FEED] * (2 * len(rows) - 1)
        listed[::2] = rows
        try:
            return orjson.dumps(listed, _tag, _OPTIONS)[1:-1].split(b",\n,")
        except TypeError:
            pass
    return [_numbered(index, row) for index, row in enumerate(rows)]


def _numbered(index: int, row: Mapping[str, Any]) -> bytes:
    try:
        # The copy gives orjson's buffer of 1 KiB back: keeping a thousand rows takes a quarter of the time.
        return bytes(memoryview(canonical_row(row)))
    except NotCanonical as problem:
        dot = "." if problem.path and not problem.path.startswith("[") else ""
        raise NotCanonical(f"[{index}]{dot}{problem.path}", problem.why) from None


def _alike(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether `rows` have the same fields in the same order and orjson writes each as `canonical` does."""
    names = set(map(tuple, rows))
    if len(names) != 1 or not all(map(_is_native_dict, set(map(type, rows)))) or not _are_simple(*names):
        return False
    for column in zip(*[row.values() for row in rows], strict=True):
        kinds = set(map(type, column))
        if float in kinds and not all([type(value) is not float or _is_common(value) for value in column]):
            return False
        if not kinds <= _LEAVES and not all([_is_simple(value, 2) for value in column]):
            return False
    return True


def _remember(row: Mapping[str, Any], shape: tuple[Any, ...]) -> _Plan:
    """The plan for `row`, from now on in `_plans` under its `shape`, too."""
    names, kinds = tuple(row), tuple(map(type, row.values()))
    known = all(kind in _LEAVES or _is_native_dict(kind) or _is_native_list(kind) for kind in kinds)
    fast = known and _is_native_dict(type(row)) and _are_simple(names)
    floats = tuple(name for name, kind in zip(names, kinds, strict=True) if kind is float)
    nested = tuple(name for name, kind in zip(names, kinds, strict=True) if kind not in _LEAVES)
    if len(_plans) >= _MAX_PLANS:
        _plans.clear()
    _plans[shape] = plan = _Plan(fast, floats, nested)
    return plan


def _is_simple(value: Any, depth: int) -> bool:
    """Whether orjson writes `value`, which is nested `depth` deep, as `canonical` does."""
    kind = type(value)
    if kind is float:
        return _is_common(value)
    if kind in _LEAVES:
        return True
    if depth > MAX_DEPTH:
        return False
    if _is_native_list(kind):
        return all([_is_simple(item, depth + 1) for item in value])
    if _is_native_dict(kind):
        return _are_simple(tuple(value)) and all([_is_simple(item, depth + 1) for item in value.values()])
    return False


def _are_simple(names: tuple[Any, ...]) -> bool:
    """Whether `names` need no escape and sort alike by code point (orjson) and by UTF-16 code unit."""
    return all(
        isinstance(name, str) and max(name, default="") <= "\uffff" for name in names
    ) and not _looks_tagged(names)


def _is_common(value: float) -> bool:
    """Whether orjson writes `value` as ECMAScript does: they differ on the very large and the very small."""
    return _SMALL <= value < _LARGE or -_LARGE < value <= -_SMALL or value == 0.0


def _is_native_dict(kind: type) -> bool:
    """Whether a `kind` reads in Python as it does to orjson, which looks into the dict itself."""
    return kind is dict or (
        issubclass(kind, dict)
        and kind.__iter__ is dict.__iter__
        and kind.__getitem__ is dict.__getitem__
        and kind.values is dict.values
    )


def _is_native_list(kind: type) -> bool:
    return kind is list or kind is tuple or (issubclass(kind, list) and kind.__iter__ is list.__iter__)


def _tag(value: Any) -> dict[str, str]:
    """What orjson shall write instead of `value`; TypeError if this row is to be left to `canonical`."""
    if type(value) is datetime and value.tzinfo is UTC:
        return _tag_utc(value)
    try:
        tag, text = TAGGED[type(value)]
        return {tag: text(value)}
    except (KeyError, ValueError) as problem:
        raise TypeError from problem


@lru_cache(maxsize=4096)
def _tag_utc(value: datetime) -> dict[str, str]:
    # Only for UTC: elsewhere two moments can be equal and differ in `fold`, which is a difference in UTC.
    return {"$datetime": datetime_text(value)}


_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
_LINE_FEED = orjson.Fragment(b"\n")
_SMALL, _LARGE = 1e-4, 1e16
_LEAVES = frozenset((type(None), bool, int, float, str, datetime, date, time, timedelta, Decimal, bytes))
_MAX_PLANS = 4096
_plans: dict[tuple[Any, ...], _Plan] = {}
