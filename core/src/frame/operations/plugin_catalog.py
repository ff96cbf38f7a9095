"""Which plugins are installed, what each is, and what is wrong with those that cannot be used."""

from frame.errors import PluginError, PluginNotFound
from frame.plugin.describe import Description
from frame.plugin.protocols import Kind
from frame.plugin.registry import Listed, Registry
from frame.plugin.registry_doctor import PackageReport

__all__ = ["Description", "Kind", "Listed", "PackageReport", "doctor", "plugin_info", "plugins"]


def plugins(kind: Kind | None = None, registry: Registry | None = None) -> tuple[Listed, ...]:
    """Every plugin that can be asked for, by kind and name; those of one `kind` if that is given."""
    listed = (registry or Registry.discover()).list()
    return tuple(each for each in listed if kind in (None, each.kind))


def plugin_info(
    name: str, kind: Kind | None = None, registry: Registry | None = None
) -> tuple[Description, ...]:
    """The plugins that `name` means, one of each kind that has it; of one `kind` if that is given.

    Raises PluginNotFound, PluginConflict, PackageConflict or PluginBroken.
    """
    registry = registry or Registry.discover()
    kinds = tuple(Kind) if kind is None else (kind,)
    described, errors = [], []
    for each in kinds:
        try:
            described.append(registry.describe(each, name))
        except PluginNotFound as error:
            errors.append(error)
    if described:
        return tuple(described)
    if kind is not None:
        raise errors[0]
    near = dict.fromkeys(name for error in errors for name in error.near)
    broken = dict.fromkeys(package for error in errors for package in error.broken)
    raise NoSuchPlugin(name, tuple(near), tuple(broken))


def doctor(registry: Registry | None = None) -> tuple[PackageReport, ...]:
    """The state of every package that announces plugins. Imports every plugin of every package."""
    return (registry or Registry.discover()).doctor()


class NoSuchPlugin(PluginError):
    """No installed package offers a plugin of this name, whatever its kind."""

    def __init__(self, name: str, near: tuple[str, ...], broken: tuple[str, ...]) -> None:
        super().__init__(name, near, broken)
        self.name, self.near, self.broken = name, near, broken

    def __str__(self) -> str:
        text = f"no plugin is called {self.name!r}"
        if self.near:
            text += f"; did you mean {' or '.join(self.near)}?"
        if self.broken:
            text += f" These packages could not be loaded and may offer it: {', '.join(self.broken)}"
        return f"{text} (`frame plugins list` shows what is installed)"
