"""Which plugins are installed, and the one that a kind and a name mean.

A package announces itself with an entry point in the group `frame.plugins`: name = its short name (`files`),
value = its hook module (frame.plugin.hookspecs). Discovery reads metadata and imports nothing. `files.csv`
then imports the hook module of `files` alone; `csv` has to import every hook module, and no plugin, since
names are read from the source (registry_source). The chosen class is imported and checked. A package that
cannot be used is in the way of nobody who does not ask for it.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from importlib_metadata import Distribution, EntryPoint

from frame.errors import PluginConflict, PluginNotFound
from frame.plugin.hookspecs import ENTRY_POINT_GROUP
from frame.plugin.protocols import Kind, Plugin, kind_of
from frame.plugin.registry_found import Found, checked, own
from frame.plugin.registry_names import near, normalized, suspicion
from frame.plugin.registry_package import LOCAL, Contents, Known, Offer, Package, by_name, load
from frame.plugin.registry_secrets import provider_called
from frame.plugin.registry_source import FOREIGN_FAILURES, first_line
from frame.plugin.secrets import SecretProvider

if TYPE_CHECKING:
    from frame.plugin.describe import Description
    from frame.plugin.lock import PluginLock
    from frame.plugin.registry_doctor import PackageReport

ALLOWED = "FRAME_PLUGIN_ALLOW"
"""The variable that names the packages that may be used, with commas between; unset: all of them."""

_log = logging.getLogger("frame.plugins")


@dataclass(frozen=True, slots=True)
class Listed:
    """A plugin that can be asked for. Its class has not been imported, and may yet turn out to be broken."""

    kind: Kind
    name: str
    package: str
    distribution: str
    version: str
    summary: str

    @property
    def qualified(self) -> str:
        """The name that means this plugin and no other, as in `files.csv`."""
        return f"{self.package}.{self.name}"


class Registry:
    """The plugins that a pipeline may name."""

    def __init__(self, packages: Mapping[str, Package], classes: Iterable[type[Plugin]] = ()) -> None:
        self._packages = packages
        self._local = {(kind_of(plugin), plugin.name): plugin for plugin in classes}
        self._found: dict[tuple[Kind, str], Found] = {}
        self._providing: set[str] = set()

    @classmethod
    def discover(cls) -> "Registry":
        """The registry of what is installed where Python looks for modules. Imports no package.

        Packages that FRAME_PLUGIN_ALLOW does not name, if it is set, are disabled.
        """
        packages = by_name(_announced(Distribution.discover()))
        said = os.environ.get(ALLOWED)
        if said is None:
            return cls(packages)
        allowed = {name.strip() for name in said.split(",")}
        return cls({name: each if name in allowed else _not_allowed(each) for name, each in packages.items()})

    @classmethod
    def of(cls, classes: Iterable[type[Plugin]]) -> "Registry":
        """A registry of these classes and nothing else, for pipelines built in code, and for tests."""
        return cls({}, classes)

    def with_plugins(self, *classes: type[Plugin]) -> "Registry":
        """This registry and these classes. Where a short name is taken, the class handed in is meant."""
        return Registry(self._packages, (*self._local.values(), *classes))

    def locked(self, lock: "PluginLock") -> "Registry":
        """This registry with the packages of `lock` alone. Raises NotLocked if one has changed; imports nothing."""
        for package in self._packages.values():
            lock.check(package)
        packages = {
            name: package if name in lock.names else _not_in(lock, package)
            for name, package in self._packages.items()
        }
        return Registry(packages, self._local.values())

    @property
    def packages(self) -> tuple[Package, ...]:
        """Every package that is announced, usable or not, by name."""
        return tuple(self._packages.values())

    @property
    def used(self) -> tuple[Package, ...]:
        """The packages that something was taken from so far: a plugin, a secret provider."""
        names = {found.package for found in self._found.values()} | self._providing
        return tuple(package for name, package in self._packages.items() if name in names)

    def find(self, kind: Kind, name: str) -> Found:
        """The plugin of `kind` that `name` means: its own name, or `package.name`.

        Raises PluginNotFound, PluginConflict, PackageConflict or PluginBroken.
        """
        if (kind, name) not in self._found:
            self._found[kind, name] = self._find(kind, name)
        return self._found[kind, name]

    def describe(self, kind: Kind, name: str) -> "Description":
        """The plugin of `kind` that `name` means, as its user sees it; not imported if its manifest tells it.

        Raises like `find`.
        """
        from frame.plugin.describe import describe
        from frame.plugin.manifest_making import described

        if self._local_class(kind, name):
            return describe(self.find(kind, name))
        package, known = self._located(kind, name)
        return described(package, known.entry) if known.entry else describe(checked(package, known))

    def identify(self, plugin: type[Plugin]) -> Found:
        """`plugin` with the distribution that offers it, if one does; a class of one's own otherwise.

        Raises PluginBroken if the class does not keep the promises of its kind.
        """
        reference = f"{plugin.__module__}:{plugin.__qualname__}"
        top_level = plugin.__module__.partition(".")[0]
        for package in self._packages.values():
            if package.top_level == top_level:
                for offer in package.offers:
                    if offer.reference == reference:
                        given = Offer(offer.kind, reference, plugin)
                        return checked(package, Known(plugin.name, "", given))
        return own(plugin)

    def list(self) -> tuple[Listed, ...]:
        """Every plugin that can be told by name, by kind and qualified name. Imports hook modules alone."""
        installed = (
            Listed(kind, known.name, package.name, package.distribution, package.version, known.summary)
            for kind, package, known in self._all_known()
        )
        local = (
            Listed(kind, name, LOCAL, "", "", first_line(plugin.__doc__))
            for (kind, name), plugin in self._local.items()
        )
        order = {kind: number for number, kind in enumerate(Kind)}
        return tuple(sorted((*installed, *local), key=lambda each: (order[each.kind], each.qualified)))

    def doctor(self) -> tuple["PackageReport", ...]:
        """The state of every announced package, by name. Imports every plugin of every package."""
        from frame.plugin.registry_doctor import report

        clashes: dict[tuple[Kind, str], set[str]] = {}
        for kind, package, known in self._all_known():
            clashes.setdefault((kind, known.name), set()).add(package.name)
        return tuple(report(package, self._warnings(package, clashes)) for package in self._packages.values())

    def suspicion(self, package: str) -> str | None:
        """Why the package of this name may be an impostor of another one, or None."""
        others = [(each.name, each.distribution) for each in self._packages.values() if each.name != package]
        return suspicion(package, self._packages[package].distribution, others)

    def extensions(self, hook: str) -> Iterator[object]:
        """What all usable packages offer through an infrastructure hook such as `frame_listeners`, loaded."""
        for package in self._packages.values():
            if package.implements(hook) and isinstance(package.contents, Contents):
                for offered in getattr(package.contents.hooks.hook, hook)():
                    for item in offered:
                        yield load(item) if isinstance(item, str) else item

    def secret_provider(self, name: str) -> SecretProvider:
        """A new secret provider of this name, or of `package.name`. Raises PluginError."""
        package, provider = provider_called(name, self._packages.values())
        self._providing.add(package.name)
        return provider

    def _find(self, kind: Kind, name: str) -> Found:
        local = self._local_class(kind, name)
        return own(local) if local else checked(*self._located(kind, name))

    def _local_class(self, kind: Kind, name: str) -> type[Plugin] | None:
        package, _, short = name.rpartition(".")
        return self._local.get((kind, short)) if package in ("", LOCAL) else None

    def _located(self, kind: Kind, name: str) -> tuple[Package, Known]:
        """The installed plugin that `name` means, and its package. Raises like `find`."""
        package, _, short = name.rpartition(".")
        holder = self._package(kind, package, short) if package else self._holder(kind, short)
        doubt = self.suspicion(holder.name)
        if doubt:
            _log.warning("plugin %s.%s: %s; make sure that it is the one you want", holder.name, short, doubt)
        matches = _called(holder, kind, short)
        if len(matches) > 1:
            both = " and ".join(known.offer.reference for known in matches)
            raise holder.broken(f"it offers two plugins of kind {kind} called {short!r}: {both}")
        return holder, matches[0]

    def _package(self, kind: Kind, name: str, short: str) -> Package:
        """The package of this name, if it has such a plugin."""
        package = self._packages.get(name)
        if package and package.trouble:
            raise package.error(package.trouble) from package.trouble.error
        if package is None or not _called(package, kind, short):
            raise self._not_found(kind, f"{name}.{short}")
        return package

    def _holder(self, kind: Kind, short: str) -> Package:
        """The only package that has such a plugin."""
        holders = [each for each in self._packages.values() if _called(each, kind, short)]
        if not holders:
            raise self._not_found(kind, short)
        if len(holders) > 1:
            raise PluginConflict(kind, short, [f"{holder.name}.{short}" for holder in holders])
        return holders[0]

    def _warnings(self, package: Package, holders: Mapping[tuple[Kind, str], set[str]]) -> Iterator[str]:
        doubt = self.suspicion(package.name)
        if doubt:
            yield f"{doubt}; is it the one that you want?"
        for (kind, name), names in holders.items():
            if package.name in names and len(names) > 1:
                qualified = " or ".join(f"{each}.{name}" for each in sorted(names))
                yield f"it is not the only one with a {kind} called {name!r}: write {qualified}"

    def _all_known(self) -> Iterator[tuple[Kind, Package, Known]]:
        for kind in Kind:
            for package in self._packages.values():
                for known in package.names(kind).known:
                    yield kind, package, known

    def _not_found(self, kind: Kind, name: str) -> PluginNotFound:
        listed = self.list()
        same_kind = [each for each in listed if each.kind is kind]
        other_kinds = {each.kind for each in listed if name in (each.name, each.qualified)} - {kind}
        names = {each.qualified if "." in name else each.name for each in same_kind}
        return PluginNotFound(kind, name, near(name, names), list(self._unusable(kind)), sorted(other_kinds))

    def _unusable(self, kind: Kind) -> Iterator[str]:
        """The packages that may offer more plugins of `kind` than can be told, each with the reason."""
        for package in self._packages.values():
            troubles = [package.trouble] if package.trouble else package.names(kind).unnamed
            for trouble in troubles:
                yield f"{package.name} ({package.distribution} {package.version}: {trouble.cause})"


def _not_allowed(package: Package) -> Package:
    return package.disabled(
        f"{ALLOWED} does not name it", f"allow it: frame --plugin-allow {package.name} ..."
    )


def _not_in(lock: "PluginLock", package: Package) -> Package:
    return package.disabled(f"it is not in {lock.path}", "let it in: frame plugins lock PIPELINE")


def _announced(found: Iterable[Distribution]) -> Iterator[tuple[EntryPoint, Distribution]]:
    """Every announcement of a plugin package, from the first distribution of each name on the path."""
    seen: set[str] = set()
    for distribution in found:
        try:
            if ENTRY_POINT_GROUP not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name = normalized(distribution.name)
            entry_points = tuple(distribution.entry_points.select(group=ENTRY_POINT_GROUP))
        except FOREIGN_FAILURES as error:
            _log.warning("the metadata of a plugin package cannot be read: %s: %s", distribution, error)
            continue
        if name not in seen:
            seen.add(name)
            yield from ((entry_point, distribution) for entry_point in entry_points)


def _called(package: Package, kind: Kind, name: str) -> tuple[Known, ...]:
    return tuple(known for known in package.names(kind).known if known.name == name)
