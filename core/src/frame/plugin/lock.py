"""`plugins.lock`, beside a pipeline: the plugin packages that it may use, each by the hash of its files."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frame.errors import NotLocked, Refused
from frame.plugin.registry_package import Package

FILE = "plugins.lock"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class LockedPackage:
    """A package as it was when the lock was written. `record_sha256`: see frame.plugin.registry_identity."""

    package: str
    distribution: str
    version: str
    record_sha256: str


@dataclass(frozen=True, slots=True)
class PluginLock:
    """The packages that may be used, and the file that says so."""

    packages: tuple[LockedPackage, ...]
    path: Path

    @property
    def names(self) -> frozenset[str]:
        """The short names of the packages."""
        return frozenset(each.package for each in self.packages)

    def check(self, package: Package) -> None:
        """Raises NotLocked if `package` is in the lock and was another one then. Imports nothing."""
        wanted = next((each for each in self.packages if each.package == package.name), None)
        if wanted is not None and wanted != (found := locked(package)):
            raise NotLocked(str(self.path), _told(found), _told(wanted))

    def as_text(self) -> str:
        """The file, the same for the same packages."""
        listed = [asdict(each) for each in sorted(self.packages)]
        return json.dumps({"schema_version": SCHEMA_VERSION, "packages": listed}, indent=2) + "\n"


def lock_of(packages: Iterable[Package], path: Path) -> PluginLock:
    """The lock at `path` that allows `packages` as they are now."""
    return PluginLock(tuple(sorted(map(locked, packages))), path)


def locked(package: Package) -> LockedPackage:
    """A package as it is now."""
    return LockedPackage(package.name, package.distribution, package.version, package.record_sha256)


def read(path: Path) -> PluginLock | None:
    """The lock at `path`; None if there is none. Raises Refused for a file that is no lock, or of a newer frame."""
    try:
        document: Any = json.loads(path.read_bytes())
        if document["schema_version"] != SCHEMA_VERSION:
            raise Refused(f"{path} has schema_version {document['schema_version']}: upgrade frame-core")
        return PluginLock(tuple(LockedPackage(**each) for each in document["packages"]), path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Refused(
            f"{path} is no plugin lock ({error!s}): remove it, or write it anew with `frame plugins lock`"
        ) from error


def _told(package: LockedPackage) -> str:
    return f"{package.distribution} {package.version} ({package.record_sha256[:12]})"
