"""The command `frame`. A subcommand's module is imported when the subcommand is named, and not before."""

import atexit
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from frame import __version__
from frame.cli.ending import no_success_before_the_end
from frame.cli.failures import report
from frame.cli.output import NobodyReads, hand_over, leave_stdout, open_closed_streams
from frame.garbage import collecting_rarely

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

ENTRY_POINT_GROUP = "frame.commands"
COMMANDS: Mapping[str, str] = {
    "run": "frame.cli.commands.run",
    "resume": "frame.cli.commands.resume",
    "validate": "frame.cli.commands.validate",
    "graph": "frame.cli.commands.graph",
    "explain": "frame.cli.commands.explain",
    "replay": "frame.cli.commands.replay",
    "runs": "frame.cli.commands.runs",
    "verify": "frame.cli.commands.verify",
    "dead-letters": "frame.cli.commands.dead_letters",
    "export": "frame.cli.commands.export",
    "purge": "frame.cli.commands.purge",
    "audit": "frame.cli.commands.audit",
    "keys": "frame.cli.commands.keys",
    "plugins": "frame.cli.commands.plugins",
    "init": "frame.cli.commands.init",
    "schema": "frame.cli.commands.schema",
    "completion": "frame.cli.commands.completion",
}
"""Subcommand -> the module that has it as `command`, in the order in which `frame --help` shows them."""


class Frame(click.Group):
    """The subcommands of the core, and those that other distributions announce in the group `frame.commands`."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> NoReturn:
        """Run the command line `args` and exit with the code that says how it went."""
        arguments = sys.argv[1:] if args is None else list(args)
        options["standalone_mode"] = False
        open_closed_streams()
        atexit.register(gc.freeze)  # what the process made is not looked through once more when it ends
        try:
            with collecting_rarely():
                code = super().main(args, *rest, **options) or 0
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - every end has an exit code
            code = report(error, arguments)
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand and hand over all that it printed."""
        try:
            with no_success_before_the_end():
                result = super().invoke(ctx)
        except BrokenPipeError as error:
            raise NobodyReads from error  # click would exit with 1 and say nothing
        try:
            hand_over()
        except NobodyReads:
            if not result:
                raise
            leave_stdout()  # the command has told of something worse
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our own, then the others by name."""
        return [*COMMANDS, *sorted(set(_announced()) - set(COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of this name, imported; None if nobody has it."""
        if cmd_name in COMMANDS:
            command: click.Command = import_module(COMMANDS[cmd_name]).command
            return command
        found = _announced().get(cmd_name)
        return None if found is None else _load(cmd_name, found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a near name suggested for one that nobody has."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            near = get_close_matches(name, self.list_commands(ctx), n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of subcommands; those of other distributions are named, not imported."""
        rows = [(name, self._help_of(ctx, name)) for name in COMMANDS]
        others = [(name, f"(from {_sellers(found)})") for name, found in sorted(_announced().items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows + [row for row in others if row[0] not in COMMANDS])

    def _help_of(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(100) if command else ""


def _announced() -> dict[str, list["EntryPoint"]]:
    from importlib_metadata import entry_points

    announced: dict[str, list[EntryPoint]] = {}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        announced.setdefault(entry_point.name, []).append(entry_point)
    return announced


def _sellers(found: Sequence["EntryPoint"]) -> str:
    return " and ".join(sorted({entry_point.dist.name for entry_point in found if entry_point.dist}))


def _load(name: str, found: Sequence["EntryPoint"]) -> click.Command:
    """The command that another distribution offers. Raises PluginError if it cannot be had."""
    from frame.errors import PluginBroken, PluginError

    if len({entry_point.value for entry_point in found}) > 1:
        raise PluginError(
            f"{_sellers(found)} both offer a command {name!r}: uninstall all but the one you want"
        )
    distribution = found[0].dist
    identity = (distribution.name, distribution.version) if distribution else ("?", "?")
    try:
        command = found[0].load()
    except Exception as error:
        raise PluginBroken(name, *identity, f"{type(error).__name__}: {error}") from error
    if not isinstance(command, click.Command):
        raise PluginBroken(name, *identity, f"{found[0].value} is no click command")
    return command


@click.group(cls=Frame, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="frame", message="%(prog)s %(version)s")
@click.option("--no-plugins", is_flag=True, help="Use no plugin package.")
@click.option(
    "--plugin-allow",
    multiple=True,
    metavar="PACKAGE",
    help="Use this plugin package, and no other that is not named so. [default: FRAME_PLUGIN_ALLOW, else all]",
)
def main(no_plugins: bool, plugin_allow: tuple[str, ...]) -> None:
    """Run data pipelines made of plugins, with every row's every step on record."""
    if no_plugins or plugin_allow:
        os.environ["FRAME_PLUGIN_ALLOW"] = ",".join(plugin_allow)
