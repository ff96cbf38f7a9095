"""Source rows against their schema: the one place where values are coerced (BEHAVIOUR §6).

Sources of text (CSV) have every value read as its field's type; sources of typed values (JSON, Parquet) must give
the right type, and only what JSON cannot write (dates, decimals, UUIDs, bytes) is read from text. Blanks around a
value do not count, but in a str. What is read as what:

    int         digits with a sign or none: 12, -7, 007; not 1_000, 1.0, 1e3
    float       a finite decimal number: 1.5, .5, 1e5; not 1_000.5, nan, inf, 1e400
    decimal     the same, exactly
    bool        true/false, t/f, yes/no, y/n, on/off, 1/0, in any case
    datetime    RFC 3339 with its offset, kept in UTC; never a number, never without an offset
    date, time, duration    ISO 8601, a duration also as 01:30:00; never a number
    list, object            JSON (in text)

A field that is declared has to be there; `?` lets it be null, not missing.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import repeat
from types import GenericAlias
from typing import Annotated, Any, NotRequired
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    FiniteFloat,
    GetCoreSchemaHandler,
    Json,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from frame.errors import SourceError
from frame.graph.model import SchemaMode, SourceNode
from frame.plugin.schema import ANY, FieldType, parse_field_type


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside of the years 1 to 9999 in UTC") from None


@dataclass(frozen=True, slots=True)
class _Written:
    """A type that is read from text of one shape only, and otherwise has to be a `native` value already.

    Pydantic by itself would also take a number, as a count of seconds or days.
    """

    native: Any
    pattern: str
    says: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        value = handler(source)
        text = core_schema.chain_schema([core_schema.str_schema(pattern=self.pattern), value])
        native = core_schema.chain_schema([core_schema.is_instance_schema(self.native), value])
        return core_schema.union_schema(
            [text, native],
            mode="left_to_right",
            custom_error_type="written",
            custom_error_message=f"should be {self.says}",
        )


_DAY = r"\d{4}-\d{2}-\d{2}"
_TIME = r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
_WRITTEN: dict[str, Any] = {
    "datetime": Annotated[
        AwareDatetime,
        AfterValidator(_in_utc),
        _Written(
            datetime,
            rf"^\s*{_DAY}[Tt ]{_TIME}\s?([Zz]|[+-]\d\d:?\d\d)\s*$",
            "a datetime with its time zone, as in 2013-01-31T05:00:00Z",
        ),
    ],
    "date": Annotated[date, Strict(False), _Written(date, rf"^\s*{_DAY}\s*$", "a date, as in 2013-01-31")],
    "time": Annotated[time, _Written(time, rf"^\s*{_TIME}\s*$", "a time of day, as in 05:00:00")],
    "duration": Annotated[
        timedelta,
        _Written(timedelta, r"^\s*-?(P|\d+( days?,?)? ?\d*:)", "a duration, as in PT1H30M or 01:30:00"),
    ],
    "uuid": Annotated[
        UUID,
        _Written(
            UUID,
            r"^\s*[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\s*$",
            "a UUID, as in 0b4b3f4e-2f0c-4f0e-9d2a-6f1f5c1c2a3b",
        ),
    ],
}
_COERCED: dict[str, Any] = {**_WRITTEN, "bytes": bytes, "any": Any}
_FROM_TEXT: dict[str, Any] = {
    **_COERCED,
    "str": str,
    "int": int,
    "float": FiniteFloat,
    "bool": bool,
    "decimal": Decimal,
}
_TYPED: dict[str, Any] = {
    **_COERCED,
    "str": Annotated[str, Strict()],
    "int": Annotated[int, Strict()],
    "float": Annotated[FiniteFloat, Strict()],
    "bool": Annotated[bool, Strict()],
    "decimal": Annotated[
        Decimal,
        _Written(
            (Decimal, int, float), r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$", "a decimal, as in 12.50"
        ),
    ],
}

# What pydantic reads in the text of a number beyond what it should be: "1_000" as 1000, "1.0" as an int, and
# decimals in other digits than 0 to 9. To look at all values of a field at once takes some 30 ns a value.
_STRANGE: dict[str, Callable[[str], bool]] = {
    "int": lambda text: "_" in text or "." in text,
    "float": lambda text: "_" in text,
    "decimal": lambda text: "_" in text or not text.isascii(),
}
_PLAIN = {
    "int": "an integer in plain digits, as in 1000",
    "float": "a number in plain digits, as in 1000.5",
    "decimal": "a decimal in plain digits, as in 12.50",
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
    """The schema of one source, built when its first rows are seen.

    `observed` (field -> type) and `originals` (name in the source -> name in frame) are what the first rows fix; a
    source that goes on is given them.
    """

    def __init__(self, node: SourceNode, text: bool) -> None:
        self._node, self._text = node, text
        self._adapter: TypeAdapter[list[dict[str, Any]]] | None = None
        self.observed: dict[str, str] | None = None
        self.originals: dict[str, str] = {}
        self._numbers: dict[str, str] = {}

    def admit(self, rows: Sequence[Mapping[str, Any]]) -> Admitted:
        """The rows as their schema has them. Raises SourceError when field names collide."""
        if not rows:
            return Admitted()
        if self._node.normalize:
            rows = self._normalized(rows)
        if self._adapter is None:
            self._adapter = self._build(rows)
        wrong: dict[int, str] = {}
        fit: list[Any] = []
        try:
            fit = self._adapter.validate_python(rows)
        except ValidationError as error:
            wrong = _faults(error)
        for name, kind in self._numbers.items():
            self._find_strange(rows, name, kind, wrong)
        if not wrong:
            return Admitted(fit, range(len(rows)))
        indexes = [index for index in range(len(rows)) if index not in wrong]
        fit = list(self._adapter.validate_python([rows[index] for index in indexes]))
        return Admitted(fit, indexes, wrong)

    @staticmethod
    def _find_strange(rows: Sequence[Mapping[str, Any]], name: str, kind: str, wrong: dict[int, str]) -> None:
        """Add to `wrong` the rows whose text in field `name` is no plain number."""
        is_strange = _STRANGE[kind]
        if not is_strange(_text_of(rows, name)):
            return
        for index, value in enumerate(row.get(name) for row in rows):
            if isinstance(value, str) and is_strange(value) and index not in wrong:
                wrong[index] = f"field {name!r}: should be {_PLAIN[kind]}"

    def _build(self, rows: Sequence[Mapping[str, Any]]) -> TypeAdapter[list[dict[str, Any]]]:
        declared = dict(self._node.fields)
        if self.observed is not None:
            declared = {name: parse_field_type(kind) for name, kind in self.observed.items()}
        elif self._node.mode is SchemaMode.OBSERVED:
            declared = {**observe(rows, self._text), **declared}
            self.observed = {name: str(kind) for name, kind in declared.items()}
        if self._text:
            self._numbers = {name: kind.name for name, kind in declared.items() if kind.name in _STRANGE}
        # A schema that was observed says what a field is if it is there, not that it has to be.
        observed = self._node.mode is SchemaMode.OBSERVED
        types: dict[str, Any] = {name: annotation(kind, self._text) for name, kind in declared.items()}
        types = {name: NotRequired[kind] for name, kind in types.items()} if observed else types
        # The first row's order of fields is kept; what it has beyond the schema is admitted as it is.
        shape: dict[str, Any] = {}
        for name in rows[0]:
            if name in declared:
                shape[name] = types[name]
            elif self._node.mode is not SchemaMode.FIXED and isinstance(name, str):
                shape[name] = NotRequired[Any]
        shape |= {name: kind for name, kind in types.items() if name not in shape}
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


def _text_of(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """All text in field `name`."""
    try:
        return "".join(map(dict.get, rows, repeat(name)))  # type: ignore[arg-type]
    except TypeError:  # some hold no text there, or are no dicts
        values = [row.get(name) for row in rows]
        return "".join([value for value in values if isinstance(value, str)])


def identifier(name: str) -> str:
    """`name` as an identifier: NFC, lower case, runs of anything else as one underscore.

    >>> identifier("Dep. Delay (min)"), identifier("2nd")
    ('dep_delay_min', '_2nd')
    """
    lower = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())
    text = re.sub("_+", "_", "".join(sign if f"a{sign}".isidentifier() else "_" for sign in lower)).strip("_")
    return f"_{text}" if not text or text[0].isdigit() else text


def _faults(error: ValidationError) -> dict[int, str]:
    """What is wrong with each row, without the values themselves."""
    faults: dict[int, list[str]] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        index, *path = fault["loc"]
        place = f"field {'.'.join(map(str, path))!r}" if path else "the row"
        faults.setdefault(int(index), []).append(f"{place}: {_reason(fault)}")
    return {index: "; ".join(texts) for index, texts in faults.items()}


def _reason(fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not in the schema, which is fixed"
        case _:
            text: str = fault["msg"]
            return text[0].lower() + text[1:]


# --- Observed schemas ---------------------------------------------------------------------------

# No leading zeros: "007" is a name.
_NUMBER = {
    "int": re.compile(r"[+-]?(0|[1-9][0-9]*)"),
    "float": re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"),
}
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
    if kind in _NUMBER and not all(_NUMBER[kind].fullmatch(value) for value in values):
        return False
    try:
        _adapter(_FROM_TEXT[kind]).validate_python(values)
    except ValidationError:
        return False
    return True
