"""The page of the `frame` command."""

from collections.abc import Iterator
from importlib.metadata import entry_points

import click


def page() -> str:
    """The help of `frame` and of each of its commands, as a terminal shows it."""
    (entry,) = entry_points(group="console_scripts", name="frame")
    root = entry.load()
    if not isinstance(root, click.Command):
        raise TypeError(f"{entry.value} is not a click command, so its help cannot be read")
    return "\n\n".join(["# Commands", *_sections(root, click.Context(root, info_name="frame"))]) + "\n"


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    context.terminal_width = context.max_content_width = 100
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _sections(child, click.Context(child, info_name=name, parent=context))
