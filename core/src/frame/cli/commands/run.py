"""`frame run`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from frame.cli.options import JSON, PIPELINE, FrameCommand

if TYPE_CHECKING:
    from frame.cli.signals import StopOnSignal
    from frame.engine.result import RunResult


@click.command("run", cls=FrameCommand)
@PIPELINE
@click.option(
    "--audit",
    metavar="URL",
    envvar="FRAME_AUDIT",
    help="Keep the record here, as in sqlite:///audit.db. [default: FRAME_AUDIT, else what the pipeline says, "
    "else .frame/audit.db beside it]",
)
@click.option(
    "--strict", is_flag=True, help="Exit with 1 if any row failed, also where the pipeline handles it."
)
@JSON
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no summary, only what goes wrong.")
@click.option("-v", "--verbose", count=True, help="Show what plugins log; twice: everything.")
def command(pipeline: Path, audit: str | None, strict: bool, as_json: bool, quiet: bool, verbose: int) -> int:
    """Run PIPELINE and record what happens to every row.

    Progress and the summary go to stderr, so that a sink may write to stdout. The first Ctrl-C finishes the chunk
    in hand and stops; the second one stops at once.

    \b
    Exit codes:
      0   done; rows that failed were handled as the pipeline says
      1   failed, or rows failed that nothing handles (dead letters)
      3   the pipeline is not valid     4   a plugin is missing or broken
      6   stopped by a fault of the source, a sink or the audit store
      130, 143   stopped by Ctrl-C or SIGTERM
    """
    from frame.cli.exit_codes import of_result
    from frame.cli.logs import logs_to_stderr
    from frame.cli.output import complain, print_json, say
    from frame.cli.rendering.summary import summary
    from frame.cli.signals import StopOnSignal

    logs_to_stderr(verbose)
    if as_json:
        _keep_stdout_free(pipeline)
    with StopOnSignal(complain) as signals:
        result = _run(pipeline, audit, quiet, signals)
    code = of_result(result, strict, signals.received)
    if as_json:
        print_json({**result.as_json(), "exit_code": int(code)})
    if not quiet or not result.ok:
        head, *rest = summary(result, _store_option(pipeline, audit))
        say(head, colour="red" if code else "yellow" if result.counters["failed"] else "green")
        say(*rest)
    return code


def _store_option(pipeline: Path, audit: str | None) -> str:
    """What other commands have to be told so that they find the record of this run; "" where they do by themselves."""
    import shlex

    from frame.errors import FrameError
    from frame.operations.stores import store_url

    try:
        if store_url() == store_url(audit, pipeline):
            return ""
    except FrameError:
        pass
    return f" --audit {shlex.quote(audit)}" if audit else f" --pipeline {shlex.quote(str(pipeline))}"


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


def _run(pipeline: Path, audit: str | None, quiet: bool, signals: "StopOnSignal") -> "RunResult":
    """Run it, with progress on stderr, and with what plugins print kept off stdout."""
    from frame.cli.output import PluginPrints
    from frame.clock import SystemClock
    from frame.operations import run
    from frame.telemetry.progress_display import JsonProgress, TableProgress

    clock = SystemClock()
    # Without a terminal a run of less than a second has nothing to say: the summary tells how it ended.
    shown = (
        TableProgress(sys.stderr, clock)
        if sys.stderr.isatty()
        else JsonProgress(sys.stderr, clock, ends=False)
    )
    stdout, sys.stdout = sys.stdout, PluginPrints.instead_of(sys.stdout)
    try:
        return run(
            pipeline,
            audit=audit,
            stop=signals.stop,
            listeners=() if quiet else (shown,),
            clock=clock,
        )
    finally:
        sys.stdout = stdout
