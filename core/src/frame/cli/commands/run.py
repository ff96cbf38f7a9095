"""`frame run`."""

from pathlib import Path
from typing import Any

import click

from frame.cli.conducting import conducting
from frame.cli.options import LOCKED, PIPELINE, FrameCommand, without_password


@click.command("run", cls=FrameCommand)
@PIPELINE
@click.option(
    "--audit",
    metavar="URL",
    envvar="FRAME_AUDIT",
    callback=without_password,
    help="Keep the record here, as in sqlite:///audit.db. [default: FRAME_AUDIT, else what the pipeline says, "
    "else .frame/audit.db beside it]",
)
@LOCKED
@conducting
def command(pipeline: Path, audit: str | None, locked: bool, as_json: bool, **shown: Any) -> int:
    """Run PIPELINE and record what happens to every row.

    Progress and the summary go to stderr, so that a sink may write to stdout. The first Ctrl-C finishes the chunk
    in hand and stops; the second one stops at once. Whatever stopped it, `frame resume` goes on with it.

    \b
    Exit codes:
      0   done; rows that failed were handled as the pipeline says
      1   failed, or rows failed that nothing handles (dead letters)
      3   the pipeline is not valid     4   a plugin is missing or broken
      6   stopped by a fault of the source, a sink or the audit store
      130, 143   stopped by Ctrl-C or SIGTERM
    """
    from frame.cli.conducting import conduct, store_option
    from frame.operations import run

    if as_json:
        _keep_stdout_free(pipeline)
    return conduct(
        lambda stop, listeners, clock: run(
            pipeline, audit=audit, locked=locked, stop=stop, listeners=listeners, clock=clock
        ),
        lambda: store_option(audit, pipeline),
        as_json=as_json,
        **shown,
    )


def _keep_stdout_free(pipeline: Path) -> None:
    """Raises UsageError if a sink of `pipeline` writes to stdout, where the one JSON object is to stand."""
    from frame.config.load import load
    from frame.errors import UsageError

    for name, sink in load(pipeline).config.sinks.items():
        if sink.options.get("path") == "-":
            raise UsageError(
                f"sink {name!r} writes to stdout, and --json would write there, too: leave --json out, or send "
                "the sink to a file"
            )
