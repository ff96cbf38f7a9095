"""What a plugin's source says about it, read without importing it.

To list plugins, or to know which package a short name belongs to, nobody's plugin code has to run.
"""

import ast
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass

FOREIGN_FAILURES = (Exception, SystemExit)
"""What running somebody else's code may raise and be reported for; not the wish of a person to stop."""


@dataclass(frozen=True, slots=True)
class Stated:
    """The `name` that a class body gives its plugin, and the first line of its docstring."""

    name: str
    summary: str


def classes_in(module: str) -> Mapping[str, ast.ClassDef]:
    """The classes at the top level of `module`, by name; none when its source cannot be read.

    Parent packages of `module` are imported, `module` is not.
    """
    try:
        spec = importlib.util.find_spec(module)
        source = spec.loader.get_source(module) if spec and spec.loader else None  # type: ignore[attr-defined]
        tree = ast.parse(source or "")
    except FOREIGN_FAILURES:
        return {}
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def stated(class_name: str, classes: Mapping[str, ast.ClassDef]) -> Stated | None:
    """What class `class_name` states, itself or by a base in its module; None if that takes an import."""
    name = _name_in(class_name, classes, frozenset())
    if name is None:
        return None
    return Stated(name, first_line(ast.get_docstring(classes[class_name])))


def first_line(docstring: str | None) -> str:
    """The first line of a docstring, or nothing."""
    return inspect.cleandoc(docstring or "").partition("\n")[0]


def _name_in(class_name: str, classes: Mapping[str, ast.ClassDef], seen: frozenset[str]) -> str | None:
    node = classes.get(class_name)
    if node is None or class_name in seen:
        return None
    for statement in node.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="name")], value=value)
                | ast.AnnAssign(target=ast.Name(id="name"), value=value)
            ):
                return _text(value)
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    names = (_name_in(base, classes, seen | {class_name}) for base in bases)
    return next((name for name in names if name), None)


def _text(value: ast.expr | None) -> str | None:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
