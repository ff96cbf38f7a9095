"""Checking a pipeline without running it, and drawing it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from frame.config.json_schema import pipeline_schema
from frame.errors import ConfigError, Problem
from frame.graph import render
from frame.operations.compile import Compiled, Pipeline, compile_pipeline
from frame.plugin.registry import Registry


@dataclass(frozen=True, slots=True)
class Validation:
    """A pipeline that a run can execute. `nodes`: how many there are of each kind, sinks and source included.

    `warnings`: what its owner should know, though nothing is wrong.
    """

    pipeline: str
    file: str
    nodes: Mapping[str, int]
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The result as one JSON object."""
        return {
            "schema_version": 1,
            "valid": True,
            "pipeline": self.pipeline,
            "file": self.file,
            "nodes": dict(self.nodes),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """A pipeline drawn. `language`: mermaid or svg."""

    language: str
    text: str


def validate(pipeline: Pipeline, registry: Registry | None = None, *, locked: bool = False) -> Validation:
    """What a run of `pipeline` would execute. Touches nothing, and reads its secrets and signing keys alone.

    Raises ConfigError with every problem that was found; UnusablePlugins if plugins are the problem.
    """
    compiled = compile_pipeline(pipeline, registry, locked=locked)
    _check_keys(compiled)
    kinds = Counter(str(node.kind) for node in compiled.graph.nodes)
    return Validation(
        compiled.graph.name, compiled.loaded.file, MappingProxyType(dict(kinds)), compiled.warnings
    )


def _check_keys(compiled: Compiled) -> None:
    """Raises ConfigError if a run could not sign what it is to sign."""
    from frame.operations.anchoring import anchoring_of
    from frame.operations.closing_export import key_of_export

    problems: list[Problem] = []
    for look in (
        lambda: anchoring_of(compiled.loaded, compiled.audit_url),
        lambda: key_of_export(compiled.loaded),
    ):
        try:
            look()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def graph_of(pipeline: Pipeline, registry: Registry | None = None, *, svg: bool = False) -> Picture:
    """`pipeline` as a picture: Mermaid text, or SVG.

    Raises ConfigError as `validate` does, and UsageError if SVG is asked for and nothing here can draw it.
    """
    graph = compile_pipeline(pipeline, registry).graph
    return Picture("svg", render.svg(graph)) if svg else Picture("mermaid", render.mermaid(graph))


def schema() -> dict[str, Any]:
    """The JSON Schema of the pipeline file, for editors."""
    return pipeline_schema()
