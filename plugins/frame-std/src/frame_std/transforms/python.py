"""The transform `python`."""

import hashlib
import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from frame.errors import ConfigError, Problem
from frame.plugin import (
    Context,
    Determinism,
    Drop,
    Expand,
    Fail,
    PluginConfig,
    Schema,
    Suspend,
    Transform,
    TransformResult,
    parse_field_type,
)
from frame.rows import Row
from pydantic import Field

from frame_std.declared import ANYTHING, PURE
from frame_std.fields import FieldName, FieldTypeText, type_name

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_DOTTED_PATH = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}(\.{_NAME})*")


class Python(Transform):
    """Call a Python function with each row.

    >>> from frame.rows import freeze
    >>> python = Python(Python.Config(function="builtins:dict", arguments={"source": "web"}))
    >>> python.start(context=None)
    >>> python.process(freeze({"id": 1}), context=None)
    {'id': 1, 'source': 'web'}

    The function gets the row (read-only) and the `arguments` by keyword, and returns what a transform returns: a
    row, Expand, Drop or Fail. Anything else, None too, fails the row. The module is found when the pipeline is
    built and imported when the run starts. Say `determinism: deterministic` when the function depends on nothing
    but the row: its outputs are then recomputed instead of stored.
    """

    name = "python"
    determinism = Determinism.NON_DETERMINISTIC
    capabilities = replace(PURE, effects=ANYTHING)

    class Config(PluginConfig):
        function: str = Field(description="Where the function is, as `package.module:function`.")
        arguments: dict[FieldName, Any] = Field(
            default={}, description="What the function gets by keyword, besides the row."
        )
        determinism: Determinism = Field(
            default=Determinism.NON_DETERMINISTIC,
            description="What the function gives for the same row a second time.",
        )
        expands: bool = Field(default=False, description="Whether the function may return Expand.")
        requires: dict[FieldName, FieldTypeText] = Field(
            default={}, description="Field -> type that every incoming row must have."
        )
        provides: dict[FieldName, FieldTypeText] = Field(
            default={}, description="Field -> type that every row has which the function returns."
        )

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self.determinism = self.config.determinism  # type: ignore[misc]  # the author of the function knows
        self.expands = self.config.expands  # type: ignore[misc]  # and so here
        self._module, self._attribute = _located(self.config.function)
        self._call: Callable[[Row], Any] | None = None
        self._evidence: dict[str, Any] = {}

    def requires(self) -> Schema:
        return Schema({name: parse_field_type(kind) for name, kind in self.config.requires.items()})

    def provides(self, incoming: Schema) -> Schema:
        return Schema({name: parse_field_type(kind) for name, kind in self.config.provides.items()})

    def check(self) -> None:
        """The function can be imported."""
        self._imported()

    def start(self, context: Context) -> None:
        function = self._imported()
        self._call = partial(function, **self.config.arguments) if self.config.arguments else function
        self._evidence = _source_of(self._module)

    def evidence(self) -> Mapping[str, Any]:
        """Which file the function was read from, and its SHA-256; nothing for built-in modules."""
        return self._evidence

    def process(self, row: Row, context: Context) -> TransformResult:
        assert self._call is not None, "start comes before process"
        result = self._call(row)
        if isinstance(result, Mapping | Expand | Drop | Fail | Suspend):
            return result
        return Fail(
            f"{self.config.function} returned {type_name(result)}; return a row, or Drop(reason) to leave it out"
        )

    def _imported(self) -> Callable[..., Any]:
        path = self.config.function
        try:
            function: Any = importlib.import_module(self._module)
            for name in self._attribute.split("."):
                function = getattr(function, name)
        except Exception as error:  # the module runs code of its own, which may raise anything
            raise _refused(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
        if not callable(function):
            raise _refused(f"{path} is a {type(function).__name__}, which cannot be called")
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise _refused(
                f"{path} is async or a generator", "Write a plain function, or a plugin of your own."
            )
        return function  # type: ignore[no-any-return]  # whatever is callable


def _located(path: str) -> tuple[str, str]:
    """Module and attribute of `path`. Raises ValueError when there is no such module."""
    if _DOTTED_PATH.fullmatch(path) is None:
        raise ValueError(f"function: {path!r} should be written as package.module:function")
    module, _, attribute = path.partition(":")
    try:
        found = importlib.util.find_spec(module)
    except Exception as error:  # finding a submodule imports its package, which may raise anything
        raise ValueError(f"function: module {module!r} cannot be found: {error}") from error
    if found is None:
        raise ValueError(f"function: there is no module {module!r}; is it installed, or on PYTHONPATH?")
    return module, attribute


def _source_of(module: str) -> dict[str, Any]:
    origin = getattr(importlib.import_module(module), "__file__", None)
    if origin is None:
        return {}
    content = Path(origin).read_bytes()
    return {"module": module, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _refused(message: str, remedy: str = "") -> ConfigError:
    return ConfigError([Problem(message, remedy, field="function")])
