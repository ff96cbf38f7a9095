"""The JSON Schema (2020-12) of the pipeline file, for editors.

It says what the models say about each value; what has to fit together across values is the models' alone. A
reference to the environment (`${NAME}`) may stand wherever a value is.
"""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from frame.config.durations import format_duration
from frame.config.models import PipelineConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = r"\$\{"

_FROM_TEXT = {"integer": rf"^[+-]?[0-9]{{1,18}}$|{REFERENCE}", "boolean": rf"^(true|false)$|{REFERENCE}"}
_GATE_CHOICE = [{"required": [key], "properties": {key: {"type": "string"}}} for key in ("gate", "plugin")]

Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def pipeline_schema() -> Schema:
    """The JSON Schema of a pipeline file, as JSON values."""
    schema = _open(PipelineConfig.model_json_schema(by_alias=True, schema_generator=_Generator))
    schema["$defs"]["GateConfig"]["oneOf"] = _GATE_CHOICE
    return {"$schema": DIALECT, **schema, "title": "frame pipeline"}


def _open(schema: Schema) -> Schema:
    """`schema` with the titles of its properties left out, and with references admitted for its scalars."""
    opened = {key: _inside(key, value) for key, value in schema.items() if key != "title"}
    kind = None if "const" in opened else opened.get("type")
    if "patternProperties" in opened:
        opened["additionalProperties"] = False
    if kind in _FROM_TEXT:
        return {**opened, "type": [kind, "string"], "pattern": _FROM_TEXT[kind]}
    if kind == "string" and "pattern" in opened:
        return {**opened, "pattern": f"(?:{opened['pattern']})|{REFERENCE}"}
    if kind == "string" and "enum" in opened:
        choice = {"enum": opened.pop("enum")}
        return {**opened, "anyOf": [choice, {"pattern": REFERENCE}]}
    return opened


def _inside(key: str, value: Any) -> Any:
    if key in ("properties", "patternProperties", "$defs"):
        return {name: _open(inner) for name, inner in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _open(value)
    if key in ("anyOf", "oneOf", "allOf"):
        return [_open(inner) for inner in value]
    return value
