"""What a plugin author imports: the five kinds, their results, options and context."""

from frame.plugin.context import Context
from frame.plugin.hookspecs import hookimpl
from frame.plugin.protocols import (
    PLUGIN_API,
    Aggregation,
    Delivery,
    Determinism,
    Gate,
    Kind,
    Plugin,
    PluginConfig,
    Sink,
    Source,
    Transform,
)
from frame.plugin.results import (
    Artifact,
    Drop,
    Expand,
    Fail,
    InvalidRow,
    Rejected,
    Route,
    Suspend,
)
from frame.plugin.schema import FieldType, Schema, parse_field_type

__all__ = [
    "PLUGIN_API",
    "Aggregation",
    "Artifact",
    "Context",
    "Delivery",
    "Determinism",
    "Drop",
    "Expand",
    "Fail",
    "FieldType",
    "Gate",
    "InvalidRow",
    "Kind",
    "Plugin",
    "PluginConfig",
    "Rejected",
    "Route",
    "Schema",
    "Sink",
    "Source",
    "Suspend",
    "Transform",
    "hookimpl",
    "parse_field_type",
]
