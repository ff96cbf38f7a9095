"""`frame runs`."""

from pathlib import Path

import click

from frame.cli.options import AUDIT, BESIDE, JSON, FrameCommand


@click.group("runs")
def command() -> None:
    """Show the runs that are on record."""


@command.command("list", cls=FrameCommand)
@AUDIT
@BESIDE
@click.option("-n", "--most", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@JSON
def list_runs(audit: str | None, beside: Path | None, most: int | None, as_json: bool) -> None:
    """List the runs in the audit store, the newest first."""
    from dataclasses import replace

    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.runs import table
    from frame.operations import runs

    found = runs(audit, beside)
    found = replace(found, runs=found.runs[:most])
    if as_json:
        print_json(found.as_json())
    else:
        print_data(table(found))


@command.command(cls=FrameCommand)
@click.argument("run")
@AUDIT
@BESIDE
@JSON
def show(run: str, audit: str | None, beside: Path | None, as_json: bool) -> None:
    """Show what RUN came to: counts, what each node did, what was written, what went wrong.

    RUN is a run id, the beginning of one, or latest.
    """
    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.runs import report
    from frame.operations import run_info

    found = run_info(run, audit, beside)
    if as_json:
        print_json(found.as_json())
    else:
        print_data(report(found))
