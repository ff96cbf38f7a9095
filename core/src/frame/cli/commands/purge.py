"""`frame purge`."""

import sys
from typing import TYPE_CHECKING, Any

import click

from frame.cli.options import AUDIT, BESIDE, JSON, FrameCommand

if TYPE_CHECKING:
    from datetime import timedelta

    from frame.operations import Purged


def _duration(context: click.Context, option: click.Parameter, value: str | None) -> "timedelta | None":
    from frame.config.durations import parse_duration

    if value is None:
        return None
    try:
        # Elsewhere that means seconds; here it would cost the data of nearly every run.
        if value.strip()[-1:].isdigit():
            raise ValueError(f"{value!r} has no unit")
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}: write a number and a unit, as in 90d or 12h.") from error


@click.command("purge", cls=FrameCommand)
@click.option(
    "--older-than", callback=_duration, metavar="AGE", help="Runs that ended longer ago, as in 90d."
)
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    help="This run, by six characters of its id or more; may be given several times.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
@click.option(
    "--give-up",
    is_flag=True,
    help="Also if the run could be resumed: it is ended for good then. Needs --run.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@AUDIT
@BESIDE
@JSON
def command(
    older_than: "timedelta | None",
    runs: tuple[str, ...],
    give_up: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **where: Any,
) -> int:
    """Remove the data of runs from the record: rows, outputs, and what was asked and answered in calls.

    Hashes, lineage, events and error messages stay, so a purged run can still be explained and verified; it cannot
    be replayed any more. The purge goes on record itself: who, when, why and what. Runs that can be resumed or have
    open dead letters keep their data, which is said. With --give-up a run that could be resumed is ended for good.

    \b
    Exit codes:
      0   done, also if there was nothing to remove
      8   a run that was named with --run keeps its data, for the reason that is said
      75  another process has begun to work on the run that is to be given up
    """
    from frame.cli.output import print_data, print_json, say
    from frame.cli.rendering.purge import outcome, plan
    from frame.operations import purge

    where["pipeline"] = where.pop("beside")
    if not dry_run and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        intended = purge(older_than, runs, give_up=give_up, dry_run=True, **where)
        if intended.purged:
            say(plan(intended))
            click.confirm("Remove it?", abort=True, err=True)
    done = purge(older_than, runs, give_up=give_up, dry_run=dry_run, **where)
    if as_json:
        print_json(done.as_json())
    else:
        print_data(plan(done) if dry_run else outcome(done))
    return _code(done, runs)


def _code(done: "Purged", named: tuple[str, ...]) -> int:
    from frame.cli.exit_codes import ExitCode

    return ExitCode.REFUSED if named and done.kept else ExitCode.DONE
