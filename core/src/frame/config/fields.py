"""What the values in a pipeline file may be: the types that the models' fields share.

A value that comes from `${NAME}` is text, so numbers and truth values are also read from text. Nothing else
is coerced: `yes` is not true, `1.0` is not 1, and true is not 1.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, NotRequired, Protocol, TypedDict, runtime_checkable

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from frame.config.durations import (
    DURATION_PATTERN,
    RATE_PATTERN,
    Rate,
    format_duration,
    parse_duration,
    parse_rate,
    seconds,
)
from frame.config.secret import with_references_written

CONTINUE = "continue"
DISCARD = "discard"
RESERVED = frozenset({CONTINUE, DISCARD, "source"})
"""Names that no node or sink can have: two destinations, and what the source is called in the record."""

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
_NAME = re.compile(NAME_PATTERN.replace("$", r"\Z"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z", re.ASCII)


class FileModel(BaseModel):
    """Base of every model of the file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Finding(TypedDict):
    """One thing that is wrong, at `path` below the model that found it; `at_key`: with the key there."""

    path: tuple[str | int, ...]
    message: str
    remedy: NotRequired[str]
    at_key: NotRequired[bool]


def wrong(message: str, remedy: str = "") -> PydanticCustomError:
    """The error that a field's validator raises: what is wrong, and what would help."""
    return refused([Finding(path=(), message=message, remedy=remedy)])


def refused(findings: list[Finding]) -> PydanticCustomError:
    """The error that a model's validator raises for `findings`; `problems_of` gives each its own place."""
    text = "; ".join(finding["message"] for finding in findings)
    return PydanticCustomError("frame", "{text}", {"text": text, "findings": findings})


def show(value: object) -> str:
    """`value` as a message names it: by what it is in the file, and never at length."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, int | float):
        return f"the number {value!r}"[:70]
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def _whole(value: object) -> object:
    if isinstance(value, str) and _INTEGER.match(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise wrong(f"should be a whole number and is {show(value)}")


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise wrong(f"should be true or false and is {show(value)}", "Write true or false, without quotes.")


def _text(value: object) -> object:
    if isinstance(value, str):
        return value
    raise wrong(f"should be text and is {show(value)}", "Put it in quotes." if _is_scalar(value) else "")


def _is_scalar(value: object) -> bool:
    return isinstance(value, int | float)


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return seconds(value.total_seconds())
    try:
        if isinstance(value, str):
            return parse_duration(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return seconds(value)
    except (ValueError, OverflowError):
        pass
    remedy = "Write a number and a unit, as in 500ms, 30s, 5m, 2h, 1d; a bare number is seconds."
    raise wrong(f"should be a duration and is {show(value)}", remedy)


def _more_than_none(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise wrong("should be longer than 0s")
    return value


def _rate(value: object) -> Rate:
    if isinstance(value, Rate):
        return value
    try:
        return parse_rate(value if isinstance(value, str) else "")
    except ValueError:
        remedy = "Write calls per s, m, h or d, as in 10/s or 100/m."
        raise wrong(f"should be a rate and is {show(value)}", remedy) from None


def _name(value: str) -> str:
    if not _NAME.match(value):
        remedy = "Begin with a letter or _, go on with letters, digits, _ and -, at most 64 in all."
        raise wrong(f"{show(value)} is not a name", remedy)
    return value


def _own_name(value: str) -> str:
    if value in RESERVED:
        raise wrong(f"{value!r} is reserved and cannot be the name of a node or sink", "Choose another name.")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise wrong("is empty")
    return value


@runtime_checkable
class PluginObject(Protocol):
    """A plugin made in code, as far as a pipeline has to know it; its class is as good."""

    @property
    def name(self) -> str:
        """What the plugin is called."""
        ...

    @property
    def kind(self) -> Any:
        """Source, transform, gate, aggregation or sink."""
        ...

    @property
    def Config(self) -> Any:  # noqa: N802
        """The model of its options."""
        ...


PluginChoice = str | type[PluginObject] | PluginObject


def _plugin(value: object) -> object:
    if isinstance(value, str):
        if value.strip() == value and value:
            return value
        raise wrong(
            f"{show(value)} is not the name of a plugin", "`frame plugins list` shows what is installed."
        )
    if all(hasattr(value, part) for part in ("name", "kind", "Config")):
        return value
    remedy = "In code, a plugin class or a configured plugin will do, too." if not _is_scalar(value) else ""
    raise wrong(f"should be the name of a plugin and is {show(value)}", remedy)


def plugin_name(choice: PluginChoice) -> str:
    """What the chosen plugin is called."""
    return choice if isinstance(choice, str) else choice.name  # type: ignore[return-value]


def _options(value: object) -> object:
    if isinstance(value, Mapping):
        return {_text(key): inner for key, inner in value.items()}
    raise wrong(f"should be a mapping of options and is {show(value)}")


Text = Annotated[str, BeforeValidator(_text)]
Filled = Annotated[Text, AfterValidator(_not_blank), Field(json_schema_extra={"pattern": r"\S"})]
Name = Annotated[
    Text, AfterValidator(_name), AfterValidator(_own_name), Field(json_schema_extra={"pattern": NAME_PATTERN})
]
Target = Annotated[Text, AfterValidator(_name), Field(json_schema_extra={"pattern": NAME_PATTERN})]
Whole = Annotated[int, BeforeValidator(_whole)]
Positive = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
NotNegative = Annotated[int, Field(ge=0), BeforeValidator(_whole)]
Version = Annotated[Literal[1], BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Options = Annotated[
    dict[str, Any],
    BeforeValidator(_options),
    PlainSerializer(with_references_written, return_type=dict[str, Any], when_used="json"),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": DURATION_PATTERN}]}
    ),
]
LongerThanNone = Annotated[Duration, AfterValidator(_more_than_none)]
RateText = Annotated[
    Rate,
    PlainValidator(_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": RATE_PATTERN}),
]
ChosenPlugin = Annotated[
    PluginChoice,
    PlainValidator(_plugin),
    PlainSerializer(plugin_name, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\S(.*\S)?$"}),
]
