"""The reference page of the pipeline file, from the models."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from frame.config.durations import DURATION_PATTERN, RATE_PATTERN, format_duration
from frame.config.fields import NAME_PATTERN, FileModel
from frame.config.json_schema import Schema
from frame.config.models import PipelineConfig
from frame.config.shape import keys_of, models_in

_HEAD = """# The pipeline file

A pipeline is one YAML file (YAML 1.2, at most 1 MB). Text stays text: `no`, `010` and `12:30:45` need no
quotes. An unknown key is an error. Durations are written `500ms`, `30s`, `5m`, `2h`, `1d`, or as a number of
seconds.

`${NAME}`, `${env:NAME}` and `${NAME:-default}` in a value stand for a variable of the environment;
`${secret:NAME}` is a secret, for options of plugins that are declared secret: a variable, or a file in the folder
FRAME_SECRETS_DIR; `${secret:file:PATH}` is what is in a file, `${secret:PROVIDER:PATH}` what a provider has. `$${` is a
literal `${`.
"""

_WORDS = {
    DURATION_PATTERN: "duration",
    RATE_PATTERN: "rate",
    NAME_PATTERN: "name",
}


class ReferenceRow(NamedTuple):
    """One key of a model: what may stand there, what holds if it is absent, and what it means."""

    key: str
    type: str
    default: str
    description: str


def reference() -> str:
    """The page, in Markdown: one table a model, from the pipeline down."""
    return "\n".join([_HEAD, *(_section(model) for model in models())])


def models() -> list[type[FileModel]]:
    """Every model of the file, each after the first that uses it."""
    found: dict[type[FileModel], None] = {}
    waiting: list[type[FileModel]] = [PipelineConfig]
    while waiting:
        model = waiting.pop(0)
        if model not in found:
            found[model] = None
            for field in keys_of(model).values():
                waiting += models_in(field.annotation)
    return list(found)


def rows(model: type[FileModel]) -> Iterator[ReferenceRow]:
    """The keys of `model`, in order."""
    schema = model.model_json_schema(by_alias=True)
    for key, field in keys_of(model).items():
        text = type_text(schema["properties"][key], schema.get("$defs", {}))
        yield ReferenceRow(key, text, _default(field), field.description or "")


def type_text(schema: Schema, definitions: Schema) -> str:
    """What `schema` admits, in a few words, as in `duration or null`."""
    if "$ref" in schema:
        return _linked(schema["$ref"].rsplit("/", 1)[1])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            parts = dict.fromkeys(type_text(part, definitions) for part in schema[union])
            words = [part for part in parts if part != "number" or "duration" not in parts]
            return " or ".join(sorted(words, key=lambda word: word == "null"))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{choice}`" for choice in schema["enum"])
    return _simple(schema, definitions)


def _simple(schema: Schema, definitions: Schema) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"list of {type_text(schema['items'], definitions)}"
    if kind == "object":
        named = schema.get("patternProperties", {}).values()
        values = next(iter(named), schema.get("additionalProperties"))
        return f"mapping to {type_text(values, definitions)}" if isinstance(values, dict) else "mapping"
    if kind == "string":
        return _WORDS.get(schema.get("pattern", ""), "text")
    least = schema.get("minimum")
    words = {"integer": "whole number", "boolean": "true or false"}.get(str(kind), str(kind))
    return f"{words} >= {least}" if least is not None and kind == "integer" else words


def _section(model: type[FileModel]) -> str:
    about = (model.__doc__ or "").strip()
    lines = [f"## {title(model)}", "", about, "", "| key | type | default | meaning |", "|---|---|---|---|"]
    for row in rows(model):
        cells = (f"`{row.key}`", row.type, row.default, row.description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def title(model: type[BaseModel]) -> str:
    """What the page calls `model`.

    >>> title(PipelineConfig)
    'Pipeline'
    """
    return _spaced(model.__name__)


def _spaced(name: str) -> str:
    words = "".join(
        f" {letter.lower()}" if letter.isupper() else letter for letter in name.removesuffix("Config")
    )
    return words.strip().capitalize()


def _linked(name: str) -> str:
    text = _spaced(name)
    return f"[{text.lower()}](#{text.lower().replace(' ', '-')})"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return f"`{_written(field.get_default(call_default_factory=True, validated_data={}))}`"


def _written(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case timedelta():
            return format_duration(value)
        case BaseModel():
            inner = value.model_dump(mode="json", by_alias=True, exclude_unset=True)
            return _written(inner)
        case dict():
            return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
        case tuple():
            return "[]" if not value else str(list(value))
    return str(value)
