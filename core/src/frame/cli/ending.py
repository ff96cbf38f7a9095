"""How the process of a command ends: no plugin makes unfinished work look finished, and no secret is left in a dump."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from frame.cli.exit_codes import ExitCode

TOLD = "a plugin has ended the process before the command was done"
TOLD_OF_A_RUN = "a plugin has ended the process; what was committed is safe, and `frame resume` goes on"


def leave_no_core_file() -> None:
    """Let a crash of this process write no image of its memory, where the run's secrets are."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))


@contextmanager
def no_success_before_the_end(code: ExitCode = ExitCode.PLUGIN, said: str = TOLD) -> Iterator[None]:
    """While it is entered, `os._exit(0)` ends this process with `code`, and `said` tells why."""
    end, process = os._exit, os.getpid()

    def told(status: int) -> None:
        if status == 0 and os.getpid() == process:
            os.write(2, f"\nframe: {said}\n".encode())
            status = code
        end(status)

    os._exit = told  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = end
