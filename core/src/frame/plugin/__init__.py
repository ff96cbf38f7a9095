"""What a plugin author imports: the five kinds, their results, options and context."""

from frame.expressions import Expression
from frame.plugin.capabilities import Capabilities, Effects
from frame.plugin.context import Context
from frame.plugin.hookspecs import hookimpl
from frame.plugin.paths import PipelinePath, beside_pipeline
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
    GateResult,
    InvalidRow,
    Rejected,
    Route,
    Suspend,
    TransformResult,
)
from frame.plugin.schema import FieldType, Schema, parse_field_type
from frame.plugin.secrets import SecretProvider

__all__ = [
    "PLUGIN_API",
    "Aggregation",
    "Artifact",
    "Capabilities",
    "Context",
    "Delivery",
    "Determinism",
    "Drop",
    "Effects",
    "Expand",
    "Expression",
    "Fail",
    "FieldType",
    "Gate",
    "GateResult",
    "InvalidRow",
    "Kind",
    "PipelinePath",
    "Plugin",
    "PluginConfig",
    "Rejected",
    "Route",
    "Schema",
    "SecretProvider",
    "Sink",
    "Source",
    "Suspend",
    "Transform",
    "TransformResult",
    "beside_pipeline",
    "hookimpl",
    "parse_field_type",
]
