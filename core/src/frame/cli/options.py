"""Options and arguments that several subcommands take."""

from pathlib import Path
from typing import Any

import click


def without_password(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    """`url`, unless it has a password and was typed: every process of the machine can read a command line."""
    from click.core import ParameterSource

    from frame.secrecy import passwords_in

    typed = parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    if typed and any(passwords_in(url)):
        raise click.BadParameter(
            "a password on the command line can be read by every process: leave it to PGPASSFILE (~/.pgpass) or "
            "PGPASSWORD, or put the whole URL into FRAME_AUDIT."
        )
    return url


PIPELINE = click.argument("pipeline", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, for programs.")
AUDIT = click.option(
    "--audit",
    metavar="URL",
    callback=without_password,
    help="The audit store, as in sqlite:///audit.db. [default: FRAME_AUDIT, else "
    ".frame/audit.db of the pipeline or of this folder]",
)
BESIDE = click.option(
    "--pipeline",
    "beside",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Look in the audit store of this pipeline.",
)
MOVED = click.option(
    "--pipeline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The pipeline file of the run, if it has moved. [default: where the record says it was]",
)
LOCKED = click.option("--locked", is_flag=True, help="Refuse a pipeline without a plugins.lock beside it.")


class FrameCommand(click.Command):
    """A subcommand; every one takes `--debug`, which main reads from the raw arguments."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            click.Option(
                ["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."
            )
        )
