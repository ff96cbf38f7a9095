"""The pipeline file as models: what each key may hold, and what can be checked without plugins or graph.

A pipeline can be built from these in code, too: there `plugin` also takes a plugin class or an instance.
Targets are names: whether there is such a node, and whether one can get there, is the graph's business.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from frame.config.fields import (
    CONTINUE,
    DISCARD,
    ChosenPlugin,
    FileModel,
    Filled,
    Finding,
    Flag,
    LongerThanNone,
    Name,
    NotNegative,
    Options,
    Positive,
    Target,
    Text,
    Version,
    Whole,
    refused,
    wrong,
)
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


class _WithPlugin(FileModel):
    plugin: ChosenPlugin = Field(
        description="The plugin's name, as in csv, or files.csv where two packages offer one."
    )
    options: Options = Field(default_factory=dict, description="The plugin's own options.")

    @model_validator(mode="after")
    def _options_once(self) -> Self:
        if findings := list(_options_twice(self.plugin, self.options)):
            raise refused(findings)
        return self


def _options_twice(plugin: object, options: Mapping[str, Any]) -> Iterable[Finding]:
    if options and not isinstance(plugin, str | type | None):
        message = "this plugin was configured in code, so options cannot be given again"
        yield Finding(path=("options",), message=message, remedy="Give the class, or drop options.")


# --- Source -------------------------------------------------------------------------------------------------


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


class SourceConfig(_WithPlugin):
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
        findings = list(_no_word("to", self.to, (CONTINUE, DISCARD)))
        findings += _no_word("on_invalid", self.on_invalid, (CONTINUE,))
        if findings:
            raise refused(findings)
        return self


def _no_word(key: str, target: str | None, words: tuple[str, ...]) -> Iterable[Finding]:
    if target in words:
        yield Finding(path=(key,), message=f"{key} cannot be {target!r}", remedy="Name where the rows go.")


# --- Nodes --------------------------------------------------------------------------------------------------


class _Named(FileModel):
    name: Name = Field(description="What the node is called, in this file and in the record.")


class _Onwards(FileModel):
    to: Target | None = Field(
        default=None,
        description="The node or sink that rows go to (for a gate: what continue means); "
        "absent: the next node, or after the last one the only sink.",
    )

    @model_validator(mode="after")
    def _to_a_place(self) -> Self:
        if findings := list(_no_word("to", self.to, (CONTINUE, DISCARD))):
            raise refused(findings)
        return self


class TransformConfig(_Onwards, CallPolicyConfig, _WithPlugin, _Named):
    """A transform: each row becomes a row, several rows, or none."""


class LoopTarget(FileModel):
    """A route back to an earlier node."""

    to: Target = Field(description="The node that rows go back to.")
    max: Positive = Field(default=DEFAULT_LOOP_MAX, description="How often one row may take this route.")

    @model_validator(mode="after")
    def _to_a_node(self) -> Self:
        if findings := list(_no_word("to", self.to, (CONTINUE, DISCARD))):
            raise refused(findings)
        return self


def _is_fork(targets: tuple[str, ...]) -> tuple[str, ...]:
    if len(targets) < 2:
        raise wrong(
            "a fork has at least two branches", "Name the one target without brackets, or add a branch."
        )
    seen: set[str] = set()
    findings = []
    for index, target in enumerate(targets):
        if target == DISCARD:
            remedy = "Take it out: the other branches make the fork."
            findings.append(
                Finding(path=(index,), message="a branch of a fork cannot be 'discard'", remedy=remedy)
            )
        if target in seen:
            remedy = "Each branch goes to another place."
            findings.append(Finding(path=(index,), message=f"the fork names {target!r} twice", remedy=remedy))
        seen.add(target)
    if findings:
        raise refused(findings)
    return targets


ONE, FORK, LOOP = "<one>", "<fork>", "<loop>"


def _route_shape(value: object) -> str | None:
    if isinstance(value, str):
        return ONE
    if isinstance(value, list | tuple):
        return FORK
    return LOOP if isinstance(value, Mapping | LoopTarget) else None


RouteTarget = Annotated[
    Annotated[Target, Tag(ONE)]
    | Annotated[tuple[Target, ...], AfterValidator(_is_fork), Tag(FORK)]
    | Annotated[LoopTarget, Tag(LOOP)],
    Discriminator(
        _route_shape,
        custom_error_type="shape",
        custom_error_message="should be continue, discard, a name, a list of names (a fork), or "
        "{to: NAME, max: N} (a loop)",
    ),
]
"""Where a label leads: a name, `continue` or `discard`; several names, a fork; or a `LoopTarget`."""


class GateConfig(_Onwards, CallPolicyConfig, _Named):
    """A gate: decides where each row goes, by a CEL expression or by a plugin, and never changes it."""

    gate: Filled | None = Field(default=None, description="A CEL expression over row; give this or plugin.")
    plugin: ChosenPlugin | None = Field(default=None, description="A gate plugin's name; give this or gate.")
    options: Options = Field(default_factory=dict, description="The plugin's own options.")
    routes: dict[Filled, RouteTarget] = Field(
        description="What each label leads to: continue, discard, a node, a sink, several of these (a fork), "
        "or {to: NODE, max: N} (a loop). An expression that is true or false has those two labels."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        findings = []
        if (self.gate is None) == (self.plugin is None):
            message = "a gate has either an expression (gate) or a plugin"
            findings.append(Finding(path=(), message=message, remedy="Give one of them."))
        if not self.routes:
            remedy = 'Say where each label leads, as in {"true": continue, "false": discard}.'
            message = "a gate needs at least one route"
            findings.append(Finding(path=("routes",), message=message, remedy=remedy))
        if self.gate is not None and self.options:
            message, remedy = "an expression has no options", "Take options out: they belong to plugins."
            findings.append(Finding(path=("options",), message=message, remedy=remedy, at_key=True))
        findings += _options_twice(self.plugin, self.options)
        if findings:
            raise refused(findings)
        return self


class AggregateConfig(_WithPlugin):
    """What gathers rows and what becomes of them."""

    mode: Literal["transform", "passthrough"] = Field(
        default="transform",
        description="transform: a batch becomes new rows. passthrough: its rows go on, enriched.",
    )
    expect: NotNegative | None = Field(
        default=None, description="How many rows every batch must give; absent: any number."
    )

    @model_validator(mode="after")
    def _expects_what_it_can(self) -> Self:
        if self.mode == "passthrough" and self.expect is not None:
            message = "in mode passthrough a batch gives as many rows as it took, so nothing can be expected"
            raise refused(
                [Finding(path=("expect",), message=message, remedy="Take expect out.", at_key=True)]
            )
        return self


class TriggerConfig(FileModel):
    """When a batch is complete: whatever comes first."""

    count: Positive | None = Field(default=None, description="At so many rows.")
    after: LongerThanNone | None = Field(default=None, description="This long after the first row.")
    when: Filled | None = Field(
        default=None, description="When this CEL expression over batch.count and batch.age (s) is true."
    )
    at_end: Flag = Field(
        default=True,
        description="Also at the end of the source; false: the rows of a batch that is open then fail.",
    )

    @model_validator(mode="after")
    def _can_fire(self) -> Self:
        if not self.at_end and self.count is None and self.after is None and self.when is None:
            message = "this trigger can never fire"
            raise refused([Finding(path=("at_end",), message=message, remedy="Add count, after or when.")])
        return self


class AggregationConfig(_Onwards, CallPolicyConfig, _Named):
    """An aggregation: gathers rows into batches."""

    aggregate: AggregateConfig = Field(description="The plugin that gathers rows, and how.")
    trigger: TriggerConfig = Field(
        default=TriggerConfig(),
        description="When a batch is complete; absent: at the end of the source.",
    )


class MergeConfig(FileModel):
    """How the branches of a fork become one row again."""

    policy: Literal["require_all", "quorum", "best_effort", "first"] = Field(
        default="require_all",
        description="require_all: when every branch is in. quorum: when `quorum` branches are in. "
        "best_effort: when all are in or lost, or at the timeout. first: at once.",
    )
    quorum: Positive | None = Field(
        default=None, description="How many branches are enough; for policy quorum."
    )
    timeout: LongerThanNone | None = Field(
        default=None, description="How long to wait after the first branch; policy best_effort needs one."
    )
    merge: Literal["union", "nested", "select"] = Field(
        default="union",
        description="union: all fields of all branches. nested: {branch: row}. select: one branch's row.",
    )
    select: Target | None = Field(
        default=None, description="The branch whose row is taken; for merge select."
    )
    on_collision: Literal["last", "first", "fail"] = Field(
        default="last", description="Which branch wins when two have a field; for merge union."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        findings = [
            *_needs("policy", self.policy, "quorum", "quorum", self.quorum),
            *_needs("merge", self.merge, "select", "select", self.select),
        ]
        if self.policy == "best_effort" and self.timeout is None:
            remedy = "Add timeout, as in `timeout: 30s`."
            findings.append(
                Finding(path=("policy",), message="policy best_effort needs timeout", remedy=remedy)
            )
        if self.merge != "union" and self.on_collision != "last":
            message = f"on_collision goes with merge union, and merge is {self.merge}"
            remedy = "Take on_collision out, or choose merge union."
            findings.append(Finding(path=("on_collision",), message=message, remedy=remedy, at_key=True))
        if findings:
            raise refused(findings)
        return self


def _needs(key: str, chosen: str, choice: str, companion: str, value: object) -> Iterable[Finding]:
    """Findings unless `companion` is there exactly when `key` is `choice`."""
    if chosen == choice and value is None:
        yield Finding(path=(key,), message=f"{key} {choice} needs {companion}", remedy=f"Add {companion}.")
    if chosen != choice and value is not None:
        message = f"{companion} goes with {key} {choice}, and {key} is {chosen}"
        remedy = f"Take {companion} out, or choose {key} {choice}."
        yield Finding(path=(companion,), message=message, remedy=remedy, at_key=True)


class CoalesceConfig(_Onwards, _Named):
    """A coalesce: joins the branches of one fork again."""

    coalesce: MergeConfig = Field(description="When and how the branches become one row.")


TRANSFORM, GATE, AGGREGATION, COALESCE = "<transform>", "<gate>", "<aggregation>", "<coalesce>"
KIND_KEYS = {"plugin": TRANSFORM, "gate": GATE, "aggregate": AGGREGATION, "coalesce": COALESCE}
_TAGS: dict[type[FileModel], str] = {
    TransformConfig: TRANSFORM,
    GateConfig: GATE,
    AggregationConfig: AGGREGATION,
    CoalesceConfig: COALESCE,
}


def node_kind(value: object) -> str | None:
    """Which kind of node `value` describes; None unless exactly one of the keys that say so is there."""
    if not isinstance(value, Mapping):
        return next((tag for model, tag in _TAGS.items() if isinstance(value, model)), None)
    named = [tag for key, tag in KIND_KEYS.items() if key in value]
    chosen = [tag for key, tag in KIND_KEYS.items() if value.get(key) is not None] or named
    if len(chosen) != 1:
        return None
    if chosen == [TRANSFORM] and ("routes" in value or getattr(value["plugin"], "kind", None) == "gate"):
        return GATE
    return chosen[0]


NodeConfig = Annotated[
    Annotated[TransformConfig, Tag(TRANSFORM)]
    | Annotated[GateConfig, Tag(GATE)]
    | Annotated[AggregationConfig, Tag(AGGREGATION)]
    | Annotated[CoalesceConfig, Tag(COALESCE)],
    Discriminator(node_kind, custom_error_type="node_kind", custom_error_message="is no node"),
]


# --- Sinks and the rest -------------------------------------------------------------------------------------


class SinkConfig(_WithPlugin):
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
        default="inline",
        description="Whether commits are written by the thread that runs the pipeline, or by one beside it.",
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
