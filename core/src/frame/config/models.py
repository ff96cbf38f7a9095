"""The pipeline file as models: what each key may hold, and what can be checked without plugins or graph.

A pipeline can be built from these in code, too: there `plugin` also takes a plugin class or an instance.
Targets are names: whether there is such a node, and whether one can get there, is the graph's business.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from frame.config.fields import (
    CONTINUE,
    DISCARD,
    FileModel,
    Filled,
    Finding,
    Flag,
    LongerThanNone,
    Name,
    Positive,
    Target,
    Text,
    Version,
    Whole,
    refused,
)
from frame.config.nodes import (
    AggregateConfig,
    AggregationConfig,
    CoalesceConfig,
    GateConfig,
    LoopTarget,
    MergeConfig,
    NodeConfig,
    RouteTarget,
    TransformConfig,
    TriggerConfig,
)
from frame.config.places import WithPlugin, not_a_word
from frame.config.policies import (
    DEFAULT_LOOP_MAX,
    BreakerConfig,
    CallPolicyConfig,
    OnErrorClause,
    RateLimitConfig,
    RetryConfig,
)

__all__ = [
    "DEFAULT_LOOP_MAX",
    "AggregateConfig",
    "AggregationConfig",
    "AuditConfig",
    "BreakerConfig",
    "CallPolicyConfig",
    "CoalesceConfig",
    "ExportConfig",
    "GateConfig",
    "LoopTarget",
    "MergeConfig",
    "NodeConfig",
    "OnErrorClause",
    "PipelineConfig",
    "RateLimitConfig",
    "RetryConfig",
    "RouteTarget",
    "SchemaConfig",
    "SettingsConfig",
    "SinkConfig",
    "SourceConfig",
    "TransformConfig",
    "TriggerConfig",
]


class SchemaConfig(FileModel):
    """What rows look like when they come in. Values are coerced here and nowhere else."""

    mode: Literal["fixed", "flexible", "observed"] = Field(
        default="flexible",
        description="fixed: other fields are an error. flexible: other fields pass. "
        "observed: types are taken from the first rows, and locked.",
    )
    fields: dict[Filled, Text] = Field(
        default_factory=dict, description="Field name to type, as in int, str?, list[float]; ? admits null."
    )

    @model_validator(mode="after")
    def _fields_fit_mode(self) -> Self:
        if self.mode == "observed" and self.fields:
            message = "mode observed finds the fields itself, and here are some declared"
            remedy = "Choose mode flexible, or take fields out."
            raise refused([Finding(path=("fields",), message=message, remedy=remedy)])
        if self.mode == "fixed" and not self.fields:
            message = "mode fixed admits declared fields only, and none is declared"
            raise refused(
                [Finding(path=("mode",), message=message, remedy="Declare fields, or choose mode flexible.")]
            )
        return self


class SourceConfig(WithPlugin):
    """Where rows come from."""

    row_schema: SchemaConfig = Field(
        default_factory=lambda: SchemaConfig(mode="observed"),
        alias="schema",
        description="The fields of the rows and their types; absent: observed.",
    )
    on_invalid: Target | None = Field(
        default=None,
        description="Where rows go that do not fit: a sink, or discard. Absent: they are only listed.",
    )
    normalize: Flag = Field(
        default=False, description="Whether field names are made into identifiers; sinks can restore them."
    )
    to: Target | None = Field(
        default=None,
        description="The node or sink that rows go to; absent: the first node, or the only sink.",
    )

    @model_validator(mode="after")
    def _destinations(self) -> Self:
        findings = list(not_a_word("to", self.to, (CONTINUE, DISCARD)))
        findings += not_a_word("on_invalid", self.on_invalid, (CONTINUE,))
        if findings:
            raise refused(findings)
        return self


class SinkConfig(WithPlugin):
    """Where rows go."""

    on_error: Target | None = Field(
        default=None,
        description="The sink that takes rows which this one refuses; absent: they are dead letters.",
    )
    error_field: Filled | None = Field(
        default="_error",
        description="The field in which a row that comes here because of an error carries it; null for none.",
    )
    headers: Literal["original", "normalized"] = Field(
        default="normalized",
        description="Field names as the source had them before normalize, or as they are in the pipeline.",
    )
    retry: RetryConfig | None = Field(
        default=None, description="More attempts when the sink fails; absent: one attempt."
    )
    timeout: LongerThanNone | None = Field(
        default=timedelta(seconds=300), description="How long one attempt may take; null for no limit."
    )

    @model_validator(mode="after")
    def _to_a_sink(self) -> Self:
        if self.on_error in (CONTINUE, DISCARD):
            message = f"on_error of a sink cannot be {self.on_error!r}"
            remedy = "Name another sink, or take on_error out: refused rows are then listed as dead letters."
            raise refused([Finding(path=("on_error",), message=message, remedy=remedy)])
        return self


class AuditConfig(FileModel):
    """Where the record is kept."""

    url: Filled | None = Field(
        default=None,
        description="A database URL, as in sqlite:///audit.db; absent: .frame/audit.db beside the file.",
    )
    writer: Literal["inline", "thread"] = Field(
        default="thread",
        description="Whether commits are written by the thread that runs the pipeline, or by one beside it.",
    )
    lease: LongerThanNone = Field(
        default=timedelta(seconds=60),
        description="How long a process that works on a run is believed to live after it was last heard of; then "
        "another one may take the run over.",
    )
    patience: LongerThanNone = Field(
        default=timedelta(minutes=5),
        description="How long a run waits for a database server that goes away, before it stops and can be resumed.",
    )
    sign: Filled | None = Field(
        default=None,
        description="The file of the private key that signs checkpoints and receipts (frame keys generate); "
        "FRAME_SIGNING_KEY names another one. Absent: they are not signed.",
    )
    receipts: Filled | None = Field(
        default=None,
        description="The folder that takes a receipt of each run; absent: receipts beside the audit store.",
    )

    @model_validator(mode="after")
    def _names_a_key(self) -> Self:
        if self.sign is not None and self.sign.startswith("PRIVATE+KEY"):
            message = "sign names the file of a key, and here stands a key itself"
            remedy = "Take it out, make another one with frame keys generate, and name its file."
            raise refused([Finding(path=("sign",), message=message, remedy=remedy)])
        return self


class ExportConfig(FileModel):
    """What is written from the record when a run has come to a good end."""

    format: Literal["jsonl", "csv", "parquet", "html", "openlineage", "prov"] = Field(
        default="jsonl", description="As frame export --format."
    )
    path: Filled = Field(
        description="A file, or a folder for csv and parquet; {run_id} in it stands for the run's id, so that the "
        "next run does not find something there."
    )
    sign: Filled | None = Field(
        default=None,
        description="The file of the private key that signs it; absent: the key of audit.sign, if there is one.",
    )
    overwrite: Flag = Field(
        default=False, description="Whether an export of an earlier run that is at the path is replaced."
    )


class SettingsConfig(FileModel):
    """How the run goes about its work."""

    chunk_rows: Positive = Field(
        default=1000, description="How many source rows are worked on and committed together, at most."
    )
    max_latency: LongerThanNone = Field(
        default=timedelta(milliseconds=250),
        description="How long a chunk waits for more rows of a slow source.",
    )
    seed: Whole = Field(
        default=0, description="Where the chance comes from that plugins take through their context."
    )
    abort_on_error: Flag = Field(
        default=False, description="Whether the first failed row that no on_error takes stops the run."
    )
    payloads: Literal["all", "none"] = Field(
        default="all", description="Whether source rows are kept in the record; none: only their hashes are."
    )


class PipelineConfig(FileModel):
    """A pipeline: rows come from the source, go through the nodes, and end in the sinks."""

    frame: Version = Field(default=1, description="The version of this file format.")
    name: Filled = Field(max_length=200, description="What the pipeline is called in the record.")
    source: SourceConfig = Field(description="Where rows come from.")
    nodes: tuple[NodeConfig, ...] = Field(
        default=(),
        description="What happens to rows; they go from each node to the next unless told otherwise.",
    )
    sinks: dict[Name, SinkConfig] = Field(description="Where rows go, by name.")
    audit: AuditConfig = Field(default=AuditConfig(), description="Where the record is kept.")
    export: ExportConfig | None = Field(
        default=None, description="What is written from the record at the end of a run; absent: nothing."
    )
    settings: SettingsConfig = Field(default=SettingsConfig(), description="How the run goes about its work.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        findings = clashes([node.name for node in self.nodes], self.sinks)
        if not self.sinks:
            remedy = "Add one, as in {out: {plugin: jsonl, options: {path: out.jsonl}}}."
            findings.append(
                Finding(path=("sinks",), message="a pipeline needs at least one sink", remedy=remedy)
            )
        for name, sink in self.sinks.items():
            if sink.on_error == name:
                remedy = "Name another sink, or take on_error out."
                message = f"sink {name!r} cannot take the rows that it refuses"
                findings.append(Finding(path=("sinks", name, "on_error"), message=message, remedy=remedy))
        if findings:
            raise refused(findings)
        return self


def clashes(nodes: Iterable[object], sinks: Mapping[str, Any]) -> list[Finding]:
    """Every name that is used twice. Nodes and sinks share one namespace."""
    findings = []
    first: dict[object, int] = {}
    for index, name in enumerate(nodes):
        if not isinstance(name, str):
            continue
        if name in sinks:
            message = f"{name!r} is also the name of a sink"
        elif name in first:
            message = f"{name!r} is also the name of nodes[{first[name]}]"
        else:
            first[name] = index
            continue
        remedy = "Nodes and sinks share one namespace: give one of them another name."
        findings.append(Finding(path=("nodes", index, "name"), message=message, remedy=remedy))
    return findings
