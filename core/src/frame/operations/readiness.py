"""Whether a new run could begin: every plugin looks at its inputs and outputs before anything is opened or made."""

from collections.abc import Iterator
from pathlib import Path

from frame.errors import ConfigError, PluginError, PluginFailed, Problem
from frame.graph.model import Graph, PluginRef, SinkNode
from frame.graph.names import Step, steps_of
from frame.operations.compile import Compiled
from frame.plugin.registry_source import FOREIGN_FAILURES


def check_ready(compiled: Compiled, audit_url: str) -> None:
    """Raises ConfigError with all that keeps a new run from beginning, PluginError if a plugin is at fault."""
    store = Path(audit_url.removeprefix("sqlite:///")).resolve()
    problems: list[Problem] = []
    for step, ref in _plugins(compiled.graph, steps_of(compiled.loaded.config)):
        problems += _unready(step, ref, compiled)
    for sink in compiled.graph.sinks:
        problems += _over_the_record(sink, store, compiled)
    if problems:
        raise ConfigError(problems)


def _plugins(graph: Graph, steps: list[Step]) -> Iterator[tuple[Step, PluginRef]]:
    for node, step in zip(graph.nodes, steps, strict=True):
        ref = getattr(node, "plugin", None)
        if ref is not None:
            yield step, ref


def _unready(step: Step, ref: PluginRef, compiled: Compiled) -> list[Problem]:
    try:
        ref.build().check()
    except ConfigError as error:
        return [
            _placed(compiled, step, problem.field, problem.message, problem.remedy)
            for problem in error.problems
        ]
    except PluginError:
        raise
    except ValueError as error:
        return [_placed(compiled, step, "", str(error), "")]
    except FOREIGN_FAILURES as error:
        cause = compiled.redactor.cause(error)
        raise PluginFailed(step.name, ref.name, "check", compiled.redactor.told(error)) from cause
    return []


def _placed(compiled: Compiled, step: Step, field: str, message: str, remedy: str) -> Problem:
    """The problem at the option that `field`, as the plugin wrote it, ends with."""
    option = field.rpartition("options.")[2]
    path = (*step.path, "options", option) if option else step.path
    quiet = compiled.redactor.text
    return compiled.loaded.positions.problem(path, quiet(message), quiet(remedy))


def _over_the_record(sink: SinkNode, store: Path, compiled: Compiled) -> Iterator[Problem]:
    path = sink.plugin.options.get("path")
    if not isinstance(path, str) or "\0" in path or Path(path).resolve() != store:
        return
    message = f"sink {sink.name!r} would replace the audit store {store}"
    at = ("sinks", sink.name, "options", "path")
    yield compiled.loaded.positions.problem(at, message, "Name another file.")
