"""The plugin of a node: chosen by name or given in code, with its options, and one instance to ask."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from pydantic import BaseModel

from frame.config.fields import PluginChoice
from frame.config.positions import Path, Positions
from frame.errors import PluginError, Problem
from frame.graph.given import Given
from frame.graph.model import PluginRef
from frame.graph.options import Options, ReadSecret, check_options
from frame.graph.recorded import Fingerprint, recorded
from frame.plugin.protocols import Determinism, Kind, Plugin, Sink, Transform
from frame.plugin.registry_found import Found


class Plugins(Protocol):
    """What is asked of a registry."""

    def find(self, kind: Kind, name: str) -> Found:
        """The plugin of this kind and name. Raises PluginError."""
        ...

    def identify(self, plugin: type[Plugin]) -> Found:
        """A class that was given in code, with the distribution that it comes from. Raises PluginError."""
        ...


def no_secrets(name: str) -> str:
    """There are none."""
    raise LookupError(name)


def withheld(secret: str) -> str:
    """What stands for a secret where nothing is recorded, so that none has to be told from another."""
    return "withheld"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What plugins are chosen from, and what their options may refer to."""

    plugins: Plugins
    positions: Positions
    read_secret: ReadSecret = no_secrets
    fingerprint: Fingerprint = withheld
    folder: str | None = None


@dataclass(slots=True)
class Selected:
    """What came of choosing a node's plugin: `ref` and `instance` are set unless there are `problems`.

    `unusable`: the plugin itself could not be had, whatever its options. `quiet`: takes secrets out of a text.
    """

    ref: PluginRef | None = None
    instance: Plugin | None = None
    problems: list[tuple[Path, Problem]] = field(default_factory=list)
    unusable: bool = False
    quiet: Callable[[str], str] = str


def select(
    choice: PluginChoice, kind: Kind, written: dict[str, Any], plugin_at: Path, around: Surroundings
) -> Selected:
    """The plugin that `choice` means, configured with the options `written` beside it; `plugin_at` is its place."""
    selected = Selected()
    try:
        found = _found(choice, kind, around.plugins)
    except PluginError as error:
        selected.unusable = True
        _note(selected, around, plugin_at, _explained(error), "")
        return selected
    if found.kind is not kind:
        message = f"{found.name!r} is a {found.kind}, and here stands a {kind}"
        _note(selected, around, plugin_at, message, f"Choose a {kind}.")
        return selected
    options_at = (*plugin_at[:-1], "options")
    if not isinstance(choice, str | type):
        _use_given(selected, found, choice, around)
    else:
        options = check_options(found.plugin.Config, written, around.read_secret, around.folder)
        selected.unusable = bool(options.faults) and all(fault.of_a_plugin for fault in options.faults)
        for fault in options.faults:
            path = (*options_at, *fault.path)
            problem = around.positions.problem(path, fault.message, fault.remedy, at_key=fault.at_key)
            selected.problems.append((path, problem))
        if not options.faults:
            _make(selected, found, options, options_at, around)
    return selected


def _found(choice: PluginChoice, kind: Kind, plugins: Plugins) -> Found:
    if isinstance(choice, str):
        return plugins.find(kind, choice)
    plugin: Any = choice if isinstance(choice, type) else type(choice)
    return plugins.identify(plugin)


def _explained(error: PluginError) -> str:
    return f"{str(error)[:1].lower()}{str(error)[1:]}"


def _use_given(selected: Selected, found: Found, choice: object, around: Surroundings) -> None:
    assert isinstance(choice, Plugin)
    config = getattr(choice, "config", None)
    shown = recorded(config, around.fingerprint) if isinstance(config, BaseModel) else {}
    selected.instance = choice
    selected.ref = _ref(found, choice, shown, Given(choice))


def _make(selected: Selected, found: Found, options: Options, options_at: Path, around: Surroundings) -> None:
    build = partial(found.plugin, options.config)
    selected.quiet = options.quiet
    try:
        selected.instance = build()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        message = f"plugin {found.name!r} refused its options: {reason(error)}"
        _note(
            selected,
            around,
            options_at,
            options.quiet(message),
            "Correct the options; the plugin's page shows them.",
        )
        return
    selected.ref = _ref(found, selected.instance, recorded(options.config, around.fingerprint), build)


def reason(error: BaseException) -> str:
    """What a plugin says is wrong; a ValueError is its way of saying so, anything else is named."""
    return str(error) if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: {error}"


def _ref(found: Found, instance: Plugin, options: dict[str, Any], build: Callable[[], Plugin]) -> PluginRef:
    """The plugin as it is pinned. What an instance says of itself may follow from its options."""
    return PluginRef(
        kind=found.kind.value,
        name=found.name,
        package=found.package,
        distribution=found.distribution,
        version=found.version,
        record_sha256=found.record_sha256,
        api=found.api,
        determinism=instance.determinism,
        options=options,
        build=build,
        expands=isinstance(instance, Transform) and instance.expands,
        delivery=instance.delivery.value if isinstance(instance, Sink) else None,
    )


def _note(selected: Selected, around: Surroundings, path: Path, message: str, remedy: str) -> None:
    selected.problems.append((path, around.positions.problem(path, message, remedy)))


def _no_build() -> Plugin:
    raise LookupError("this plugin could not be had")


def missing(kind: Kind) -> PluginRef:
    """What stands in a graph that is being checked for a plugin that could not be had."""
    return PluginRef(kind.value, "", "", "", "", "", 0, Determinism.DETERMINISTIC, {}, _no_build)
