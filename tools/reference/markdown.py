"""Markdown from what code knows about itself: docstrings, tables, JSON Schemas."""

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
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
    return "\n\n".join(_fenced(block) for block in blocks)


def options(schema: Mapping[str, Any]) -> str:
    """The properties of a JSON Schema as a table: name, type, default, meaning."""
    required = schema.get("required", [])
    rows = [
        (
            f"`{name}`",
            kind(prop),
            "required" if name in required else f"`{json.dumps(prop.get('default'))}`",
            prop.get("description", ""),
        )
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
    if prop.get("type") == "object" and isinstance(prop.get("additionalProperties"), dict):
        return f"name → {kind(prop['additionalProperties'])}"
    stated = prop.get("type", "any")
    return " or ".join(stated) if isinstance(stated, list) else str(stated)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _fenced(block: str) -> str:
    if block.startswith(">>> "):
        return f"```pycon\n{block}\n```"
    if block.startswith("    "):
        return f"```text\n{inspect.cleandoc(block)}\n```"
    return block
