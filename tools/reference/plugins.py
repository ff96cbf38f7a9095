"""The page of the first-party plugins."""

from frame.plugin.registry import Listed, Registry

from tools.reference.markdown import docstring, options, table

PACKAGES = ("files", "std")


def page() -> str:
    """Every plugin of ours: what it does, how it may be called, its options."""
    registry = Registry.discover()
    ours = sorted((listed for listed in registry.list() if listed.package in PACKAGES), key=_place)
    overview = table(
        ["plugin", "kind", "what it does"],
        [(f"`{one.qualified}`", one.kind.value, one.summary) for one in ours],
    )
    return "\n\n".join(["# Plugins", overview, *(_section(registry, one) for one in ours)]) + "\n"


def _place(listed: Listed) -> tuple[str, str, str]:
    return listed.package, listed.kind.value, listed.name


def _section(registry: Registry, listed: Listed) -> str:
    plugin = registry.find(listed.kind, listed.qualified).plugin
    return "\n\n".join(
        [
            f"## {listed.qualified} ({listed.kind.value})",
            docstring(plugin),
            f"Determinism: `{plugin.determinism.value}`. Package: {listed.distribution}.",
            options(plugin.Config.model_json_schema()),
        ]
    )
