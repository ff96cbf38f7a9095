"""Whether a class keeps the promises of its kind, as far as looking at it can tell."""

import re
from collections.abc import Iterator, Sequence

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

SUPPORTED_APIS = frozenset({PLUGIN_API})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

BASES: dict[Kind, type[Plugin]] = {
    Kind.SOURCE: Source,
    Kind.TRANSFORM: Transform,
    Kind.GATE: Gate,
    Kind.AGGREGATION: Aggregation,
    Kind.SINK: Sink,
}

_WORK: dict[Kind, tuple[tuple[str, ...], ...]] = {
    Kind.SOURCE: (("read",),),
    Kind.TRANSFORM: (("process", "process_many"),),
    Kind.GATE: (("evaluate",),),
    Kind.AGGREGATION: (("accept",), ("flush",)),
    Kind.SINK: (("write",),),
}
"""The methods a kind has to define; of those in one tuple, any one will do."""


def violations(plugin: object, kind: Kind) -> Sequence[str]:
    """What keeps `plugin` from being used as a plugin of `kind`; empty when nothing does."""
    if not isinstance(plugin, type):
        return [f"{plugin!r} is not a class"]
    if not issubclass(plugin, BASES[kind]):
        actual = next((other for other, base in BASES.items() if issubclass(plugin, base)), None)
        is_what = (
            f"is a {actual}" if actual else f"is no plugin: subclass frame.plugin.{BASES[kind].__name__}"
        )
        return [f"{plugin.__qualname__} is offered as a {kind} and {is_what}"]
    return [f"{plugin.__qualname__} {fault}" for fault in _faults(plugin, kind)]


def _faults(plugin: type[Plugin], kind: Kind) -> Iterator[str]:
    if plugin.kind is not kind:
        yield f"says kind = {plugin.kind!r}; leave `kind` to its base class"
    name = getattr(plugin, "name", None)
    if name is None:
        yield 'has no name: add name = "..."'
    elif not isinstance(name, str) or not NAME.fullmatch(name):
        yield f"has the name {name!r}; a name is letters, digits, _ and -, and begins with a letter or _"
    if not isinstance(getattr(plugin, "determinism", None), Determinism):
        yield "does not say its determinism: add determinism = Determinism.DETERMINISTIC, or what is true"
    config: object = plugin.Config
    if not (isinstance(config, type) and issubclass(config, PluginConfig)):
        yield "has a Config that is no subclass of frame.plugin.PluginConfig"
    if plugin.api not in SUPPORTED_APIS:
        yield f"is written for plugin API {plugin.api!r}; this frame has {_listed(SUPPORTED_APIS)}"
    delivery: object = getattr(plugin, "delivery", None)
    if kind is Kind.SINK and not isinstance(delivery, Delivery):
        yield f"has delivery = {delivery!r}, which is no frame.plugin.Delivery"
    for methods in _WORK[kind]:
        if not any(_defines(plugin, method, BASES[kind]) for method in methods):
            yield f"does not define {' or '.join(methods)}"


def _defines(plugin: type[Plugin], method: str, base: type[Plugin]) -> bool:
    return getattr(plugin, method, None) is not getattr(base, method, None)


def _listed(apis: frozenset[int]) -> str:
    return ", ".join(str(api) for api in sorted(apis))
