"""The manifest of a plugin package, made from the sources that are being edited."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from frame.errors import Refused, UsageError
from frame.plugin.manifest_file import FILE
from frame.plugin.manifest_making import manifest_of
from frame.plugin.registry import Registry
from frame.plugin.registry_identity import is_editable
from frame.plugin.registry_names import near
from frame.plugin.registry_package import Package


@dataclass(frozen=True, slots=True)
class MadeManifest:
    """The manifest that the code makes. `path`: its place. `is_current`: whether that is what stands there."""

    path: Path
    text: str
    plugins: int
    is_current: bool


def make_manifest(package: str, *, write: bool = True, registry: Registry | None = None) -> MadeManifest:
    """The manifest of the installed package of this short name, put in its place if `write`.

    Raises UsageError if there is no such package, Refused if it is not installed from sources that are being edited,
    PluginBroken or PackageConflict if it cannot be used.
    """
    found = _package(package, registry or Registry.discover())
    if not is_editable(found.source):
        raise Refused(
            f"{found.distribution} is installed as it was built, and its manifest belongs to that. Make the manifest "
            "where the sources are: pip install -e FOLDER, then the same command"
        )
    path, manifest = _place(found), manifest_of(found)
    text = manifest.as_text()
    is_current = path.is_file() and path.read_text(encoding="utf-8") == text
    if write and not is_current:
        path.write_text(text, encoding="utf-8")
    return MadeManifest(path, text, len(manifest.plugins), is_current)


def _package(name: str, registry: Registry) -> Package:
    packages = {package.name: package for package in registry.packages}
    if name not in packages:
        guess = near(name, packages)
        meant = f"; did you mean {' or '.join(guess)}?" if guess else ""
        raise UsageError(
            f"no plugin package is called {name!r}{meant} (`frame plugins list` shows what is installed)"
        )
    return packages[name]


def _place(package: Package) -> Path:
    spec = importlib.util.find_spec(package.top_level)
    folders = (spec and spec.submodule_search_locations) or ()
    if not folders:
        raise Refused(f"{package.top_level} is a module and no package: there is no folder for {FILE}")
    return Path(next(iter(folders)), FILE)
