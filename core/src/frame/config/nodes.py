"""The nodes of a pipeline file, one model a kind, told apart by the key that names the kind."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

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
    NotNegative,
    Options,
    Positive,
    Target,
    refused,
    wrong,
)
from frame.config.places import WithName, WithPlugin, WithTarget, not_a_word, options_twice
from frame.config.policies import DEFAULT_LOOP_MAX, CallPolicyConfig


class TransformConfig(WithTarget, CallPolicyConfig, WithPlugin, WithName):
    """A transform: each row becomes a row, several rows, or none."""


class LoopTarget(FileModel):
    """A route back to an earlier node."""

    to: Target = Field(description="The node that rows go back to.")
    max: Positive = Field(default=DEFAULT_LOOP_MAX, description="How often one row may take this route.")

    @model_validator(mode="after")
    def _to_a_node(self) -> Self:
        if findings := list(not_a_word("to", self.to, (CONTINUE, DISCARD))):
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


class GateConfig(WithTarget, CallPolicyConfig, WithName):
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
        findings += options_twice(self.plugin, self.options)
        if findings:
            raise refused(findings)
        return self


class AggregateConfig(WithPlugin):
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


class AggregationConfig(WithTarget, CallPolicyConfig, WithName):
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
        default=None, description="How long to wait after the fork; policy best_effort needs one."
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


class CoalesceConfig(WithTarget, WithName):
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
