"""The exit codes of `frame`: documented, tested, and never given another meaning."""

import signal
from enum import IntEnum
from typing import TYPE_CHECKING

from frame import errors

if TYPE_CHECKING:
    from frame.engine.result import RunResult


class ExitCode(IntEnum):
    """What the end of a command says to the shell."""

    DONE = 0
    FAILED = 1
    """What was asked for failed: the run failed or left dead letters, a check failed, a replay differs."""
    USAGE = 2
    INVALID = 3
    """The configuration is invalid; nothing was opened or touched."""
    PLUGIN = 4
    """A plugin is missing, broken, incompatible or in conflict."""
    WAITING = 5
    """Suspended tokens are left."""
    STOPPED = 6
    """Stopped, and nothing is lost: disk full, a source, a sink or the database down, cancelled."""
    TAMPERED = 7
    REFUSED = 8
    BUG = 70
    LATER = 75
    """Another process holds what is needed."""
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


OF_ERRORS: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (errors.UnusablePlugins, ExitCode.PLUGIN),
    (errors.ConfigError, ExitCode.INVALID),
    (errors.UsageError, ExitCode.USAGE),
    (errors.PluginError, ExitCode.PLUGIN),
    (errors.SourceError, ExitCode.STOPPED),
    (errors.SinkError, ExitCode.STOPPED),
    (errors.DamagedRecord, ExitCode.TAMPERED),
    (errors.AuditDenied, ExitCode.REFUSED),
    (errors.AuditError, ExitCode.STOPPED),
    (errors.ExportError, ExitCode.STOPPED),
    (errors.OutOfResources, ExitCode.STOPPED),
    (errors.Refused, ExitCode.REFUSED),
    (errors.TryAgainLater, ExitCode.LATER),
    (errors.FrameBug, ExitCode.BUG),
    (errors.FrameError, ExitCode.FAILED),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (BaseException, ExitCode.BUG),
)
"""The first class that an error is an instance of decides."""


def of_error(error: BaseException) -> ExitCode:
    """The exit code of a command that `error` ended.

    >>> of_error(errors.SinkError("out", "the disk is full")), of_error(ZeroDivisionError())
    (<ExitCode.STOPPED: 6>, <ExitCode.BUG: 70>)
    """
    if errors.is_scarcity(error):
        return ExitCode.STOPPED
    return next(code for kind, code in OF_ERRORS if isinstance(error, kind))


def of_result(result: "RunResult", strict: bool = False, signal_number: int | None = None) -> ExitCode:
    """The exit code of a run. `strict`: any failed token is a failure. `signal_number`: what asked it to stop."""
    match result.status.value:
        case "interrupted":
            return ExitCode.STOPPED if signal_number is None else ExitCode(128 + signal_number)
        case "waiting":
            return ExitCode.WAITING
        case "failed" if result.cause is not None:
            code = of_error(result.cause)
            # INVALID says that nothing was opened, and here a run is on record: what it was begun with is gone.
            return ExitCode.REFUSED if code is ExitCode.INVALID else code
    failed = not result.ok or (strict and result.counters["failed"] > 0)
    return ExitCode.FAILED if failed else ExitCode.DONE
