"""Runs a pipeline with telemetry as it is shipped, or as if there were none in frame.

    python told.py as-shipped|without PIPELINE

Prints two numbers: the CPU seconds that the run took, and those of them that went into telemetry (the SDK's import,
making spans, exporting them). Stderr, where spans go, is sent to nowhere.
"""

import os
import sys
from collections.abc import Callable
from time import process_time, thread_time
from typing import Any

from frame.operations import run as operation
from frame.telemetry.listeners import Audience


class Account:
    """Adds up the CPU time of calls, each in the thread that makes it."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def of(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, which is charged from now on."""

        def charged(*args: Any, **options: Any) -> Any:
            started = thread_time()
            try:
                return call(*args, **options)
            finally:
                self.spent_s += thread_time() - started

        return charged


def charge(account: Account, module: Any) -> None:
    """Have all of telemetry charged to `account`."""
    for name in ("run_started", "committed", "run_finished"):
        setattr(Audience, name, account.of(getattr(Audience, name)))
    module.listener_from_environment = account.of(module.listener_from_environment)
    if os.environ.get("OTEL_TRACES_EXPORTER"):
        account.of(charge_exporter)(account)


def charge_exporter(account: Account) -> None:
    """The exporter works in a thread of its own."""
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    ConsoleSpanExporter.export = account.of(ConsoleSpanExporter.export)  # type: ignore[method-assign]


def main(which: str, pipeline: str) -> None:
    """Run it."""
    module = sys.modules[operation.__module__]
    account = Account()
    if which == "without":
        module.listener_from_environment = lambda *_: None  # type: ignore[attr-defined]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    started = process_time()
    if which == "as-shipped":
        charge(account, module)
    result = operation(pipeline)
    print(process_time() - started, account.spent_s)
    sys.exit(not result.ok)


if __name__ == "__main__":
    main(*sys.argv[1:])
