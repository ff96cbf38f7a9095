"""A folder with a pipeline in it, and the real command `frame`, run there under real limits."""

import contextlib
import io
import json
import logging
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from frame.operations import run_info

FRAME = Path(sysconfig.get_path("scripts")) / "frame"
RESUMABLE = 6

MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""Runs a command and tells the most kilobytes that it held, and not what pytest held when it forked."""

ROWS_THROUGH = """
frame: 1
name: attacked
source:
  plugin: {source}
  options: {{path: {input}}}
  schema: {schema}
sinks:
  out: {{plugin: {sink}, options: {{path: out/{output}}}}}
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended. `peak_bytes`: the most memory that it held at once."""

    code: int
    out: str
    err: str
    peak_bytes: int = 0

    def without_traceback(self) -> "Ended":
        """The same, if it told no traceback to anybody."""
        assert "Traceback (most recent call last)" not in self.err + self.out, self.err
        return self

    def says(self, *words: str) -> "Ended":
        """The same, if all `words` stand in its messages."""
        assert [word for word in words if word not in self.err] == [], self.err
        return self


class Place:
    """A folder that a pipeline and its data are put into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def through(
        self,
        content: str | bytes | None,
        *,
        source: str = "csv",
        sink: str = "jsonl",
        name: str | None = None,
        schema: str = "{mode: observed}",
        output: str | None = None,
    ) -> "Place":
        """Put a pipeline here that passes `content` through, from a source into one sink."""
        name, output = name or f"in.{source}", output or f"out.{sink}"
        pipeline = ROWS_THROUGH.format(source=source, sink=sink, input=name, schema=schema, output=output)
        self.put("pipeline.yaml", pipeline)
        if content is not None:
            self.put(name, content)
        return self

    def files(self) -> list[str]:
        """What is in the folder, except folders, the record, and what was put there to begin with."""
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if not path.is_dir()
        )

    def frame(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        limits: Mapping[int, int] | None = None,
        python: tuple[str, ...] = (),
        stdin: bytes = b"",
        timeout_s: float = 120,
    ) -> Ended:
        """Run `frame` with `arguments` here, under `limits` (RLIMIT_... -> value)."""
        with closing(
            self.start(*arguments, environment=environment, limits=limits, python=python)
        ) as started:
            return started.end(stdin, timeout_s)

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        limits: Mapping[int, int] | None = None,
        python: tuple[str, ...] = (),
    ) -> "Started":
        """The same, and don't wait for its end."""
        return Started(self.folder, arguments, environment or {}, limits or {}, python)

    def killed_at(self, point: str, *arguments: str) -> None:
        """Run `frame` with `arguments` until it comes to the failpoint `point`, which kills it."""
        killed = self.frame(*arguments, environment={"FRAME_FAILPOINT": f"{point}=kill"})
        assert killed.code == -signal.SIGKILL, killed

    def run(self, *arguments: str, **how: Any) -> Ended:
        return self.frame("run", "pipeline.yaml", *arguments, **how).without_traceback()

    def measured_run(self) -> Ended:
        """The same, with its peak of memory."""
        peak = self.folder / "peak"
        ended = self.run(python=("-c", MEASURED, str(peak), sys.executable))
        return replace(ended, peak_bytes=int(peak.read_text()) * 1024)

    def run_inside(self) -> Ended:
        """As `run`, in this process."""
        return self.inside("run", "pipeline.yaml")

    def inside(self, *arguments: str) -> Ended:
        """The command with `arguments`, in this process, which saves the time to start one."""
        from frame.cli.main import main

        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        handlers, path = list(logging.root.handlers), list(sys.path)
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            sys.path.insert(0, str(self.folder))
            try:
                with pytest.raises(SystemExit) as ended:
                    main([*arguments])
            finally:
                logging.root.handlers[:], sys.path[:] = handlers, path
        out.seek(0)
        return Ended(int(ended.value.code or 0), out.read(), err.getvalue()).without_traceback()

    def report(self) -> dict[str, Any]:
        """What `frame runs show latest --json` says."""
        return run_info("latest", f"sqlite:///{self.folder}/.frame/audit.db").as_json()

    def json(self, *arguments: str) -> Any:
        """What a command says with --json, whatever its exit code."""
        return json.loads(self.frame(*arguments, "--json").without_traceback().out)

    def rows(self, name: str = "out.jsonl") -> list[dict[str, Any]]:
        """The rows that a jsonl sink has written."""
        return [json.loads(line) for line in self.text(name).splitlines()]

    def text(self, name: str) -> str:
        """The text that a sink has written."""
        return (self.folder / "out" / name).read_text("utf-8")

    def on_record(self, query: str) -> list[tuple[Any, ...]]:
        """What a view of the audit store says."""
        with closing(sqlite3.connect(self.folder / ".frame" / "audit.db")) as store:
            return store.execute(query).fetchall()


class Started:
    """A command that is under way."""

    def __init__(
        self,
        folder: Path,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        limits: Mapping[int, int],
        python: tuple[str, ...],
    ) -> None:
        command = [sys.executable, *python, str(FRAME), *arguments]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FRAME_")}

        def limit() -> None:
            for kind, most in limits.items():
                resource.setrlimit(kind, (most, most))

        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(folder), "NO_COLOR": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=limit,  # noqa: PLW1509 - the tests have no threads, and it only sets limits
        )

    def until(self, true: Callable[[], bool], timeout_s: float = 30) -> "Started":
        """Wait until something is true."""
        end = time.monotonic() + timeout_s
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, "it did not come to that"
            time.sleep(0.01)
        return self

    def signal(self, number: signal.Signals) -> "Started":
        self.process.send_signal(number)
        return self

    def line(self) -> str:
        """The next line of its messages."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().decode().rstrip()

    def end(self, stdin: bytes = b"", timeout_s: float = 60) -> Ended:
        """Wait for the end."""
        out, err = self.process.communicate(stdin, timeout=timeout_s)
        return Ended(self.process.returncode, out.decode(), err.decode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
