"""`frame dead-letters`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frame.cli.conducting import conducting
from frame.cli.options import AUDIT, BESIDE, JSON, MOVED, FrameCommand

if TYPE_CHECKING:
    from frame.operations import Retried

RUN = click.argument("run")
TOKENS = click.argument("tokens", type=click.IntRange(min=0), nargs=-1, metavar="[TOKEN]...")
EVERY = click.option("--all", "every", is_flag=True, help="All that are open.")


@click.group("dead-letters")
def command() -> None:
    """Look after rows that failed and that nothing in the pipeline handled.

    Mend what made them fail, then `retry` them; or say with `resolve` why nothing is to be done. RUN is a run id, the
    beginning of one, or latest; a TOKEN is a number that `list` shows.
    """


@command.command("list", cls=FrameCommand)
@click.argument("run", required=False)
@click.option("--all", "settled", is_flag=True, help="Also those that were retried or resolved.")
@AUDIT
@BESIDE
@JSON
def list_letters(
    run: str | None, settled: bool, audit: str | None, beside: Path | None, as_json: bool
) -> None:
    """List the open dead letters of RUN, or of all runs in the audit store."""
    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.dead_letters import table
    from frame.operations import dead_letters

    found = dead_letters(run, settled=settled, audit=audit, pipeline=beside)
    if as_json:
        print_json(found.as_json())
    else:
        print_data(table(found, settled))


@command.command(cls=FrameCommand)
@RUN
@click.argument("token", type=click.IntRange(min=0))
@AUDIT
@BESIDE
@JSON
def show(run: str, token: int, audit: str | None, beside: Path | None, as_json: bool) -> None:
    """Show one dead letter: its row as it came to the node, what went wrong there, what was done about it."""
    from frame.cli.output import plugins_apart, print_data, print_json
    from frame.cli.rendering.dead_letters import letter, letter_as_json
    from frame.operations import dead_letter, explain
    from frame.operations.stores import store_url

    url = store_url(audit, beside)
    found = dead_letter(run, token, audit=url)
    with plugins_apart():
        story = explain(found.run_id, token=token, audit=url)
    if as_json:
        print_json(letter_as_json(found, story))
    else:
        print_data(letter(found, story))


@command.command(cls=FrameCommand)
@RUN
@TOKENS
@EVERY
@AUDIT
@MOVED
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Go on with options or plugins that have changed since, as when one was mended; what differs goes on record.",
)
@conducting
def retry(
    run: str,
    tokens: tuple[int, ...],
    every: bool,
    audit: str | None,
    pipeline: Path | None,
    accept_changes: bool,
    **shown: Any,
) -> int:
    """Carry dead letters of RUN on from the node where they failed, in a new run that is linked to it.

    Its rows join those that RUN has written: a file that RUN has published is published anew with them added. What
    fails again is a dead letter of the new run. RUN itself stays as it was.

    \b
    Refused (exit code 8) when
      - RUN has not come to its end: `frame resume` it first
      - the pipeline file or its plugins have changed: the message lists what; say --accept-changes if that is
        why you retry (never for other nodes or ways)
      - a token is on a branch whose siblings were joined without it
      - a published file was changed since, or rows that are needed have been purged
    If the new run is stopped, `frame resume` goes on with it. The other exit codes are those of `frame run`.
    """
    from frame.cli.conducting import conduct, store_option
    from frame.cli.rendering.dead_letters import retried_as_json
    from frame.operations import retry_dead_letters

    named = _chosen(tokens, every)
    again = partial(
        retry_dead_letters, run, named, pipeline=pipeline, audit=audit, accept_changes=accept_changes
    )
    done: list[Retried] = []

    def carry_on(stop: Any, listeners: Any, clock: Any) -> Any:
        done.append(again(stop=stop, listeners=listeners, clock=clock))
        return done[0].result

    code = conduct(
        carry_on, lambda: store_option(audit, pipeline), **shown, facts=lambda: retried_as_json(done[0])
    )
    _tell(done[0], code, as_json=shown["as_json"], quiet=shown["quiet"])
    return code


def _tell(done: "Retried", code: int, *, as_json: bool, quiet: bool) -> None:
    """What a retry came to beside its run, which has told of itself if there was one."""
    from frame.cli.output import print_json, say
    from frame.cli.rendering.dead_letters import kept_lines, retried_as_json, retried_line

    if done.result is None and as_json:
        print_json({"schema_version": 1, "run": None, **retried_as_json(done), "exit_code": code})
    said = [*kept_lines(done), *([] if quiet else [retried_line(done)])]
    if said:
        say(*said)


@command.command(cls=FrameCommand)
@RUN
@TOKENS
@EVERY
@click.option("--reason", required=True, metavar="TEXT", help="Why nothing is to be done, for the record.")
@AUDIT
@BESIDE
@JSON
def resolve(
    *,
    run: str,
    tokens: tuple[int, ...],
    every: bool,
    reason: str,
    audit: str | None,
    beside: Path | None,
    as_json: bool,
) -> None:
    """Put on record that dead letters of RUN need nothing: who says so, when, and why."""
    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.dead_letters import resolved
    from frame.operations import resolve_dead_letters

    done = resolve_dead_letters(run, _chosen(tokens, every), reason=reason, audit=audit, pipeline=beside)
    if as_json:
        print_json(done.as_json())
    else:
        print_data(resolved(done))


def _chosen(tokens: Sequence[int], every: bool) -> Sequence[int] | None:
    """The tokens that were named, None for all."""
    if bool(tokens) == every:
        raise click.UsageError("Say which: the tokens, or --all.")
    return None if every else tokens
