"""Reading a pipeline file: from a path to a checked pipeline, or to all that is wrong with it."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from frame.config.environment import expand
from frame.config.fields import Finding
from frame.config.file_text import START, bounded, decoded, read_bytes, refuse_control_characters
from frame.config.models import PipelineConfig, clashes
from frame.config.positions import Place, Positions
from frame.config.problems import findings_of, in_order, problems_of
from frame.config.yaml_nodes import Fault, read_nodes
from frame.config.yaml_values import Values
from frame.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A checked pipeline with all that is needed to point into its file.

    `folder`: what relative paths in it are relative to. `text_sha256`: of the file's bytes.
    `environ`: what its references were expanded from, and what its secrets are to be read from.
    """

    config: PipelineConfig
    positions: Positions
    file: str
    folder: Path
    text_sha256: bytes
    environ: Mapping[str, str] = field(repr=False)


def load(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> LoadedPipeline:
    """The pipeline in the file at `path`. Raises ConfigError with every problem found.

    `environ` stands in for the environment of the process.
    """
    where = Path(path)
    data = read_bytes(where)
    return _loaded(decoded(data, str(where)), data, str(where), where.parent, environ)


def load_text(
    text: str,
    file: str = "pipeline.yaml",
    folder: str | os.PathLike[str] = ".",
    environ: Mapping[str, str] | None = None,
) -> LoadedPipeline:
    """The pipeline that `text` describes, as if it stood in `file` in `folder`. Raises ConfigError."""
    data = bounded(text.encode("utf-8", "surrogatepass"), file)
    return _loaded(text.removeprefix("\ufeff"), data, file, Path(folder), environ)


def from_code(config: PipelineConfig, folder: str | os.PathLike[str] = ".") -> LoadedPipeline:
    """A pipeline that was built in code, as if it had been loaded; no place in it is known."""
    names = {index: node.name for index, node in enumerate(config.nodes)}
    text = config.model_dump_json(by_alias=True, exclude_defaults=True)
    digest = hashlib.sha256(text.encode()).digest()
    return LoadedPipeline(config, Positions(node_names=names), "", Path(folder), digest, os.environ)


def config_error(error: ValidationError, positions: Positions | None = None) -> ConfigError:
    """What pydantic says about a pipeline that is built in code, as frame says it."""
    return ConfigError(in_order(problems_of(findings_of(error), positions or Positions())))


def _loaded(
    text: str, data: bytes, file: str, folder: Path, environ: Mapping[str, str] | None
) -> LoadedPipeline:
    environ = os.environ if environ is None else environ
    values, faults = _values(text, file)
    positions = Positions(file, values.marks, _node_names(values.root))
    found = [(fault.path, _problem(fault, positions)) for fault in (*faults, *values.faults)]
    tree, unresolved = expand(values.root, environ, positions, folder)
    found += unresolved
    config, findings = _config(tree)
    # A value that was refused before has nothing to say to the models.
    spoilt = {path for path, _ in found}
    found += problems_of((finding for finding in findings if finding["path"] not in spoilt), positions)
    if config is None or found:
        raise ConfigError(in_order(found))
    return LoadedPipeline(config, positions, file, folder, hashlib.sha256(data).digest(), environ)


def _values(text: str, file: str) -> tuple[Values, list[Fault]]:
    """The values in `text` and what is refused in it. Raises ConfigError when no value can be had."""
    refuse_control_characters(text, file)
    tree, faults = read_nodes(text)
    if tree is None:
        faults = faults or [Fault("is empty", f"Describe a pipeline; {START}", Place())]
        raise ConfigError(in_order((fault.path, _problem(fault, Positions(file))) for fault in faults))
    return Values(tree), faults


def _problem(fault: Fault, positions: Positions) -> Problem:
    return Problem(fault.message, fault.remedy, positions.written(fault.path), positions.file, *fault.place)


def _node_names(root: object) -> dict[int, str]:
    nodes = root.get("nodes") if isinstance(root, dict) else None
    named = {
        index: node.get("name")
        for index, node in enumerate(nodes if isinstance(nodes, list) else ())
        if isinstance(node, dict)
    }
    return {index: name for index, name in named.items() if isinstance(name, str)}


def _config(tree: object) -> tuple[PipelineConfig | None, list[Finding]]:
    try:
        return PipelineConfig.model_validate(tree), []
    except ValidationError as error:
        return None, [*findings_of(error), *_clashes_in(tree)]


def _clashes_in(tree: object) -> list[Finding]:
    """Names that are used twice; the models look for them only when nothing else is wrong."""
    if not isinstance(tree, dict):
        return []
    sinks, names = tree.get("sinks"), _node_names(tree)
    every = [names.get(index) for index in range(max(names, default=-1) + 1)]
    return clashes(every, sinks if isinstance(sinks, dict) else {})
