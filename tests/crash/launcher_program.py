"""Starts `frame` quickly: imports it once, and forks a process for every command that stdin asks for.

What is forked is a process like any other: it runs `frame` from the command line's entry point to the end of the
interpreter, and is killed for real. Only the 0.4 s of imports are not paid again. Requests and answers are JSON, a
line each.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

PRELOADED = (
    "frame.cli.commands.run",
    "frame.cli.commands.resume",
    "frame.cli.commands.verify",
    "frame.cli.exit_codes",
    "frame.cli.failures",
    "frame.cli.main",
    "frame.cli.rendering.summary",
    "frame.cli.logs",
    "frame.cli.signals",
    "frame.operations",
    "frame.audit.database",
    "frame.audit.recorder",
    "frame.audit.opening",
    "frame.telemetry.progress_display",
    "frame.engine.attempts",
    "frame.engine.resumption",
    "frame.engine.reenactment",
    "frame_std.hooks",
    "frame_files.hooks",
    "frame_files.csv_source",
    "frame_files.csv_sink",
    "frame_files.jsonl_sink",
    "crash_plugins.transforms",
    "crash_plugins.aggregations",
    "crash_plugins.ledger",
    "crash_plugins.post",
    "crash_plugins.append",
    "crash_plugins.hooks",
    "email.policy",
    "importlib_metadata",
    "encodings.idna",
    "pyarrow",
    "pyarrow.parquet",
    "sqlite3",
    "frame.audit.postgresql_session",
    "sqlalchemy.dialects.postgresql.psycopg",
    "http.client",
    "cel",
)


def serve() -> None:
    """Until stdin ends."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    gc.collect()
    gc.freeze()
    print(json.dumps({"threads": threads()}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(request)
            return
        print(json.dumps(waited(pid, request["limit_s"])), flush=True)


def threads() -> list[str]:
    """The names of the threads that a fork would lose; jemalloc, which pyarrow brings, starts its own anew."""
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if name != "jemalloc_bg_thd"]


def waited(pid: int, limit_s: float) -> dict[str, Any]:
    """How process `pid` ended; one that takes too long is killed."""
    descriptor = os.pidfd_open(pid)
    began = time.monotonic()
    ready, _, _ = select.select([descriptor], [], [], limit_s)
    os.close(descriptor)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "hung": not ready,
        "took_s": time.monotonic() - began,
    }


def become(request: dict[str, Any]) -> None:
    """Turn this process into the `frame` that is asked for."""
    os.setsid()
    os.chdir(request["cwd"])
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - these last as long as the process
    os.environ.update(request["env"])
    sys.argv = ["frame", *request["args"]]
    failpoints = sys.modules.get("frame.failpoints")
    if failpoints is not None:
        failpoints.arm(os.environ.get("FRAME_FAILPOINT", ""))  # as if it had been imported just now
    ctypes.CDLL(os.environ["LD_PRELOAD"]).crash_arm()


if __name__ == "__main__":
    serve()
    if len(sys.argv) > 1 or sys.argv[0] == "frame":
        from frame.cli.main import main

        main(sys.argv[1:])
