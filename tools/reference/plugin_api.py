"""The page of everything that a plugin author implements, returns and is given."""

import inspect
from types import FunctionType

import frame.plugin
from frame.plugin import hookspecs

from tools.reference.markdown import docstring, table


def page() -> str:
    """The hooks of a package, then each name of `frame.plugin` with its methods."""
    hooks = [
        (f"`{name}`", inspect.getdoc(hook) or "")
        for name, hook in vars(hookspecs).items()
        if name.startswith("frame_") and isinstance(hook, FunctionType)
    ]
    classes = [
        thing for name in frame.plugin.__all__ if isinstance(thing := getattr(frame.plugin, name), type)
    ]
    sections = [_section(thing) for thing in classes]
    head = ["# Plugin API", "## Hooks", docstring(hookspecs), table(["hook", "offers"], hooks)]
    return "\n\n".join([*head, *sections]) + "\n"


def _section(thing: type) -> str:
    methods = [
        f"### {thing.__name__}.{name}\n\n```text\n{name}{inspect.signature(method)}\n```\n\n{docstring(method)}"
        for name, method in vars(thing).items()
        if isinstance(method, FunctionType) and not name.startswith("_") and method.__doc__
    ]
    return "\n\n".join([f"## {thing.__name__}", docstring(thing), *methods])
