"""What `frame run` and `frame resume` share: signals, progress on stderr, the summary, the exit code."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from frame.cli.options import JSON

if TYPE_CHECKING:
    import threading

    from frame.clock import Clock
    from frame.engine.result import RunResult
    from frame.telemetry.listeners import Listener

Conducted = Callable[["threading.Event", "Sequence[Listener]", "Clock"], "RunResult | None"]
"""Runs a pipeline: until the event is set, heard by the listeners, by the clock. None: there was nothing to run."""

_OPTIONS = (
    click.option(
        "--strict", is_flag=True, help="Exit with 1 if any row failed, also where the pipeline handles it."
    ),
    JSON,
    click.option(
        "-q", "--quiet", is_flag=True, help="Show no progress and no summary, only what goes wrong."
    ),
    click.option("-v", "--verbose", count=True, help="Show what plugins log; twice: everything."),
)


def conducting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options `strict`, `as_json`, `quiet` and `verbose`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def conduct(
    run: Conducted,
    store_option: Callable[[], str],
    *,
    strict: bool,
    as_json: bool,
    quiet: bool,
    verbose: int,
    facts: Callable[[], Mapping[str, Any]] = dict,
) -> int:
    """Run it, tell of it, and return the exit code.

    `store_option`: what other commands have to be told so that they find the record. `facts`: what the JSON has
    beside the result.
    """
    from frame.cli.exit_codes import of_result
    from frame.cli.logs import logs_to_stderr
    from frame.cli.output import complain, print_json, say
    from frame.cli.rendering.summary import summary
    from frame.cli.signals import StopOnSignal

    logs_to_stderr(verbose)
    with StopOnSignal(complain) as signals:
        result = _shown(run, signals.stop, quiet)
    if result is None:
        return 0
    code = of_result(result, strict, signals.received)
    if as_json:
        print_json({**result.as_json(), **facts(), "exit_code": int(code)})
    if not quiet or not result.ok:
        head, *rest = summary(result, store_option())
        say(head, colour="red" if code else "yellow" if result.counters["failed"] else "green")
        say(*rest)
    return code


def _shown(run: Conducted, stop: "threading.Event", quiet: bool) -> "RunResult | None":
    """Run it, with progress on stderr."""
    from frame.cli.ending import TOLD_OF_A_RUN, leave_no_core_file, no_success_before_the_end
    from frame.cli.exit_codes import ExitCode
    from frame.cli.output import plugins_apart
    from frame.clock import SystemClock
    from frame.telemetry.progress_display import JsonProgress, TableProgress

    clock = SystemClock()
    leave_no_core_file()
    with plugins_apart(), no_success_before_the_end(ExitCode.STOPPED, TOLD_OF_A_RUN):
        # Without a terminal a run of less than a second has nothing to say: the summary tells how it ended.
        progress = (
            TableProgress(sys.stderr, clock)
            if sys.stderr.isatty()
            else JsonProgress(sys.stderr, clock, ends=False)
        )
        return run(stop, () if quiet else (progress,), clock)


def store_option(audit: str | None, pipeline: Any) -> str:
    """What other commands have to be told so that they find the same record; "" where they do by themselves."""
    import shlex

    from frame.errors import FrameError
    from frame.operations.stores import store_url

    try:
        if store_url() == store_url(audit, pipeline):
            return ""
    except FrameError:
        pass
    if audit:
        return f" --audit {shlex.quote(audit)}"
    return f" --pipeline {shlex.quote(str(pipeline))}" if pipeline else ""
