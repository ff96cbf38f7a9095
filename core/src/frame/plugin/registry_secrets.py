"""The secret provider that a name means, among those that the installed packages offer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from frame.errors import PluginConflict, PluginNotFound
from frame.plugin.registry_names import near
from frame.plugin.registry_package import Contents, Package, load
from frame.plugin.registry_source import FOREIGN_FAILURES, classes_in, stated
from frame.plugin.secrets import SecretProvider

HOOK = "frame_secret_providers"
KIND = "secret provider"


@dataclass(frozen=True, slots=True)
class _Offered:
    """A provider as its package offers it: a class, or `"module:Class"`."""

    package: Package
    name: str
    item: object


def provider_called(name: str, packages: Iterable[Package]) -> tuple[Package, SecretProvider]:
    """A new provider of this name, which is its own or `package.name`, and the package that it is from.

    Raises PluginNotFound, PluginConflict or PluginBroken.
    """
    packages = tuple(packages)
    holder, _, short = name.rpartition(".")
    offered = [each for package in packages for each in _offered(package)]
    matches = [each for each in offered if each.name == short and holder in ("", each.package.name)]
    if not matches:
        broken = [each.name for each in packages if each.trouble]
        raise PluginNotFound(KIND, name, near(short, (each.name for each in offered)), broken)
    if len(matches) > 1:
        raise PluginConflict(KIND, short, [f"{each.package.name}.{short}" for each in matches])
    return matches[0].package, _made(matches[0])


def _offered(package: Package) -> Iterator[_Offered]:
    if not package.implements(HOOK) or not isinstance(package.contents, Contents):
        return
    try:
        items = [item for offer in getattr(package.contents.hooks.hook, HOOK)() for item in offer]
        for item in items:
            yield _Offered(package, _name_of(item), item)
    except FOREIGN_FAILURES as error:
        raise package.broken(package.trouble_with(error, f"asking it for its {KIND}s").cause) from error


def _name_of(item: object) -> str:
    """What a provider is called, read from its source if that says so."""
    if isinstance(item, str):
        module, _, path = item.partition(":")
        says = stated(path, classes_in(module))
        item = load(item) if says is None else says
    return str(getattr(item, "name", ""))


def _made(offered: _Offered) -> SecretProvider:
    package = offered.package
    try:
        made = load(offered.item) if isinstance(offered.item, str) else offered.item
        provider = made() if isinstance(made, type) else made
    except FOREIGN_FAILURES as error:
        raise package.broken(
            package.trouble_with(error, f"making its {KIND} {offered.name!r}").cause
        ) from error
    if not isinstance(provider, SecretProvider):
        raise package.broken(f"its {KIND} {offered.name!r} is no subclass of frame.plugin.SecretProvider")
    return provider
