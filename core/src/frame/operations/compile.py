"""From what a user hands in (a path, a pipeline built in code) to a graph that can run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frame.config.load import LoadedPipeline, from_code, load
from frame.config.models import PipelineConfig
from frame.engine.redaction import Redactor
from frame.errors import Refused
from frame.graph.compile import compile_graph
from frame.graph.model import Graph
from frame.operations.fingerprints import Fingerprints
from frame.operations.secrets import Secrets
from frame.plugin import lock as plugin_lock
from frame.plugin.registry import Registry
from frame.secrecy import passwords_in

Pipeline = str | os.PathLike[str] | PipelineConfig


@dataclass(frozen=True, slots=True)
class Compiled:
    """A pipeline that is ready to run. `audit_url`: where its record is kept unless somebody says otherwise.

    `warnings`: what its owner should know, though nothing is wrong.
    """

    loaded: LoadedPipeline
    graph: Graph
    redactor: Redactor
    audit_url: str
    fingerprints: Fingerprints
    warnings: tuple[str, ...] = ()


def compile_pipeline(
    pipeline: Pipeline,
    registry: Registry | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    locked: bool = False,
) -> Compiled:
    """The pipeline, checked from end to end. Raises ConfigError or PluginError; nothing is opened or touched.

    Where `plugins.lock` stands beside the pipeline, it uses what that allows and nothing else; `locked`: raise Refused
    if none does.
    """
    loaded = loaded_pipeline(pipeline, environ)
    lock = plugin_lock.read(loaded.folder / plugin_lock.FILE)
    if lock is None and locked:
        raise Refused(
            f"there is no {plugin_lock.FILE} beside {loaded.file}: `frame plugins lock {loaded.file}` writes it"
        )
    registry = registry or Registry.discover()
    return compile_with(loaded, registry if lock is None else registry.locked(lock))


def loaded_pipeline(pipeline: Pipeline, environ: Mapping[str, str] | None = None) -> LoadedPipeline:
    """The pipeline as it is written. Raises ConfigError."""
    return from_code(pipeline) if isinstance(pipeline, PipelineConfig) else load(pipeline, environ)


def compile_with(loaded: LoadedPipeline, registry: Registry) -> Compiled:
    """The pipeline with the plugins of `registry`, whatever is locked. Raises as `compile_pipeline` does."""
    secrets = Secrets(loaded.environ, loaded.folder, registry)
    fingerprints = Fingerprints(loaded.folder / ".frame")
    graph = compile_graph(
        loaded.config,
        registry,
        loaded.positions,
        secrets=secrets.read,
        fingerprint=fingerprints.of,
        folder=str(loaded.folder),
    )
    passwords = passwords_in(loaded.config.model_dump(mode="json"))
    redactor = Redactor([*secrets.values, *passwords])
    return Compiled(loaded, graph, redactor, audit_url_of(loaded), fingerprints, secrets.warnings)


def audit_url_of(loaded: LoadedPipeline) -> str:
    """The URL in the file, with a relative SQLite path taken from the file's folder; else a file beside it."""
    url = loaded.config.audit.url
    if url is None:
        return f"sqlite:///{(loaded.folder / '.frame' / 'audit.db').resolve()}"
    path = url.removeprefix("sqlite:///")
    if path == url or Path(path).is_absolute():
        return url
    return f"sqlite:///{(loaded.folder / path).resolve()}"
