"""The reference page of a plugin package, as Markdown, from the descriptions of its plugins."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import orjson

from frame.plugin.describe import Description, Option


def package_page(package: str, distribution: str, descriptions: Sequence[Description]) -> str:
    """The text of `docs/reference/plugins/<package>.md`; ends with a line feed."""
    lines = [f"# Plugins of `{package}`", "", f"From the distribution `{distribution}`.", ""]
    for kind, plugins in groupby(descriptions, key=lambda each: each.kind):
        lines += [f"## {kind.capitalize()}s", ""]
        for plugin in plugins:
            lines += plugin_section(plugin)
    return "\n".join(lines).rstrip() + "\n"


def plugin_section(plugin: Description) -> Iterator[str]:
    """The lines of one plugin's section, the last of them empty."""
    yield from (f"### `{plugin.name}`", "", plugin.summary, "")
    if plugin.text:
        yield from (*_fenced(plugin.text), "")
    yield f"Qualified name: `{plugin.qualified}`. Determinism: `{plugin.determinism}`."
    if plugin.delivery:
        yield f"Delivery: `{plugin.delivery}`."
    yield ""
    if not plugin.options:
        yield from ("It takes no options.", "")
        return
    yield from ("| option | type | default | meaning |", "|---|---|---|---|")
    yield from _rows(plugin.options, "")
    yield ""


def _fenced(text: str) -> Iterator[str]:
    """The lines of `text`, with its interactive examples as code."""
    inside = False
    for line in text.splitlines():
        begins, ends = not inside and line.startswith(">>>"), inside and not line.strip()
        if begins or ends:
            inside = begins
            yield "```pycon" if begins else "```"
        yield line
    if inside:
        yield "```"


def _rows(options: Sequence[Option], prefix: str) -> Iterator[str]:
    for option in options:
        name = prefix + option.name
        meaning = " ".join(option.description.split())
        if option.limits:
            meaning = f"{meaning} ({option.limits})" if meaning else option.limits
        cells = (f"`{name}`", option.type, _default(option), meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
        yield from _rows(option.options, f"{name}.")


def _default(option: Option) -> str:
    if option.required:
        return "required"
    if option.secret:
        return ""
    return f"`{orjson.dumps(option.default).decode()}`"
