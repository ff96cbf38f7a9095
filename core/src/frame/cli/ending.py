"""No plugin makes an unfinished run look finished."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from frame.cli.exit_codes import ExitCode

TOLD = b"\nframe: a plugin has ended the process; what was committed is safe, and `frame resume` goes on\n"


@contextmanager
def no_success_before_the_end() -> Iterator[None]:
    """While it is entered, `os._exit(0)` ends this process with the code that says that the run was stopped."""
    end, process = os._exit, os.getpid()

    def told(status: int) -> None:
        if status == 0 and os.getpid() == process:
            os.write(2, TOLD)
            status = ExitCode.STOPPED
        end(status)

    os._exit = told  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = end
