"""`frame explain`."""

from pathlib import Path
from typing import Any

import click

from frame.cli.options import AUDIT, BESIDE, JSON, FrameCommand


@click.command("explain", cls=FrameCommand)
@click.argument("run")
@click.option("--row", type=click.IntRange(min=0), metavar="N", help="Source row N, counted from 0.")
@click.option("--token", type=click.IntRange(min=0), metavar="T", help="Token T, as in `frame runs show`.")
@click.option("--sink", metavar="NAME", help="With --index: a row of this sink.")
@click.option("--index", type=click.IntRange(min=0), metavar="I", help="Row I of the sink, counted from 0.")
@click.option("--field", metavar="F", help="Only how this field came to its value.")
@click.option(
    "--forward", is_flag=True, help="Also everything that came of it: sinks, batches, later tokens."
)
@click.option(
    "--members",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="List at most N members of a batch and N source rows.",
)
@click.option("--all-members", is_flag=True, help="List all of them.")
@click.option("--proof", is_flag=True, help="Print a proof instead, as JSON, for `frame verify --proof`.")
@AUDIT
@BESIDE
@JSON
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    run: str,
    audit: str | None,
    beside: Path | None,
    as_json: bool,
    field: str | None,
    forward: bool,
    members: int,
    all_members: bool,
    proof: bool,
    **which: Any,
) -> None:
    """Tell what happened in RUN to one row: every step, with its data, and why.

    RUN is a run id, the beginning of one, or latest. Name the row by one of --row, --token, or --sink and --index;
    from a row of a sink the story goes back to every source row that it was made of.

    With --proof: what leads from a source row, or a row of a sink, up to a signed checkpoint of the record.
    """
    from frame.cli.output import plugins_apart, print_data, print_json
    from frame.cli.rendering.explanation import text
    from frame.operations import explain
    from frame.operations.stores import store_url

    named = {name: value for name, value in which.items() if value is not None}
    if set(named) not in ({"row"}, {"token"}, {"sink", "index"}):
        raise click.UsageError("Say which row: --row N, --token T, or --sink NAME --index I.")
    if proof:
        _prove(run, store_url(audit, beside), named)
        return
    with plugins_apart():
        explanation = explain(
            run,
            audit=store_url(audit, beside),
            field=field,
            forward=forward,
            members_limit=None if all_members else members,
            **named,
        )
    if as_json:
        print_json(explanation.as_json())
    else:
        print_data(text(explanation))


def _prove(run: str, audit: str, named: dict[str, Any]) -> None:
    from frame.cli.output import print_json
    from frame.operations import prove

    if "token" in named:
        raise click.UsageError("--proof goes with --row, or with --sink and --index.")
    print_json(prove(run, audit=audit, **named))
