"""`frame replay`."""

from pathlib import Path

import click

from frame.cli.options import AUDIT, JSON, MOVED, FrameCommand


@click.command("replay", cls=FrameCommand)
@click.argument("run")
@click.option("--live", metavar="NODE", help="Call this node for real, and say where it differs.")
@AUDIT
@MOVED
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Compare although options or plugins have changed since the run took place.",
)
@click.option(
    "-n",
    "--most",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="Show the first N differences.",
)
@JSON
def command(
    *,
    run: str,
    live: str | None,
    audit: str | None,
    pipeline: Path | None,
    accept_changes: bool,
    most: int,
    as_json: bool,
) -> int:
    """Do RUN over from its record and compare everything that comes out with it.

    RUN is a run id, the beginning of one, or latest. Transforms, gates, aggregations and merges are run again on the
    recorded rows; calls of the outside world are answered from the record; what cannot be made again is taken from
    it. No source is read, no sink is opened, and the record stays as it is. With --live the calls of one node are
    made for real.

    \b
    Exit codes:
      0   all came out as it is on record
      1   something came out otherwise
      8   refused: the pipeline or its plugins are not those of the run (see --accept-changes), or data that a
          replay needs is gone
    """
    from frame.cli.exit_codes import ExitCode
    from frame.cli.output import plugins_apart, print_data, print_json
    from frame.cli.rendering.replay import report
    from frame.operations import replay

    with plugins_apart():
        found = replay(
            run, live=live, pipeline=pipeline, audit=audit, accept_changes=accept_changes, most=most
        )
    if as_json:
        print_json(found.as_json())
    else:
        print_data(report(found))
    return ExitCode.DONE if found.ok else ExitCode.FAILED
