"""The manifest that a package's code makes, and what a manifest tells of a plugin without its code."""

import json
from collections.abc import Iterator
from typing import Any

from frame.plugin import hookspecs
from frame.plugin.describe import Description, Option, describe, schema_as_json, schema_from_json
from frame.plugin.manifest import Entry, Manifest
from frame.plugin.manifest_file import FILE
from frame.plugin.protocols import Delivery, Kind
from frame.plugin.registry_found import Found, checked
from frame.plugin.registry_package import HOOK_OF, Contents, Known, Package, apis_of


def manifest_of(package: Package) -> Manifest:
    """What the code of `package` says, every plugin of it imported. Raises PluginBroken or PackageConflict."""
    contents = package.contents
    if not isinstance(contents, Contents):
        raise package.error(contents) from contents.error
    (module,) = contents.hooks.get_plugins()
    implemented = {caller.name for caller in contents.hooks.get_hookcallers(module) or ()}
    return Manifest(
        package=package.name,
        distribution=package.distribution,
        version=package.version,
        plugin_api=apis_of(module),
        plugins=tuple(_entries(package)),
        hooks=tuple(sorted(implemented - set(HOOK_OF.values()) & set(vars(hookspecs)))),
    )


def staleness(package: Package) -> Iterator[str]:
    """What the manifest of `package` says that its code does not; nothing if it has none that can be read."""
    if package.manifest is None:
        return
    says, is_so = (_flat(each) for each in (package.manifest, manifest_of(package)))
    for place in says | is_so:
        if says.get(place) != is_so.get(place):
            yield f"{FILE} says of {place}: {_short(says.get(place))}, and the code {_short(is_so.get(place))}"


def _flat(manifest: Manifest) -> dict[str, Any]:
    """What is said, by its place: each field of the manifest, and each field of each plugin."""
    document = manifest.model_dump(mode="json", by_alias=True)
    plugins = document.pop("plugins")
    return document | {
        f"{each['kind']} {each['name']}, {field}": value for each in plugins for field, value in each.items()
    }


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def described(package: Package, entry: Entry) -> Description:
    """A plugin as its user sees it, from what the manifest of `package` tells."""
    told = entry.told
    return Description(
        kind=entry.kind,
        name=entry.name,
        qualified=f"{package.name}.{entry.name}",
        summary=entry.summary,
        text=told["text"],
        options=tuple(map(Option.from_json, told["options"])),
        config_schema=entry.config_schema,
        determinism=str(entry.determinism),
        delivery=None if entry.delivery is None else str(entry.delivery),
        capabilities=entry.capabilities,
        requires=schema_from_json(told["requires"]),
        provides=schema_from_json(told["provides"]),
        distribution=package.distribution,
        version=package.version,
        record_sha256=package.record_sha256,
        api=told["api"],
    )


def _entries(package: Package) -> Iterator[Entry]:
    for kind in Kind:
        names = package.names_in_code(kind)
        for trouble in names.unnamed:
            raise package.error(trouble) from trouble.error
        for known in names.known:
            yield _entry(known, checked(package, known))


def _entry(known: Known, found: Found) -> Entry:
    description = describe(found)
    return Entry(
        kind=found.kind,
        name=found.name,
        reference=known.offer.reference,
        summary=description.summary,
        determinism=found.plugin.determinism,
        delivery=None if description.delivery is None else Delivery(description.delivery),
        capabilities=description.capabilities,
        config_schema=dict(description.config_schema),
        told=_told(description),
    )


def _told(description: Description) -> dict[str, Any]:
    return {
        "text": description.text,
        "options": [option.as_json() for option in description.options],
        "requires": schema_as_json(description.requires),
        "provides": schema_as_json(description.provides),
        "api": description.api,
    }
