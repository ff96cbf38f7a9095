"""A plugin that has been chosen: its class, checked, and what pins it in the record."""

import inspect
from dataclasses import dataclass
from hashlib import sha256

from frame.errors import FrameBug, PluginBroken
from frame.plugin.protocols import Kind, Plugin, kind_of
from frame.plugin.registry_check import violations
from frame.plugin.registry_package import LOCAL, Offer, Package
from frame.plugin.registry_source import FOREIGN_FAILURES


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


def checked(package: Package, offer: Offer, name: str) -> Found:
    """The class that `offer` leads to, if it keeps its promises. Raises PluginBroken."""
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
            f"{offer.reference} is called {name!r} in its source and {plugin.name!r} when imported"
        )
    pin = (package.name, package.distribution, package.version, package.record_sha256)
    return Found(offer.kind, name, plugin, *pin, plugin.api)


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
