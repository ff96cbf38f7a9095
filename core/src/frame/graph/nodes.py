"""The nodes of a graph, made from the steps of a pipeline file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from frame.config.fields import CONTINUE, DISCARD, PluginChoice
from frame.config.models import (
    DEFAULT_LOOP_MAX,
    AggregationConfig,
    CallPolicyConfig,
    CoalesceConfig,
    GateConfig,
    LoopTarget,
    RetryConfig,
    RouteTarget,
    SettingsConfig,
    SinkConfig,
    SourceConfig,
    TransformConfig,
)
from frame.config.positions import Path
from frame.errors import Problem
from frame.expressions import Expression
from frame.graph.model import (
    AggregationNode,
    AnyNode,
    BatchMode,
    Branch,
    Breaker,
    CallPolicy,
    CoalesceNode,
    Destination,
    Discard,
    ErrorClause,
    Fork,
    GateNode,
    MergeHow,
    MergePolicy,
    OnCollision,
    PluginRef,
    RateLimit,
    Retry,
    RunSettings,
    SchemaMode,
    SinkNode,
    SourceNode,
    To,
    TransformNode,
    Trigger,
)
from frame.graph.names import Names, Step
from frame.graph.selection import Selected, Surroundings, missing, select
from frame.plugin.protocols import Kind
from frame.plugin.schema import FieldType, parse_field_type


@dataclass(slots=True)
class Workshop:
    """Makes the nodes of one pipeline, and keeps what it finds wrong with them.

    `selected`: the plugin of each step that has one, by the step's number.
    """

    names: Names
    around: Surroundings
    selected: dict[int, Selected] = field(default_factory=dict)
    problems: list[tuple[Path, Problem]] = field(default_factory=list)

    def node(self, step: Step) -> AnyNode:
        """The node that `step` describes. Where something is wrong with it, a makeshift with its number and name."""
        match step.config:
            case SourceConfig():
                return self._source(step, step.config)
            case TransformConfig():
                return self._transform(step, step.config)
            case GateConfig():
                return self._gate(step, step.config)
            case AggregationConfig():
                return self._aggregation(step, step.config)
            case CoalesceConfig():
                return self._coalesce(step, step.config)
            case SinkConfig():
                return self._sink(step, step.config)

    # --- One kind after the other -----------------------------------------------------------------------------

    def _source(self, step: Step, config: SourceConfig) -> SourceNode:
        return SourceNode(
            number=self.names.number[step.name],
            name=step.name,
            plugin=self._plugin(step, Kind.SOURCE, config.plugin, config.options, ("plugin",)),
            mode=SchemaMode(config.row_schema.mode),
            fields=self._fields(step, config.row_schema.fields),
            normalize=config.normalize,
            on_invalid=None
            if config.on_invalid is None
            else self._end_or_move(step, config.on_invalid, None),
            to=self._onward(step),
        )

    def _transform(self, step: Step, config: TransformConfig) -> TransformNode:
        return TransformNode(
            number=self.names.number[step.name],
            name=step.name,
            plugin=self._plugin(step, Kind.TRANSFORM, config.plugin, config.options, ("plugin",)),
            policy=policy_of(config, step.name),
            on_error=self._clauses(step, config),
            to=self._onward(step),
        )

    def _gate(self, step: Step, config: GateConfig) -> GateNode:
        plugin = expression = None
        if config.plugin is not None:
            plugin = self._plugin(step, Kind.GATE, config.plugin, config.options, ("plugin",))
        if config.gate is not None:
            expression = self._expression(step, ("gate",), config.gate, ("row",))
        onward = self.names.next(step)
        return GateNode(
            number=self.names.number[step.name],
            name=step.name,
            plugin=plugin,
            expression=expression,
            routes={label: self._route(step, route) for label, route in config.routes.items()},
            policy=policy_of(config, step.name),
            on_error=self._clauses(step, config),
            next=-1 if onward is None else onward,
        )

    def _aggregation(self, step: Step, config: AggregationConfig) -> AggregationNode:
        chosen, trigger = config.aggregate, config.trigger
        when = None
        if trigger.when is not None:
            when = self._expression(step, ("trigger", "when"), trigger.when, ("batch",))
        return AggregationNode(
            number=self.names.number[step.name],
            name=step.name,
            plugin=self._plugin(
                step, Kind.AGGREGATION, chosen.plugin, chosen.options, ("aggregate", "plugin")
            ),
            trigger=Trigger(trigger.count, _seconds(trigger.after), when, trigger.at_end),
            mode=BatchMode(chosen.mode),
            expect=chosen.expect,
            policy=policy_of(config, step.name),
            on_error=self._clauses(step, config),
            to=self._onward(step),
        )

    def _coalesce(self, step: Step, config: CoalesceConfig) -> CoalesceNode:
        merge = config.coalesce
        return CoalesceNode(
            number=self.names.number[step.name],
            name=step.name,
            policy=MergePolicy(merge.policy),
            quorum=merge.quorum,
            timeout_s=_seconds(merge.timeout),
            how=MergeHow(merge.merge),
            on_collision=OnCollision(merge.on_collision),
            select=merge.select,
            to=self._onward(step),
        )

    def _sink(self, step: Step, config: SinkConfig) -> SinkNode:
        return SinkNode(
            number=self.names.number[step.name],
            name=step.name,
            plugin=self._plugin(step, Kind.SINK, config.plugin, config.options, ("plugin",)),
            policy=CallPolicy(retry=_retry(config.retry), timeout_s=_seconds(config.timeout)),
            on_error=self.names.fallback(config.on_error),
            error_field=config.error_field,
            headers_original=config.headers == "original",
        )

    # --- What they are made of --------------------------------------------------------------------------------

    def _plugin(
        self, step: Step, kind: Kind, choice: PluginChoice, options: Mapping[str, object], at: Path
    ) -> PluginRef:
        selected = select(choice, kind, dict(options), (*step.path, *at), self.around)
        self.selected[self.names.number[step.name]] = selected
        self.problems += selected.problems
        return selected.ref or missing(kind)

    def _fields(self, step: Step, written: Mapping[str, str]) -> dict[str, FieldType]:
        fields = {}
        for name, text in written.items():
            try:
                fields[name] = parse_field_type(text)
            except ValueError as error:
                self._wrong(
                    step,
                    ("schema", "fields", name),
                    str(error),
                    "Write a type as in int, str? or list[float].",
                )
        return fields

    def _expression(
        self, step: Step, place: Path, source: str, variables: tuple[str, ...]
    ) -> Expression | None:
        try:
            return Expression.compile(source, variables)
        except ValueError as error:
            self._wrong(step, place, str(error), f"Write a CEL expression over {' and '.join(variables)}.")
            return None

    def _onward(self, step: Step) -> To:
        target = self.names.next(step)
        assert target is not None, step.name
        return self._move(step, target, None)

    def _move(self, step: Step, target: int, most: int | None) -> To:
        back = target <= self.names.number[step.name]
        return To(target, most or DEFAULT_LOOP_MAX if back else most)

    def _end_or_move(self, step: Step, target: str, most: int | None) -> To | Discard:
        return Discard() if target == DISCARD else self._move(step, self.names.target(target), most)

    def _route(self, step: Step, route: RouteTarget) -> Destination:
        match route:
            case str() if route == CONTINUE:
                return self._onward(step)
            case str():
                return self._end_or_move(step, route, None)
            case LoopTarget():
                return self._end_or_move(step, route.to, route.max)
            case _:
                return Fork(tuple(self._branch(step, name) for name in route))

    def _branch(self, step: Step, name: str) -> Branch:
        to = self._onward(step) if name == CONTINUE else self._move(step, self.names.target(name), None)
        return Branch(self.names.at(to.node), to)

    def _clauses(self, step: Step, config: CallPolicyConfig) -> tuple[ErrorClause, ...]:
        clauses = []
        for index, clause in enumerate(config.error_clauses):
            when = None
            if clause.when is not None:
                when = self._expression(step, ("on_error", index, "when"), clause.when, ("error", "row"))
            clauses.append(ErrorClause(self._end_or_move(step, clause.to, clause.max), when))
        return tuple(clauses)

    def _wrong(self, step: Step, place: Path, message: str, remedy: str) -> None:
        path = (*step.path, *place)
        self.problems.append((path, self.around.positions.problem(path, message, remedy)))


# --- Policies -------------------------------------------------------------------------------------------------


def policy_of(config: CallPolicyConfig, name: str) -> CallPolicy:
    """How the plugin of the node called `name` is called."""
    breaker, limit = config.breaker, config.rate_limit
    return CallPolicy(
        retry=_retry(config.retry),
        timeout_s=_seconds(config.timeout),
        breaker=None if breaker is None else Breaker(breaker.failures, breaker.recovery.total_seconds()),
        wait_for_breaker=config.wait_for_breaker,
        rate_limit=None
        if limit is None
        else RateLimit(limit.rate.calls, limit.rate.per_s, limit.service or name),
        concurrency=config.concurrency,
    )


def _retry(config: RetryConfig | None) -> Retry:
    if config is None:
        return Retry()
    return Retry(config.attempts, config.wait.total_seconds(), config.max_wait.total_seconds(), config.jitter)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def settings_of(config: SettingsConfig) -> RunSettings:
    """How a run of the graph goes about its work."""
    return RunSettings(
        chunk_rows=config.chunk_rows,
        max_latency_s=config.max_latency.total_seconds(),
        seed=config.seed,
        abort_on_error=config.abort_on_error,
        payloads=config.payloads == "all",
    )
