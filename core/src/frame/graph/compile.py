"""From a pipeline file to a graph that can run: names become numbers, plugins are chosen, everything is checked."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from frame.config.models import PipelineConfig
from frame.config.positions import Path, Positions
from frame.config.problems import in_order
from frame.errors import ConfigError, Problem, UnusablePlugins
from frame.graph.faults import Fault
from frame.graph.forks import with_joins
from frame.graph.given import is_given
from frame.graph.model import Graph
from frame.graph.names import resolve
from frame.graph.nodes import Workshop, settings_of
from frame.graph.options import ReadSecret
from frame.graph.recorded import Fingerprint
from frame.graph.requirements import unmet
from frame.graph.schemas import flow_of
from frame.graph.selection import Plugins, Selected, Surroundings, no_secrets, reason, withheld
from frame.graph.validate import flow_faults, local_faults
from frame.plugin.protocols import Gate, Plugin

__all__ = ["Plugins", "compile_graph"]

P = TypeVar("P", bound=Plugin)
A = TypeVar("A")


def compile_graph(
    config: PipelineConfig,
    plugins: Plugins,
    positions: Positions | None = None,
    *,
    secrets: ReadSecret = no_secrets,
    fingerprint: Fingerprint = withheld,
    folder: str | None = None,
) -> Graph:
    """The graph that `config` describes, which a run can execute.

    `plugins`: where plugins are found. `positions`: where things stand in the file. `secrets`: the value of the
    secret of a name; LookupError if there is none. `fingerprint`: what the record shows of a secret's value.
    `folder`: where relative paths in options start.
    One instance of each plugin is made, asked what it needs and provides, and closed.

    Raises ConfigError with every problem that was found; UnusablePlugins, which is one, if all there is to do is
    to install, repair or choose plugins.
    """
    around = Surroundings(plugins, positions or Positions(), secrets, fingerprint, folder)
    return _Compilation(config, around).graph()


class _Compilation:
    def __init__(self, config: PipelineConfig, around: Surroundings) -> None:
        self.config, self.around = config, around
        self.names = resolve(config, around.positions)
        self.workshop = Workshop(self.names, around)
        self.steps = sorted(self.names.steps, key=lambda step: self.names.number[step.name])
        self.problems: list[tuple[Path, Problem]] = list(self.names.problems)

    def graph(self) -> Graph:
        try:
            nodes = tuple(self.workshop.node(step) for step in self.steps)
            graph = with_joins(Graph(self.config.name, nodes, (), settings_of(self.config.settings)))
            self.problems += self.workshop.problems
            self.check(graph)
        finally:
            self.close()
        if self.problems:
            raise self.error()
        return graph

    def check(self, graph: Graph) -> None:
        labels = self.ask(Gate, Gate.labels)
        required = self.ask(Plugin, Plugin.requires)
        self.note(local_faults(graph, lambda gate: labels.get(gate.number)))
        if not self.names.certain:
            return
        wrong = flow_faults(graph)
        self.note(wrong)
        if not wrong:
            flow = flow_of(
                graph, {number: each.instance for number, each in self.usable().items() if each.instance}
            )
            for number, error in flow.faults.items():
                self.blame_plugin(number, "cannot say what it provides", error)
            self.note(unmet(graph, required, flow))

    def usable(self) -> Mapping[int, Selected]:
        return {number: each for number, each in self.workshop.selected.items() if each.instance is not None}

    def ask(self, kind: type[P], question: Callable[[P], A]) -> dict[int, A]:
        """What the plugins of this kind answer, by node; one that fails gets a problem."""
        answers = {}
        for number, each in self.usable().items():
            if isinstance(each.instance, kind):
                try:
                    answers[number] = getattr(each.instance, question.__name__)()
                except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                    self.blame_plugin(number, f"failed in {question.__name__}()", error)
        return answers

    def close(self) -> None:
        """Close the plugins that were made here to be asked. They were never started, which they have to bear."""
        for number, each in self.usable().items():
            if each.instance is not None and each.ref is not None and not is_given(each.ref):
                try:
                    each.instance.close()
                except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                    self.blame_plugin(number, "failed in close(), before it was started", error)

    def blame_plugin(self, number: int, message: str, error: BaseException) -> None:
        each = self.workshop.selected[number]
        name = each.ref.name if each.ref else "?"
        text = each.quiet(f"plugin {name!r} {message}: {reason(error)}")
        self.note([Fault(number, (), text, "Correct its options, or tell the plugin's author.")])

    def note(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            path = (*self.steps[fault.node].path, *fault.place)
            self.problems.append((path, self.around.positions.problem(path, fault.message, fault.remedy)))

    def error(self) -> ConfigError:
        unusable = [
            problem for each in self.workshop.selected.values() if each.unusable for problem in each.problems
        ]
        kind = UnusablePlugins if len(unusable) == len(self.problems) else ConfigError
        return kind(in_order(self.problems))
