"""Markdown from what code knows about itself: docstrings, tables, JSON Schemas."""

import inspect
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar or a line break inside a cell is escaped.

    >>> print(table(["a", "b"], [["x|y", "z"]]))
    | a | b |
    |---|---|
    | x\\|y | z |
    """
    lines = [head, *rows]
    cells = ["| " + " | ".join(_cell(text) for text in line) + " |" for line in lines]
    return "\n".join([cells[0], "|" + "---|" * len(head), *cells[1:]])


def docstring(thing: object) -> str:
    """The docstring as Markdown, `>>>` sessions and indented drawings fenced."""
    blocks = inspect.cleandoc(inspect.getdoc(thing) or "").split("\n\n")
    groups = groupby(blocks, key=lambda block: "code" if block.startswith("    ") else block)
    return "\n\n".join(_fenced("\n\n".join(group)) for _, group in groups)


def options(schema: Mapping[str, Any]) -> str:
    """The properties of a JSON Schema as a table: name, type, default, meaning."""
    required = schema.get("required", [])
    rows = [
        (f"`{name}`", kind(prop), _default(name, prop, required), prop.get("description", ""))
        for name, prop in schema.get("properties", {}).items()
    ]
    return table(["option", "type", "default", "meaning"], rows) if rows else "No options."


def kind(prop: Mapping[str, Any]) -> str:
    """A JSON Schema as a short type.

    >>> kind({"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/RetryConfig"}, {"type": "null"}]})
    'integer or [RetryConfig](#retryconfig) or null'
    >>> kind({"type": "array", "items": {"enum": ["a", "b"]}})
    'list of `"a"`, `"b"`'
    """
    if "$ref" in prop:
        name = prop["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in prop:
        return f"`{json.dumps(prop['const'])}`"
    if "enum" in prop:
        return ", ".join(f"`{json.dumps(value)}`" for value in prop["enum"])
    choices = prop.get("anyOf") or prop.get("oneOf") or prop.get("allOf")
    if choices:
        return " or ".join(dict.fromkeys(kind(choice) for choice in choices))
    if prop.get("type") == "array":
        return f"list of {kind(prop.get('items', {}))}"
    if values := _values(prop):
        return " or ".join(f"name → {kind(value)}" for value in values)
    stated = prop.get("type", "any")
    return " or ".join(stated) if isinstance(stated, list) else str(stated)


def _values(prop: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of a mapping's values, if `prop` is one that says what they are."""
    described = prop.get("additionalProperties")
    return [
        *prop.get("patternProperties", {}).values(),
        *([described] if isinstance(described, dict) else []),
    ]


def _default(name: str, prop: Mapping[str, Any], required: Sequence[str]) -> str:
    if name in required:
        return "required"
    return f"`{json.dumps(prop['default'])}`" if "default" in prop else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _fenced(block: str) -> str:
    if block.startswith(">>> "):
        return f"```pycon\n{block}\n```"
    if block.startswith("    "):
        return f"```text\n{textwrap.dedent(block)}\n```"
    return block
