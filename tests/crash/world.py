"""A folder in which one pipeline runs, what runs in it, and what is in the world afterwards."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.pipelines import Pipeline
from tests.crash.records import Record, SqliteRecord
from tests.crash.shim import NONE, Fault, build

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT_S = 60.0
SOURCES = ("core/src", "plugins/frame-files/src", "plugins/frame-std/src")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: `code` is negative for a signal."""

    code: int
    stdout: str
    stderr: str
    hung: bool = False

    @property
    def was_killed(self) -> bool:
        return self.code == -9 and not self.hung


class Frame:
    """The `frame` of the sources under `tree`, with the harness's plugins and the shim, forked for every command."""

    def __init__(self, home: Path, tree: Path = ROOT, packages: Path | None = None) -> None:
        self.home = home
        self.library = build(home)
        self.packages = packages or install_plugins(home / "packages")
        paths = [str(self.packages), *(str(tree / source) for source in SOURCES)]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "LD_PRELOAD": str(self.library),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
        }
        for name in ("CRASH_MODE", "FRAME_AUDIT", "FRAME_FAILPOINT"):
            self.environment.pop(name, None)
        self._launcher = self._launched()

    def _launched(self) -> subprocess.Popen[str]:
        launcher = subprocess.Popen(
            [sys.executable, str(HERE / "launcher_program.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            text=True,
        )
        assert launcher.stdout is not None
        ready = launcher.stdout.readline()
        assert len(json.loads(ready or "{}").get("threads", ())) == 1, f"cannot be forked: {ready}"
        return launcher

    def __call__(
        self,
        folder: Path,
        *args: str,
        fault: Fault = NONE,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        limit_s: float = LIMIT_S,
    ) -> Ended:
        """Run `frame ARGS` in `folder` until it ends. `log`: where the shim puts down the calls."""
        said = self.home / "stdout.txt", self.home / "stderr.txt"
        request: dict[str, Any] = {
            "cwd": str(folder),
            "args": args,
            "env": {**fault.environment(folder, log), **(env or {"FRAME_FAILPOINT": ""})},
            "stdout": str(folder / "stdout.txt") if fault.stdout else str(said[0]),
            "stderr": str(said[1]),
            "limit_s": limit_s,
        }
        assert self._launcher.stdin is not None
        assert self._launcher.stdout is not None
        self._launcher.stdin.write(json.dumps(request) + "\n")
        self._launcher.stdin.flush()
        answer = json.loads(self._launcher.stdout.readline())
        stdout, stderr = (path.read_text(errors="replace") for path in (Path(request["stdout"]), said[1]))
        return Ended(answer["code"], stdout, stderr, answer["hung"])

    def start(self, folder: Path, *args: str, failpoint: str = "") -> subprocess.Popen[str]:
        """`frame ARGS` as a process of its own, not forked, that runs beside the test."""
        return subprocess.Popen(
            [sys.executable, "-m", "frame", *args],
            cwd=folder,
            env={**self.environment, "FRAME_FAILPOINT": failpoint},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        assert self._launcher.stdin is not None
        self._launcher.stdin.close()
        self._launcher.wait(timeout=30)
        if self._launcher.stdout is not None:
            self._launcher.stdout.close()


def install_plugins(target: Path) -> Path:
    """The harness's plugin package, built and installed by pip into `target`, as any user's would be."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    command = (*pip, "install", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(target))
    # Built from a copy, so that two test processes do not build in one folder.
    copy = target.with_name(target.name + "-source")
    shutil.copytree(HERE / "plugins", copy)
    done = subprocess.run([*command, str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sysconfig.get_path("purelib") not in str(target)
    return target


class Service:
    """The loopback service, in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.service_program"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def state(self, case: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{case}", timeout=30) as answer:
            return json.load(answer)

    def forget(self, case: str, audit: str) -> None:
        """Begin anew; deliveries have to be announced in the store at the URL `audit`."""
        said = json.dumps({"audit": audit}).encode()
        with urllib.request.urlopen(f"{self.url}/{case}/forget", data=said, timeout=30) as answer:
            answer.read()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


class World:
    """A folder for runs of `pipeline`, made anew for each case at the same path.

    `record`: where frame keeps its record, a file in the folder if not given.
    """

    def __init__(
        self, pipeline: Pipeline, folder: Path, service: Service, record: Record | None = None
    ) -> None:
        self.pipeline, self.folder, self.service = pipeline, folder, service
        self.record = record or SqliteRecord(self.audit)
        self.case = f"{folder.parent.name}-{pipeline.name}"

    @property
    def audit(self) -> Path:
        """The file of a record in SQLite."""
        return self.folder / "audit.db"

    @property
    def url(self) -> str:
        """Where the record is."""
        return self.record.url

    def begin(self) -> None:
        """Only the pipeline and its input are there, and the service knows nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.record.empty()
        text = self.pipeline.text.replace("{audit}", self.url)
        text = text.replace("{service}", f"{self.service.url}/{self.case}")
        (self.folder / "pipeline.yaml").write_text(text)
        (self.folder / "in.csv").write_text(self.pipeline.rows)
        for name, content in self.pipeline.files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                (self.folder / name).write_text(content)
            else:
                content(self.folder / name)
        if self.pipeline.uses_service:
            self.service.forget(self.case, self.url)

    def contents(self, run_id: str) -> dict[str, Any]:
        """What the sinks hold: bytes of files, rows of tables, deliveries that were applied."""
        held: dict[str, Any] = {}
        for name in self.pipeline.outputs:
            path = self.folder / name
            held[name] = path.read_bytes() if path.exists() else None
        for name in self.pipeline.databases:
            held[name] = tables_of(self.folder / name, run_id)
        for name in self.pipeline.at_least_once:
            held[name] = once(self.folder / name)
        if self.pipeline.uses_service:
            state = self.service.state(self.case)
            held["service"] = [(key.replace(run_id, "RUN"), body) for key, body in state["applied"]]
            held["unannounced"] = state["unannounced"]
        held["left over"] = self.left_over()
        return held

    def left_over(self) -> list[str]:
        """Files that a run which has ended well must not leave behind."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.part"))


def tables_of(path: Path, run_id: str) -> Sequence[Any]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        ]
        tables = [connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names]
    return [sorted(str(row).replace(run_id, "RUN") for row in table) for table in tables]


def once(path: Path) -> list[Any]:
    """The rows in the file at `path` by the write that they came with, each once.

    A write that a crash cut short may stand there in part, before the whole one.
    """
    writes: dict[int, set[str]] = {}
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for line in lines:
        try:
            number, row = json.loads(line)
        except ValueError:
            continue
        writes.setdefault(int(number), set()).add(json.dumps(row, sort_keys=True))
    return [(number, sorted(rows)) for number, rows in sorted(writes.items())]
