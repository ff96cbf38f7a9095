"""Plugins and their packages, as text."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from frame.cli.output import columns, safe, visible

if TYPE_CHECKING:
    from frame.operations.plugin_catalog import Description, Listed, PackageReport
    from frame.plugin.describe import Option
    from frame.plugin.schema import Schema

WIDTH = 100


def catalog(listed: Sequence["Listed"]) -> str:
    """The plugins, by kind."""
    if not listed:
        return "no plugin is installed; to begin with: pip install frame-files frame-std"
    lines = []
    kinds = dict.fromkeys(each.kind for each in listed)
    width = max(len(visible(each.qualified)) for each in listed)
    for kind in kinds:
        lines.append(f"{kind}s")
        lines += [
            f"  {visible(each.qualified):<{width}}  {_shortened(visible(each.summary), WIDTH - width - 4)}"
            for each in listed
            if each.kind is kind
        ]
    packages = dict.fromkeys(f"{each.distribution} {each.version}" for each in listed if each.distribution)
    return "\n".join([*lines, "", f"from {', '.join(map(visible, packages))}"])


def catalog_as_json(listed: Sequence["Listed"]) -> dict[str, Any]:
    """The plugins as one JSON object."""
    return {
        "schema_version": 1,
        "plugins": [
            {
                "kind": str(each.kind),
                "name": each.name,
                "qualified": each.qualified,
                "distribution": each.distribution,
                "version": each.version,
                "summary": each.summary,
            }
            for each in listed
        ],
    }


def description(plugin: "Description") -> str:
    """A plugin as its user needs to know it."""
    return safe("\n".join(_description(plugin)))


def _description(plugin: "Description") -> Iterator[str]:
    yield (
        f"{plugin.qualified}, a {plugin.kind}"
        if plugin.kind != "aggregation"
        else f"{plugin.qualified}, an aggregation"
    )
    yield textwrap.fill(plugin.summary, WIDTH, initial_indent="  ", subsequent_indent="  ")
    prose = [block for block in plugin.text.split("\n\n") if block and not block.startswith(">>>")]
    for block in prose:
        yield ""
        yield textwrap.indent(block, "  ")
    yield ""
    facts = [
        ("package", f"{plugin.distribution} {plugin.version}" if plugin.distribution else "not installed"),
        ("determinism", plugin.determinism),
        ("delivery", plugin.delivery or ""),
        ("requires", _schema(plugin.requires)),
        ("provides", _schema(plugin.provides)),
    ]
    yield from columns([fact for fact in facts if fact[1]])
    yield ""
    yield "options" if plugin.options else "no options"
    yield from _options(plugin.options, "  ")


def _options(options: Sequence["Option"], indent: str) -> Iterator[str]:
    for option in options:
        limits = f" ({option.limits})" if option.limits else ""
        default = (
            "required" if option.required else f"default {json.dumps(option.default, ensure_ascii=False)}"
        )
        if option.secret:
            default = "required, a secret" if option.required else "a secret"
        yield f"{indent}{option.name}: {option.type}{limits}, {default}"
        if option.description:
            yield textwrap.fill(
                option.description, WIDTH, initial_indent=f"{indent}    ", subsequent_indent=f"{indent}    "
            )
        yield from _options(option.options, f"{indent}    ")


def _schema(schema: "Schema | None") -> str:
    if schema is None:
        return "depends on the options"
    fields = ", ".join(f"{name}: {kind}" for name, kind in schema.fields.items())
    return fields if schema.complete or not fields else f"{fields}, and more"


def diagnosis(reports: Sequence["PackageReport"], verbose: bool) -> str:
    """The state of every package, and what to do about it."""
    if not reports:
        return "no plugin package is installed; to begin with: pip install frame-files frame-std"
    return safe("\n".join(line for each in reports for line in _diagnosis(each, verbose)))


def _diagnosis(found: "PackageReport", verbose: bool) -> Iterator[str]:
    yield f"{found.package} ({found.distribution} {found.version}): {found.state}, {len(found.plugins)} plugins"
    if found.cause:
        yield f"  {found.cause}"
    if found.remedy:
        yield f"  {found.remedy}"
    for warning in found.warnings:
        yield f"  warning: {warning}"
    if verbose and found.traceback:
        yield textwrap.indent(found.traceback, "    ")


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
