"""Options and arguments that several subcommands take."""

from pathlib import Path
from typing import Any

import click

PIPELINE = click.argument("pipeline", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, for programs.")
AUDIT = click.option(
    "--audit",
    metavar="URL",
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


class FrameCommand(click.Command):
    """A subcommand; every one takes `--debug`, which main reads from the raw arguments."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            click.Option(
                ["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."
            )
        )
