"""`frame resume`."""

from pathlib import Path
from typing import Any

import click

from frame.cli.conducting import conducting
from frame.cli.options import AUDIT, MOVED, FrameCommand


@click.command("resume", cls=FrameCommand)
@click.argument("run")
@AUDIT
@MOVED
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Go on although options or plugins have changed since the run began; what differs goes on record.",
)
@conducting
def command(run: str, audit: str | None, pipeline: Path | None, accept_changes: bool, **shown: Any) -> int:
    """Go on with RUN, which was stopped or has crashed, as if nothing had happened.

    RUN is a run id, the beginning of one, or latest. Rows that were read are not read again, what a sink has
    confirmed is not written again, and the result is that of a run which was never stopped.

    \b
    Refused (exit code 8) when
      - the run has come to its end: run the pipeline anew, `frame dead-letters retry` for rows that failed, or
        `frame replay` to do it over and compare
      - the pipeline file, its plugins or the input have changed, or the input is gone: the message lists what; put
        it back, or say --accept-changes (never for other nodes or another input)
      - rows that are needed have been purged from the record
    75 means that another process works on the run: wait until it ends, or until its lease runs out.
    The other exit codes are those of `frame run`.
    """
    from frame.cli.conducting import conduct, store_option
    from frame.operations import resume

    return conduct(
        lambda stop, listeners, clock: resume(
            run,
            pipeline=pipeline,
            audit=audit,
            accept_changes=accept_changes,
            stop=stop,
            listeners=listeners,
            clock=clock,
        ),
        lambda: store_option(audit, pipeline),
        **shown,
    )
