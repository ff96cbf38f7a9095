"""Source rows against their schema: the one place where values are coerced (BEHAVIOUR §6).

Sources of text (CSV) have every value read as its field's type; sources of typed values (JSON, Parquet) must give
the right type, and only what JSON cannot write (dates, decimals, UUIDs, bytes) is read from text.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import GenericAlias
from typing import Annotated, Any, NotRequired
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    FiniteFloat,
    Json,
    Strict,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypedDict

from frame.errors import SourceError
from frame.graph.model import SchemaMode, SourceNode
from frame.plugin.schema import ANY, FieldType


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


_COERCED: dict[str, Any] = {
    "decimal": Decimal,
    "datetime": Annotated[AwareDatetime, AfterValidator(_in_utc)],
    "date": date,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
    "bytes": bytes,
    "any": Any,
}
_FROM_TEXT: dict[str, Any] = {**_COERCED, "str": str, "int": int, "float": FiniteFloat, "bool": bool}
_TYPED: dict[str, Any] = {
    **_COERCED,
    "str": Annotated[str, Strict()],
    "int": Annotated[int, Strict()],
    "float": Annotated[FiniteFloat, Strict()],
    "bool": Annotated[bool, Strict()],
}


_JSON: Any = Json


def annotation(kind: FieldType, text: bool) -> Any:
    """The type that pydantic checks a field of `kind` with; `text`: the source gives nothing but text."""
    if kind.name == "list":
        inner: Any = GenericAlias(list, (annotation(kind.items or ANY, text=False),))
        plain: Any = Annotated[inner, _JSON()] if text else inner
    elif kind.name == "object":
        plain = Annotated[dict[str, Any], _JSON()] if text else dict[str, Any]
    else:
        plain = (_FROM_TEXT if text else _TYPED)[kind.name]
    return plain | None if kind.nullable and plain is not Any else plain


def _adapter(item: Any) -> TypeAdapter[Any]:
    items: Any = GenericAlias(list, (item,))
    return TypeAdapter(items)


@dataclass(slots=True)
class Admitted:
    """Rows that fit, by their index in what was read, and what is wrong with the others."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    indexes: Sequence[int] = ()
    wrong: dict[int, str] = field(default_factory=dict)


class Admission:
    """The schema of one source, built when its first rows are seen."""

    def __init__(self, node: SourceNode, text: bool) -> None:
        self._node, self._text = node, text
        self._adapter: TypeAdapter[list[dict[str, Any]]] | None = None
        self.observed: dict[str, str] | None = None
        self.originals: dict[str, str] = {}

    def admit(self, rows: Sequence[Mapping[str, Any]]) -> Admitted:
        """The rows as their schema has them. Raises SourceError when field names collide."""
        if not rows:
            return Admitted()
        if self._node.normalize:
            rows = self._normalized(rows)
        if self._adapter is None:
            self._adapter = self._build(rows)
        try:
            return Admitted(list(self._adapter.validate_python(rows)), range(len(rows)))
        except ValidationError as error:
            return self._without(rows, _faults(error))

    def _without(self, rows: Sequence[Mapping[str, Any]], wrong: dict[int, str]) -> Admitted:
        assert self._adapter is not None
        indexes = [index for index in range(len(rows)) if index not in wrong]
        fit = self._adapter.validate_python([rows[index] for index in indexes])
        return Admitted(list(fit), indexes, wrong)

    def _build(self, rows: Sequence[Mapping[str, Any]]) -> TypeAdapter[list[dict[str, Any]]]:
        declared = dict(self._node.fields)
        if self._node.mode is SchemaMode.OBSERVED:
            declared = {**observe(rows, self._text), **declared}
            self.observed = {name: str(kind) for name, kind in declared.items()}
        # The first row's order of fields is kept; what it has beyond the schema is admitted as it is.
        shape: dict[str, Any] = {}
        for name in rows[0]:
            if name in declared:
                shape[name] = annotation(declared[name], self._text)
            elif self._node.mode is not SchemaMode.FIXED and isinstance(name, str):
                shape[name] = NotRequired[Any]
        shape |= {name: annotation(kind, self._text) for name, kind in declared.items() if name not in shape}
        make: Any = TypedDict  # its fields are known at run time only
        row = make("row", shape)
        row.__pydantic_config__ = ConfigDict(
            extra="forbid" if self._node.mode is SchemaMode.FIXED else "allow"
        )
        return _adapter(row)

    def _normalized(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        renamed = []
        for row in rows:
            if not row.keys() <= self.originals.keys():
                self._learn(row)
            renamed.append({self.originals[name]: value for name, value in row.items()})
        return renamed

    def _learn(self, names: Iterable[str]) -> None:
        taken = {short: name for name, short in self.originals.items()}
        for name in names:
            short = identifier(name)
            if taken.setdefault(short, name) != name:
                raise SourceError(
                    self._node.name, f"fields {taken[short]!r} and {name!r} would both be called {short!r}"
                )
            self.originals[name] = short


def identifier(name: str) -> str:
    """`name` as an identifier: NFC, lower case, runs of anything else as one underscore.

    >>> identifier("Dep. Delay (min)"), identifier("2nd")
    ('dep_delay_min', '_2nd')
    """
    text = re.sub(r"\W+", "_", unicodedata.normalize("NFC", name).lower()).strip("_")
    return f"_{text}" if not text or text[0].isdigit() else text


def _faults(error: ValidationError) -> dict[int, str]:
    """What is wrong with each row, without the values themselves."""
    faults: dict[int, list[str]] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        index, *path = fault["loc"]
        place = ".".join(str(part) for part in path)
        faults.setdefault(int(index), []).append(f"field {place!r}: {_reason(fault)}")
    return {index: "; ".join(texts) for index, texts in faults.items()}


def _reason(fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not in the schema, which is fixed"
        case "timezone_aware":
            return "has no time zone"
        case _:
            text: str = fault["msg"]
            return text[0].lower() + text[1:]


# --- Observed schemas ---------------------------------------------------------------------------

_GUESSES = ("int", "float", "bool", "datetime", "date")
_PYTHON = {
    str: "str", int: "int", float: "float", bool: "bool", Decimal: "decimal", datetime: "datetime", date: "date",
    time: "time", timedelta: "duration", UUID: "uuid", bytes: "bytes", dict: "object", list: "list",
}  # fmt: skip


def observe(rows: Sequence[Mapping[Any, Any]], text: bool) -> dict[str, FieldType]:
    """The narrowest types that fit all of `rows`. A field is nullable, since a later row may lack a value."""
    names = dict.fromkeys(name for row in rows for name in row if isinstance(name, str))
    return {name: _observe([row.get(name) for row in rows], text) for name in names}


def _observe(values: Sequence[Any], text: bool) -> FieldType:
    present = [value for value in values if value is not None]
    if not present:
        return ANY
    if text:
        return FieldType(
            next((guess for guess in _GUESSES if _all_are(guess, present)), "str"), nullable=True
        )
    kinds = {_PYTHON.get(type(value), "any") for value in present}
    if kinds == {"int", "float"}:
        kinds = {"float"}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    return ANY if kind == "any" else FieldType(kind, nullable=True, items=ANY if kind == "list" else None)


def _all_are(kind: str, values: Sequence[str]) -> bool:
    if kind == "bool":
        return {value.lower() for value in values} <= {"true", "false"}
    if kind in ("datetime", "date") and not all(re.match(r"\d{4}-\d\d-\d\d", value) for value in values):
        return False
    if kind == "int" and not all(re.fullmatch(r"[+-]?(0|[1-9]\d*)", value) for value in values):
        return False
    try:
        _adapter(_FROM_TEXT[kind]).validate_python(values)
    except ValidationError:
        return False
    return True
