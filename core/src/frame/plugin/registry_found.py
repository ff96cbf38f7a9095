"""A plugin that has been chosen: its class, checked, and what pins it in the record."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from frame.errors import FrameBug, PluginBroken
from frame.plugin.capabilities import Capabilities
from frame.plugin.manifest_file import FILE
from frame.plugin.protocols import Delivery, Determinism, Kind, Plugin, kind_of
from frame.plugin.registry_check import violations
from frame.plugin.registry_package import LOCAL, Known, Package
from frame.plugin.registry_source import FOREIGN_FAILURES

if TYPE_CHECKING:
    from frame.plugin.manifest import Entry


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin class that has been chosen and checked, and what pins it in the record.

    `record_sha256`: see frame.plugin.registry_identity. A class that no distribution offers is in the package
    "local", has "" for `distribution` and `version`, and the hash of its source ("" when it cannot be read).
    """

    kind: Kind
    name: str
    plugin: type[Plugin]
    package: str
    distribution: str
    version: str
    record_sha256: str
    api: int

    @property
    def qualified(self) -> str:
        """The name that means this plugin and no other, as in `files.csv`."""
        return f"{self.package}.{self.name}"


def checked(package: Package, known: Known) -> Found:
    """The class that `known` leads to, if it keeps its promises. Raises PluginBroken."""
    offer, name = known.offer, known.name
    try:
        plugin = offer.load()
    except FOREIGN_FAILURES as error:
        raise package.broken(package.trouble_with(error, f"importing {offer.reference}").cause) from error
    faults = violations(plugin, offer.kind)
    if faults:
        raise package.broken("; ".join(faults))
    if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
        raise FrameBug(f"{offer.reference} passed the check and is no plugin")
    if plugin.name != name:
        raise package.broken(
            f"{offer.reference} is called {name!r} in {_where(known)} and {plugin.name!r} when imported"
        )
    differing = [] if known.entry is None else list(_differing(known.entry, plugin))
    if differing:
        raise package.broken(f"{FILE} does not say of {name!r} what its class says: {'; '.join(differing)}")
    pin = (package.name, package.distribution, package.version, package.record_sha256)
    return Found(offer.kind, name, plugin, *pin, plugin.api)


def _where(known: Known) -> str:
    return "its source" if known.entry is None else FILE


def _differing(entry: "Entry", plugin: type[Plugin]) -> Iterator[str]:
    """What the manifest says of a plugin that its class does not."""
    says = _facts(entry.determinism, entry.delivery, entry.capabilities)
    is_so = _facts(plugin.determinism, getattr(plugin, "delivery", None), plugin.capabilities)
    for what in says | is_so:
        if says.get(what) != is_so.get(what):
            yield f"{what} is {is_so.get(what)}, not {says.get(what)}"


def _facts(
    determinism: Determinism, delivery: Delivery | None, capabilities: Capabilities | None
) -> dict[str, object]:
    declared = {} if capabilities is None else capabilities.facts()
    return {"determinism": determinism, "delivery": delivery, **declared}


def own(plugin: type[Plugin]) -> Found:
    """A class that no distribution offers, if it keeps its promises. Raises PluginBroken."""
    kind = kind_of(plugin)
    faults = violations(plugin, kind)
    if faults:
        raise PluginBroken(LOCAL, plugin.__module__, "not installed", "; ".join(faults))
    return Found(kind, plugin.name, plugin, LOCAL, "", "", _source_sha256(plugin), plugin.api)


def _source_sha256(plugin: type[Plugin]) -> str:
    try:
        return sha256(inspect.getsource(plugin).encode()).hexdigest()
    except (OSError, TypeError):
        return ""
