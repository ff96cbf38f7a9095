"""A plugin package: what its entry point announces, and what its hook module offers once that is imported."""

import importlib
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pluggy
from importlib_metadata import Distribution, EntryPoint

from frame.errors import PackageConflict, PluginBroken, PluginError
from frame.plugin import hookspecs
from frame.plugin.manifest_file import FILE, LaterManifest, ManifestError, place_of
from frame.plugin.protocols import PLUGIN_API, Kind
from frame.plugin.registry_check import SUPPORTED_APIS
from frame.plugin.registry_identity import is_editable, record_sha256
from frame.plugin.registry_names import FIRST_PARTY, near, normalized
from frame.plugin.registry_source import FOREIGN_FAILURES, classes_in, first_line, stated

if TYPE_CHECKING:
    from frame.plugin.manifest import Entry, Manifest

HOOK_OF = {
    Kind.SOURCE: "frame_sources",
    Kind.TRANSFORM: "frame_transforms",
    Kind.GATE: "frame_gates",
    Kind.AGGREGATION: "frame_aggregations",
    Kind.SINK: "frame_sinks",
}
LOCAL = "local"
"""The package that classes belong to which were handed in by code."""

_ALL_HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("frame_"))
_PACKAGE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class PackageState(StrEnum):
    """Whether a package's plugins can be used."""

    OK = "ok"
    BROKEN = "broken"
    INCOMPATIBLE = "incompatible"
    CONFLICTING = "conflicting"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a package, or one of its plugins, cannot be used. `remedy` is what its user can do."""

    state: PackageState
    cause: str
    remedy: str
    error: BaseException | None = None

    @property
    def traceback(self) -> str:
        """The traceback of the exception behind it, or nothing."""
        return "".join(traceback.format_exception(self.error)) if self.error else ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One plugin as its package offers it: a class, or `"module:Class"`, not imported yet."""

    kind: Kind
    reference: str
    plugin: object = None

    def load(self) -> object:
        """What the reference leads to, imported now. Raises whatever the import raises."""
        return load(self.reference) if self.plugin is None else self.plugin


@dataclass(frozen=True, slots=True)
class Known:
    """An offer whose name is known, and the first line of its docstring. `entry`: what the manifest says of it."""

    name: str
    summary: str
    offer: Offer
    entry: "Entry | None" = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a hook module offers."""

    hooks: pluggy.PluginManager
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one kind of plugin in a package. `unnamed`: what is wrong with offers that have none."""

    known: tuple[Known, ...] = ()
    unnamed: tuple[Trouble, ...] = ()


class Package:
    """One name in the entry-point group and all that announce it.

    What it offers is read from its manifest; if it has none, from its hook module, which is then imported.
    """

    def __init__(
        self,
        name: str,
        announced: Sequence[tuple[EntryPoint, Distribution]],
        disabled: Trouble | None = None,
    ) -> None:
        self.name, self._announced, self._disabled = name, announced, disabled
        self._entry_point, self.source = announced[0]
        self.distribution = str(self.source.name)
        self.version = str(self.source.version)
        self._announcers = tuple(f"{found.name} {found.version}" for _, found in announced)
        self.remedy = f"upgrade {self.distribution}, or tell its authors"
        self._names: dict[Kind, Names] = {}

    @cached_property
    def _manifest(self) -> "Manifest | Trouble | None":
        """What the manifest says, or why it cannot be used; None where the code is to be asked."""
        if is_editable(self.source):
            return None
        try:
            path = place_of(self.top_level)
            return None if path is None else self._held_to(path)
        except LaterManifest as error:
            return Trouble(PackageState.INCOMPATIBLE, str(error), "upgrade frame-core", error)
        except ManifestError as error:
            return Trouble(PackageState.BROKEN, str(error), self.remedy, error)
        except FOREIGN_FAILURES as error:
            return self.trouble_with(error, f"looking for {self.top_level}")

    @property
    def manifest(self) -> "Manifest | None":
        """What the manifest says; None where it cannot be used, or the code is to be asked."""
        return None if isinstance(self._manifest, Trouble) else self._manifest

    def disabled(self, cause: str, remedy: str) -> "Package":
        """This package, which nobody can use because of `cause`."""
        return Package(self.name, self._announced, Trouble(PackageState.DISABLED, cause, remedy))

    @cached_property
    def contents(self) -> Contents | Trouble:
        """What the hook module offers, or why it cannot be used. Imports the hook module."""
        return self._wrong_announcement or self._open()

    @property
    def trouble(self) -> Trouble | None:
        """Why the package cannot be used, as far as can be told without importing a plugin."""
        if self._wrong_announcement:
            return self._wrong_announcement
        says = self.contents if self._manifest is None else self._manifest
        return says if isinstance(says, Trouble) else None

    def implements(self, hook: str) -> bool:
        """Whether the package may implement an infrastructure hook."""
        return self.manifest is None or hook in self.manifest.hooks

    @property
    def top_level(self) -> str:
        """The import package that its hook module is in."""
        return self._entry_point.module.partition(".")[0]

    @cached_property
    def record_sha256(self) -> str:
        """What pins the package's code in the record."""
        return record_sha256(self.source, self._modules())

    def _modules(self) -> Iterator[str]:
        yield self._entry_point.module
        for offer in self.offers:
            yield offer.reference.partition(":")[0]

    def names(self, kind: Kind) -> Names:
        """What the plugins of `kind` are called; nothing when the package cannot be used."""
        if kind not in self._names:
            self._names[kind] = Names() if self.trouble else self._told_names(kind)
        return self._names[kind]

    def _told_names(self, kind: Kind) -> Names:
        if self.manifest is not None:
            return Names(tuple(_known(entry) for entry in self.manifest.plugins if entry.kind is kind))
        return self.names_in_code(kind)

    def names_in_code(self, kind: Kind) -> Names:
        """As `names`, and the manifest is not asked. Imports the hook module."""
        if isinstance(self.contents, Trouble):
            return Names()
        return self._read_names([offer for offer in self.contents.offers if offer.kind is kind])

    @property
    def offers(self) -> Sequence[Offer]:
        """The plugins of the package; none when it cannot be used."""
        if self.trouble:
            return ()
        if self.manifest is not None:
            return [Offer(entry.kind, entry.reference) for entry in self.manifest.plugins]
        return self.contents.offers if isinstance(self.contents, Contents) else ()

    def error(self, trouble: Trouble) -> PluginError:
        """`trouble` as what to raise."""
        if trouble.state is PackageState.CONFLICTING:
            return PackageConflict(self.name, self._announcers)
        return self.broken(trouble.cause)

    def broken(self, cause: str) -> PluginBroken:
        """The error that says that this package cannot be used because of `cause`."""
        return PluginBroken(self.name, self.distribution, self.version, cause)

    def trouble_with(self, error: BaseException, what: str) -> Trouble:
        """That doing `what` raised `error`."""
        remedy = self.remedy
        if isinstance(error, ModuleNotFoundError) and self._is_foreign(error.name):
            remedy = (
                f"install what brings the module {error.name!r}, or upgrade or uninstall {self.distribution}"
            )
        return Trouble(PackageState.BROKEN, f"{what} raised {type(error).__name__}: {error}", remedy, error)

    def _is_foreign(self, module: str | None) -> bool:
        return module is not None and module.partition(".")[0] != self.top_level

    @cached_property
    def _wrong_announcement(self) -> Trouble | None:
        if self._disabled:
            return self._disabled
        if len(self._announcers) > 1:
            both = " and ".join(self._announcers)
            return Trouble(PackageState.CONFLICTING, f"announced by {both}", "uninstall all but one of them")
        remedy = f"uninstall {self.distribution}, or tell its authors"
        owner = FIRST_PARTY.get(self.name)
        if owner and normalized(self.distribution) != owner:
            return Trouble(PackageState.BROKEN, f"the name {self.name!r} belongs to {owner}", remedy)
        if self.name in (LOCAL, "frame") or not _PACKAGE_NAME.fullmatch(self.name):
            rule = "lower-case letters, digits, _ and -, beginning with a letter, and not 'local' or 'frame'"
            return Trouble(
                PackageState.BROKEN, f"{self.name!r} cannot name a package: it takes {rule}", remedy
            )
        return None

    def _open(self) -> Contents | Trouble:
        value = self._entry_point.value
        try:
            module = self._entry_point.load()
        except FOREIGN_FAILURES as error:
            return self.trouble_with(error, f"importing {value}")
        try:
            return _incompatible(apis_of(module), self.distribution) or self._contents(module)
        except pluggy.PluginValidationError as error:
            return self._faulty(str(error))
        except FOREIGN_FAILURES as error:
            return self.trouble_with(error, f"asking {value} for its plugins")

    def _held_to(self, path: Path) -> "Manifest | Trouble":
        """The manifest at `path`, if it is the one of what is installed and works with this frame."""
        from frame.plugin.manifest import read  # builds models, which nobody needs who edits the sources

        manifest = read(path)
        for what, says, is_so in (
            ("package", manifest.package, self.name),
            ("distribution", normalized(manifest.distribution), normalized(self.distribution)),
            ("version", manifest.version, self.version),
        ):
            if says != is_so:
                return self._faulty(f"{FILE} is of the {what} {says}, and installed is {is_so}")
        return _incompatible(manifest.plugin_api, self.distribution) or manifest

    def _faulty(self, cause: str) -> Trouble:
        return Trouble(PackageState.BROKEN, cause, self.remedy)

    def _contents(self, module: ModuleType) -> Contents | Trouble:
        hooks = pluggy.PluginManager(hookspecs.PROJECT)
        hooks.add_hookspecs(hookspecs)
        hooks.register(module, self.name)
        wrong = _wrong_hooks(hooks, module)
        if wrong:
            return self._faulty(wrong)
        hooks.check_pending()
        return Contents(hooks, tuple(offer for kind in Kind for offer in _offers(hooks, kind)))

    def _read_names(self, offers: Sequence[Offer]) -> Names:
        sources = {module: classes_in(module) for module in _modules(offers)}
        named: list[Known | Trouble] = []
        for offer in offers:
            module, _, path = offer.reference.partition(":")
            says = stated(path, sources.get(module, {}))
            named.append(Known(says.name, says.summary, offer) if says else self._imported(offer))
        known = tuple(each for each in named if isinstance(each, Known))
        return Names(known, tuple(each for each in named if isinstance(each, Trouble)))

    def _imported(self, offer: Offer) -> Known | Trouble:
        """The offer with the name that its class has when it is imported."""
        try:
            plugin = offer.load()
        except FOREIGN_FAILURES as error:
            return self.trouble_with(error, f"importing {offer.reference}")
        name = getattr(plugin, "name", None)
        if not isinstance(name, str):
            return self._faulty(f"{offer.reference} has no name")
        return Known(name, first_line(plugin.__doc__), offer)


def _known(entry: "Entry") -> Known:
    return Known(entry.name, entry.summary, Offer(entry.kind, entry.reference), entry)


def load(reference: str) -> object:
    """What `"module:name"` refers to, imported now."""
    module, _, path = reference.partition(":")
    found: object = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _modules(offers: Iterable[Offer]) -> set[str]:
    return {offer.reference.partition(":")[0] for offer in offers if offer.plugin is None}


def apis_of(module: ModuleType) -> tuple[int, int]:
    """The oldest and the newest plugin API that a hook module says it works with; this one if it says nothing."""
    needed = getattr(module, "FRAME_API", PLUGIN_API)
    return needed if isinstance(needed, tuple) else (needed, needed)


def _incompatible(needed: tuple[int, int], distribution: str) -> Trouble | None:
    oldest, newest = needed
    if any(oldest <= api <= newest for api in SUPPORTED_APIS):
        return None
    span = f"{oldest}" if oldest == newest else f"{oldest} to {newest}"
    newer = oldest > max(SUPPORTED_APIS)
    return Trouble(
        PackageState.INCOMPATIBLE,
        f"it needs plugin API {span}, and this frame has {', '.join(map(str, sorted(SUPPORTED_APIS)))}",
        "upgrade frame-core" if newer else f"upgrade {distribution}",
    )


def _wrong_hooks(hooks: pluggy.PluginManager, module: ModuleType) -> str | None:
    """What is wrong with the hooks that `module` implements, or None."""
    for caller in hooks.get_hookcallers(module) or ():
        if not caller.has_spec() and not all(impl.optionalhook for impl in caller.get_hookimpls()):
            guess = near(caller.name, _ALL_HOOKS)
            return f"there is no hook {caller.name!r}" + (f"; did you mean {guess[0]}?" if guess else "")
    implemented = {caller.name for caller in hooks.get_hookcallers(module) or ()}
    for name in _ALL_HOOKS:
        if hasattr(module, name) and name not in implemented:
            return f"{name} in {module.__name__} is not a hook yet: put @hookimpl above it"
    if not implemented:
        return (
            f"{getattr(module, '__name__', module)!s} implements no hook; there are {', '.join(_ALL_HOOKS)}"
        )
    return None


def _offers(hooks: pluggy.PluginManager, kind: Kind) -> Iterator[Offer]:
    for offered in getattr(hooks.hook, HOOK_OF[kind])():
        if isinstance(offered, str) or not isinstance(offered, Iterable):
            raise TypeError(f"{HOOK_OF[kind]} returned {offered!r}, not a list")
        for item in offered:
            yield _offer(kind, item)


def _offer(kind: Kind, item: object) -> Offer:
    if isinstance(item, type):
        return Offer(kind, f"{item.__module__}:{item.__qualname__}", item)
    if isinstance(item, str) and _REFERENCE.fullmatch(item):
        return Offer(kind, item)
    raise TypeError(f'{HOOK_OF[kind]} returned {item!r}, which is neither a class nor "module:Class"')


def by_name(announced: Iterable[tuple[EntryPoint, Distribution]]) -> Mapping[str, Package]:
    """One package a name, in the order of their names."""
    groups: dict[str, list[tuple[EntryPoint, Distribution]]] = {}
    for entry_point, distribution in announced:
        groups.setdefault(entry_point.name, []).append((entry_point, distribution))
    return {name: Package(name, groups[name]) for name in sorted(groups)}
