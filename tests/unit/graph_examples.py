"""Small plugins, and pipelines made of them in few words, for the tests of the graph."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import yaml
from frame.config.load import LoadedPipeline, load_text
from frame.errors import ConfigError
from frame.graph.compile import compile_graph
from frame.graph.model import Graph
from frame.plugin import (
    Aggregation,
    Context,
    Determinism,
    FieldType,
    Gate,
    PluginConfig,
    Rejected,
    Schema,
    Sink,
    Source,
    Transform,
    parse_field_type,
)
from frame.plugin.registry import Registry
from frame.rows import Row
from pydantic import Field, SecretStr, field_validator

made: list["Watched"] = []
"""Every `watched` transform that was made, in order."""


def fields(written: Mapping[str, str]) -> dict[str, FieldType]:
    return {name: parse_field_type(text) for name, text in written.items()}


class Rows(Source):
    name = "rows"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        gives: dict[str, str] = Field(default_factory=dict)
        complete: bool = False

    def provides(self) -> Schema:
        return Schema(fields(self.config.gives), self.config.complete)

    def read(self) -> Iterator[Mapping[str, Any]]:
        return iter(())


class Lines(Rows):
    name = "lines"
    text_values: ClassVar[bool] = True


class Passing(Transform):
    """Gives every row on as it is."""

    name = "passing"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> Row:
        return row


class Step(Passing):
    """Needs some fields, takes some away, adds some; or says nothing about it."""

    name = "step"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        needs: dict[str, str] = Field(default_factory=dict)
        drops: list[str] = Field(default_factory=list)
        adds: dict[str, str] = Field(default_factory=dict)
        keeps: list[str] | None = None
        silent: bool = False

    def requires(self) -> Schema:
        return Schema(fields(self.config.needs))

    def provides(self, incoming: Schema) -> Schema:
        if self.config.silent:
            return Schema()
        if self.config.keeps is not None:
            kept = {name: incoming.fields.get(name, FieldType("any", True)) for name in self.config.keeps}
            return Schema(kept, complete=True)
        return incoming.without(self.config.drops).with_fields(fields(self.config.adds))


class Split(Passing):
    name = "split"
    determinism = Determinism.DETERMINISTIC
    expands: ClassVar[bool] = True


class Mood(StrEnum):
    CALM = "calm"


class Login(Passing):
    name = "login"
    determinism = Determinism.EXTERNAL_CALL

    class Config(PluginConfig):
        user: str = Field(description="Who logs in.")
        password: SecretStr
        keys: dict[str, SecretStr] = Field(default_factory=dict)
        others: list[SecretStr] = Field(default_factory=list)
        folder: Path = Path("here")
        mood: Mood = Mood.CALM

        @field_validator("user")
        @classmethod
        def _not_root(cls, value: str) -> str:
            if value == "root":
                raise ValueError("must not be root")
            return value


class Watched(Passing):
    name = "watched"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        fails: str = ""

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self.closed = 0
        if self.config.fails == "init":
            raise ValueError("these options do not go together")
        made.append(self)

    def requires(self) -> Schema:
        if self.config.fails == "requires":
            raise RuntimeError("I do not know")
        return Schema()

    def provides(self, incoming: Schema) -> Schema:
        if self.config.fails == "provides":
            raise KeyError("price")
        return incoming

    def close(self) -> None:
        self.closed += 1
        if self.config.fails == "close":
            raise OSError("was never open")
        if self.config.fails == "exit":
            raise SystemExit(0)


class Grade(Gate):
    name = "grade"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        says: list[str] | None = None

    def labels(self) -> frozenset[str] | None:
        return None if self.config.says is None else frozenset(self.config.says)

    def evaluate(self, row: Row, context: Context) -> str:
        return str(row["grade"])


class Gather(Aggregation):
    name = "gather"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        gives: dict[str, str] = Field(default_factory=dict)

    def provides(self, incoming: Schema) -> Schema:
        return Schema(fields(self.config.gives), complete=bool(self.config.gives))

    def accept(self, row: Row) -> None:
        """Take it and forget it."""

    def flush(self) -> list[Row]:
        return []


class Out(Sink):
    name = "out"
    determinism = Determinism.IO_WRITE

    class Config(PluginConfig):
        path: str = ""
        needs: dict[str, str] = Field(default_factory=dict)

    def requires(self) -> Schema:
        return Schema(fields(self.config.needs))

    def write(self, rows: Sequence[Row], key: str) -> list[Rejected]:
        return []


PLUGINS = Registry.of([Rows, Lines, Passing, Step, Split, Login, Watched, Grade, Gather, Out])
TYPED: dict[str, Any] = {"schema": {"mode": "flexible", "fields": {"a": "int", "b": "str"}}}
"""A source that declares two fields and lets others pass."""
SOURCE: dict[str, Any] = {"plugin": "rows"}


def step(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "plugin": "step", **keys}


def gate(name: str, expression: str = "row.a > 1", **keys: Any) -> dict[str, Any]:
    return {"name": name, "gate": expression, **keys}


def forked(name: str, *targets: str) -> dict[str, Any]:
    """A gate that forks every row that it lets pass."""
    return gate(name, routes={"true": list(targets), "false": "discard"})


def gather(
    name: str, mode: str = "transform", gives: Mapping[str, str] | None = None, **keys: Any
) -> dict[str, Any]:
    chosen = {"plugin": "gather", "options": {"gives": dict(gives or {})}, "mode": mode}
    return {"name": name, "aggregate": chosen, **keys}


def join(name: str, to: str = "out", **merge: Any) -> dict[str, Any]:
    return {"name": name, "coalesce": merge, "to": to}


def out(**keys: Any) -> dict[str, Any]:
    return {"plugin": "out", **keys}


def write(nodes: list[dict[str, Any]], sinks: Mapping[str, Any] | None = None, **top: Any) -> str:
    """A pipeline file with these nodes and sinks (one called `out` if none are given)."""
    source = {**SOURCE, **top.pop("source", {})}
    whole = {"name": "p", "source": source, "nodes": nodes, "sinks": sinks or {"out": out()}, **top}
    return yaml.safe_dump(whole, sort_keys=False)


def load(nodes: list[dict[str, Any]], sinks: Mapping[str, Any] | None = None, **top: Any) -> LoadedPipeline:
    environ = top.pop("environ", {})
    return load_text(write(nodes, sinks, **top), file="p.yaml", environ=environ)


def compiled(nodes: list[dict[str, Any]], sinks: Mapping[str, Any] | None = None, **top: Any) -> Graph:
    loaded = load(nodes, sinks, **top)
    return compile_graph(loaded.config, PLUGINS, loaded.positions)


def refused(nodes: list[dict[str, Any]], sinks: Mapping[str, Any] | None = None, **top: Any) -> list[str]:
    """`field: message` of every problem with the pipeline; empty if it can run."""
    try:
        compiled(nodes, sinks, **top)
    except ConfigError as error:
        return [f"{problem.field}: {problem.message}" for problem in error.problems]
    return []
