"""How a command that did not succeed says so: what, where, what would help, and an exit code."""

import sys
import traceback
from collections.abc import Sequence

import click

from frame.cli.exit_codes import ExitCode, of_error
from frame.cli.output import NobodyReads, complain, hand_over, leave_stdout, print_json, say
from frame.errors import ConfigError, FrameError, is_scarcity
from frame.secrecy import PROCESS

SCHEMA_VERSION = 1


def report(error: BaseException, arguments: Sequence[str]) -> int:
    """Tell the user of `error`, and return the exit code.

    `arguments`: of the command line as they were typed, since an error may come before they are understood.
    """
    debug, as_json = "--debug" in arguments, "--json" in arguments
    if isinstance(error, NobodyReads):
        return _nobody_reads(error)
    if isinstance(error, click.Abort):
        error = KeyboardInterrupt()
    if isinstance(error, click.ClickException):
        return _misused(error, as_json)
    code = of_error(error)
    if debug:
        say("".join(traceback.format_exception(error)).rstrip())
    _tell(error, debug)
    if as_json:
        try:
            print_json(_as_json(error, code))
            hand_over()
        except NobodyReads:
            leave_stdout()
    return code


def _tell(error: BaseException, debug: bool) -> None:
    match error:
        case ConfigError():
            problems = error.problems
            say(*(str(problem) for problem in problems))
            complain(f"{len(problems)} problem{'s' * (len(problems) != 1)}; nothing was opened or touched")
        case FrameError():
            complain(str(error))
        case MemoryError():
            complain("there is no memory left; what was committed is safe")
        case KeyboardInterrupt():
            complain("interrupted")
        case OSError() if is_scarcity(error):
            where = f": {error.filename}" if error.filename else ""
            complain(f"{error.strerror}{where}; what was committed is safe")
        case _:
            complain(f"{type(error).__name__}: {error}".strip())
            complain(
                f"this is a fault in frame; please report it with {'this' if debug else 'the output of --debug'}"
            )


def _as_json(error: BaseException, code: ExitCode) -> dict[str, object]:
    said: dict[str, object] = {"type": type(error).__name__, "message": PROCESS.text(str(error))}
    if isinstance(error, ConfigError):
        said["problems"] = [
            {
                "message": PROCESS.text(problem.message),
                "remedy": PROCESS.text(problem.remedy),
                "field": problem.field,
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
            }
            for problem in error.problems
        ]
    return {"schema_version": SCHEMA_VERSION, "error": said, "exit_code": int(code)}


def _misused(error: click.ClickException, as_json: bool) -> int:
    """A command line that makes no sense; click knows how to show its usage."""
    error.show(sys.stderr)
    if as_json:
        print_json(_as_json(error, ExitCode.USAGE))
    return ExitCode.USAGE


def _nobody_reads(error: NobodyReads) -> int:
    leave_stdout()
    why = (
        f"standard output cannot be written: {error}"
        if error.args
        else "nobody reads standard output any more"
    )
    complain(f"{why}; what was left of it is not written")
    return ExitCode.FAILED
