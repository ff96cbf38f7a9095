"""What is wrong with a plugin package that is installed, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from frame.errors import PluginBroken
from frame.plugin.manifest_making import staleness
from frame.plugin.protocols import Kind
from frame.plugin.registry_found import checked
from frame.plugin.registry_identity import changed_files
from frame.plugin.registry_package import Package, PackageState, Trouble


@dataclass(frozen=True, slots=True)
class PackageReport:
    """The state of one package.

    `plugins`: `(kind, qualified name)` of those that can be used. `warnings`: what deserves a look.
    """

    package: str
    distribution: str
    version: str
    state: PackageState
    plugins: tuple[tuple[Kind, str], ...] = ()
    cause: str = ""
    remedy: str = ""
    traceback: str = ""
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The report as JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def report(package: Package, warnings: Iterable[str] = ()) -> PackageReport:
    """The state of `package` after importing and checking every plugin in it; `warnings` are the caller's."""
    identity = (package.name, package.distribution, package.version)
    noticed = (*warnings, *_edits(package))
    trouble = package.trouble or _unopened(package)
    if trouble:
        return PackageReport(*identity, trouble.state, (), *_told(trouble), noticed)
    plugins, troubles = _tried(package)
    troubles = troubles or [
        Trouble(PackageState.BROKEN, cause, package.remedy) for cause in staleness(package)
    ]
    if not troubles:
        return PackageReport(*identity, PackageState.OK, plugins, warnings=noticed)
    causes, remedies, tracebacks = zip(*(_told(trouble) for trouble in troubles), strict=True)
    told = ("; ".join(causes), "; ".join(dict.fromkeys(remedies)), "\n".join(filter(None, tracebacks)))
    return PackageReport(*identity, PackageState.BROKEN, plugins, *told, noticed)


def _unopened(package: Package) -> Trouble | None:
    """What is wrong with the hook module, which nobody needs who has the manifest."""
    return package.contents if isinstance(package.contents, Trouble) else None


def _tried(package: Package) -> tuple[tuple[tuple[Kind, str], ...], list[Trouble]]:
    """The plugins that can be used, and what is wrong with the others."""
    plugins: list[tuple[Kind, str]] = []
    troubles: list[Trouble] = []
    for kind in Kind:
        names = package.names(kind)
        troubles += names.unnamed
        for known in names.known:
            try:
                plugins.append((kind, checked(package, known).qualified))
            except PluginBroken as error:
                troubles.append(Trouble(PackageState.BROKEN, error.cause, package.remedy, error.__cause__))
    return tuple(plugins), troubles


def _told(trouble: Trouble) -> tuple[str, str, str]:
    return trouble.cause, trouble.remedy, trouble.traceback


def _edits(package: Package) -> Iterable[str]:
    changed = changed_files(package.source)
    if changed:
        yield f"files are not as they were installed: {', '.join(changed)}; reinstall {package.distribution}"
