"""The generated part of the reference: one function a page, each of which reads the code.

    python -m tools.reference        writes all pages to docs/reference/generated/, which git ignores

Nothing of it is committed, so nothing of it can be out of date. A page is a function without arguments that
returns Markdown.
"""

from collections.abc import Callable

from tools.reference import commands, errors, pipeline_file, plugin_api, plugins, tables

PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "errors.md": errors.page,
    "pipeline-file.md": pipeline_file.page,
    "plugin-api.md": plugin_api.page,
    "plugins.md": plugins.page,
    "tables.md": tables.page,
}
"""File name -> what writes it. Pages of docs/ link to them as reference/generated/NAME."""
