"""Pipelines built in code, from plugin classes and plugin objects instead of names."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from frame.config.fields import PluginChoice
from frame.config.load import config_error
from frame.config.models import (
    AuditConfig,
    ExportConfig,
    NodeConfig,
    PipelineConfig,
    SettingsConfig,
    SinkConfig,
    SourceConfig,
)

Written = Mapping[str, Any]
"""A part of a pipeline as the file would have it; where it names a plugin, a class or an object will do, too."""


def pipeline(
    name: str,
    source: PluginChoice | SourceConfig | Written,
    nodes: Iterable[NodeConfig | Written] = (),
    sinks: Mapping[str, PluginChoice | SinkConfig | Written] | None = None,
    *,
    settings: SettingsConfig | Written | None = None,
    audit: AuditConfig | Written | None = None,
    export: ExportConfig | Written | None = None,
) -> PipelineConfig:
    """The pipeline of these parts, with the keys of the pipeline file, ready for `frame.run`.

    A source or a sink that needs nothing but its plugin can be given as that plugin.

    Raises ConfigError with every problem found.

    >>> from frame.testing import Applied, ListSink, ListSource, run_pipeline
    >>> doubled = pipeline(
    ...     "doubled",
    ...     source=ListSource([{"n": 1}, {"n": 2}]),
    ...     nodes=[{"name": "double", "plugin": Applied(lambda row: {"n": row["n"] * 2})}],
    ...     sinks={"out": ListSink()},
    ... )
    >>> run_pipeline(doubled).written
    {'out': [{'n': 2}, {'n': 4}]}
    """
    parts: dict[str, Any] = {
        "name": name,
        "source": _place(source, SourceConfig),
        "nodes": tuple(nodes),
        "sinks": {key: _place(sink, SinkConfig) for key, sink in (sinks or {}).items()},
    }
    beside = (("settings", settings), ("audit", audit), ("export", export))
    parts |= {key: part for key, part in beside if part is not None}
    try:
        return PipelineConfig.model_validate(parts)
    except ValidationError as error:
        raise config_error(error) from None


def _place(given: object, model: type[SourceConfig | SinkConfig]) -> object:
    """`given` as a place of a pipeline: as it is, or as the plugin that works there."""
    return given if isinstance(given, Mapping | model) else {"plugin": given}
