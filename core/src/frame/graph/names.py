"""From names to numbers: where every way of a pipeline file leads, and the order of its nodes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from frame.config.fields import CONTINUE, DISCARD
from frame.config.models import (
    AggregationConfig,
    CoalesceConfig,
    GateConfig,
    LoopTarget,
    PipelineConfig,
    SinkConfig,
    SourceConfig,
    TransformConfig,
)
from frame.config.positions import Path, Positions
from frame.config.problems import near
from frame.errors import Problem
from frame.graph.order import graph_order
from frame.plugin.registry_names import near as near_names

SOURCE = "source"
"""What the source is called in the graph and in the record."""

StepConfig = SourceConfig | TransformConfig | GateConfig | AggregationConfig | CoalesceConfig | SinkConfig


@dataclass(frozen=True, slots=True)
class Step:
    """A source, node or sink as the file has it, and the place where it stands."""

    name: str
    path: Path
    config: StepConfig


def steps_of(config: PipelineConfig) -> list[Step]:
    """The source, the nodes and the sinks, in the order of the file."""
    return [
        Step(SOURCE, (SOURCE,), config.source),
        *(Step(node.name, ("nodes", index), node) for index, node in enumerate(config.nodes)),
        *(Step(name, ("sinks", name), sink) for name, sink in config.sinks.items()),
    ]


@dataclass(slots=True)
class Names:
    """Where names lead. `number`: of each step, by name; `meant`: for each target that is written, the step it means.

    `onward`: where rows go that a step just passes on; None for a sink, and where the file does not say it.
    `certain` is False when a target could not be told: then the ways of the graph are not those of the file.
    """

    steps: list[Step]
    number: dict[str, int] = field(default_factory=dict)
    meant: dict[str, str | None] = field(default_factory=dict)
    onward: dict[str, str | None] = field(default_factory=dict)
    problems: list[tuple[Path, Problem]] = field(default_factory=list)
    certain: bool = True

    def target(self, name: str) -> int:
        """The number of the step that the target `name` means; of a sink if that cannot be told."""
        return self.number[self.meant[name] or self.steps[-1].name]

    def fallback(self, name: str | None) -> int | None:
        """The number of the step that takes what a sink refuses; None if there is none, or if it cannot be told."""
        meant = None if name is None else self.meant[name]
        return None if meant is None else self.number[meant]

    def at(self, number: int) -> str:
        """The name of the step that has this number."""
        return next(name for name, other in self.number.items() if other == number)

    def next(self, step: Step) -> int | None:
        """The number of the step that rows go on to after `step`; None if nothing says so."""
        name = self.onward[step.name]
        return None if name is None else self.number[name]


def resolve(config: PipelineConfig, positions: Positions) -> Names:
    """What every name in `config` means, and a number for each step, in graph order."""
    steps = steps_of(config)
    names = Names(steps)
    known = {step.name for step in steps[1:]}
    for step in steps:
        for path, target in _targets(step.config):
            _mean(names, known, (*step.path, *path), target, positions)
    for index, step in enumerate(steps):
        names.onward[step.name] = _onward(names, index, positions, list(config.sinks))
    place = {step.name: index for index, step in enumerate(steps)}
    after = [[place[name] for name in _leads_to(names, step)] for step in steps]
    names.number = {steps[index].name: number for number, index in enumerate(graph_order(after))}
    return names


def _targets(config: StepConfig) -> Iterator[tuple[Path, str]]:
    """Every name that `config` gives as a target, with its place; words such as `discard` are none."""
    for path, target in _written(config):
        if target is not None and target not in (CONTINUE, DISCARD):
            yield path, target


def _written(config: StepConfig) -> Iterator[tuple[Path, str | None]]:
    match config:
        case SourceConfig():
            yield ("to",), config.to
            yield ("on_invalid",), config.on_invalid
        case SinkConfig():
            yield ("on_error",), config.on_error
        case CoalesceConfig():
            yield ("to",), config.to
        case TransformConfig() | GateConfig() | AggregationConfig():
            yield ("to",), config.to
            for index, clause in enumerate(config.error_clauses):
                yield ("on_error", index, "to"), clause.to
    if isinstance(config, GateConfig):
        for label, route in config.routes.items():
            match route:
                case str():
                    yield ("routes", label), route
                case LoopTarget():
                    yield ("routes", label, "to"), route.to
                case _:
                    yield from ((("routes", label, index), name) for index, name in enumerate(route))


def _mean(names: Names, known: set[str], path: Path, target: str, positions: Positions) -> None:
    if target in known:
        names.meant[target] = target
        return
    if target == SOURCE:
        message, suggestions = "rows cannot go to the source", []
    else:
        message, suggestions = (
            f"there is no node or sink {target!r}{near(target, sorted(known))}",
            near_names(target, known),
        )
    remedy = "Name a node, a sink, or discard." if path[-1] != "to" else "Name a node or a sink."
    names.problems.append((path, positions.problem(path, message, remedy)))
    # Taking the nearest name as meant lets the rest of the file be checked, too.
    names.meant[target] = suggestions[0] if suggestions else None
    names.certain = names.certain and bool(suggestions)


def _onward(names: Names, index: int, positions: Positions, sinks: list[str]) -> str | None:
    """Where rows go after step number `index` of the file, unless a route says otherwise."""
    step = names.steps[index]
    if isinstance(step.config, SinkConfig):
        return None
    if step.config.to is not None:
        if isinstance(step.config, GateConfig) and not _continues(step.config):
            path = (*step.path, "to")
            message = "says what `continue` means, and no route of this gate continues"
            problem = positions.problem(
                path, message, "Take it out, or let a route be `continue`.", at_key=True
            )
            names.problems.append((path, problem))
        return names.meant[step.config.to] or sinks[0]
    after = names.steps[index + 1]
    if not isinstance(after.config, SinkConfig):
        return after.name
    if len(sinks) == 1:
        return sinks[0]
    if not isinstance(step.config, GateConfig) or _continues(step.config):
        _ask_where(names, step, positions, sinks)
        return sinks[0]
    return None


def _ask_where(names: Names, step: Step, positions: Positions, sinks: list[str]) -> None:
    who = "the source" if step.name == SOURCE else repr(step.name)
    message = f"nothing says where rows go after {who}: no node follows it, and there are {len(sinks)} sinks"
    remedy = f"Give it a `to`: {' or '.join(sinks)}."
    names.problems.append((step.path, positions.problem(step.path, message, remedy)))
    names.certain = False


def _continues(gate: GateConfig) -> bool:
    return any(
        route == CONTINUE or (isinstance(route, tuple) and CONTINUE in route)
        for route in gate.routes.values()
    )


def _leads_to(names: Names, step: Step) -> set[str]:
    """The names of the steps that rows can go to from `step`."""
    targets = {names.meant[target] for path, target in _targets(step.config) if path != ("to",)}
    if not isinstance(step.config, GateConfig) or _continues(step.config):
        targets.add(names.onward[step.name])
    if isinstance(step.config, SinkConfig):
        # Sinks come last, whatever they name; that refused rows go only to sinks is checked later.
        targets &= {other.name for other in names.steps if isinstance(other.config, SinkConfig)}
    return {target for target in targets if target is not None}
