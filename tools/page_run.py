"""A page being tested: its steps are taken in order, in a folder of its own."""

import contextlib
import doctest
import io
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools import pages

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 120
PROGRESS = '{"schema_version":1,"event":"progress"'

# Runs with the variables and the folder that the command before it left behind.
SHELL_COMMAND = """if [ -e "$STATE" ]; then . "$STATE"; fi
{command}
code=$?; {{ export -p; echo "cd '$PWD'"; }} > "$STATE"; exit $code
"""


class PageFailed(AssertionError):
    """A page shows what does not happen."""


def run_page(name: str, text: str, folder: Path) -> None:
    """Take the steps of the page `text` in `folder`, which is empty; `name` is for messages.

    Raises PageFailed at the first step that does not do what the page says.
    """
    workplace, state = (folder / "page").resolve(), folder / "state"
    workplace.mkdir()
    page = Page(name, workplace, state)
    with contextlib.chdir(workplace), _importing_from(workplace):
        for step in pages.steps(text):
            page.take(step)


def without_progress(printed: str) -> str:
    """What was printed, without the lines of progress: how many there are depends on the machine.

    >>> without_progress('{"schema_version":1,"event":"progress","rows":3}\\ndone\\n')
    'done\\n'
    """
    lines = printed.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(PROGRESS))


class Page:
    """A page being tested: a folder of its own, a shell state and a Python namespace."""

    def __init__(self, name: str, folder: Path, state: Path) -> None:
        self.name, self.folder, self.state = name, folder, state
        self.namespace: dict[str, Any] = {"__name__": "__page__"}

    def take(self, step: pages.Step) -> None:
        match step:
            case pages.WriteFile():
                target = self.inside(step.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(step.text, encoding="utf-8")
            case pages.CopyPath():
                self.copy(ROOT / step.path)
            case pages.RunCommand():
                self.run_command(step)
            case pages.RunPython():
                self.run_python(step)
            case pages.PartOf():
                whole = yaml.safe_load(self.inside(step.name).read_text(encoding="utf-8"))
                if not is_part(yaml.safe_load(step.text), whole):
                    raise PageFailed(f"{self.name}:{step.line}: this is no part of {step.name}")
            case pages.Skip():
                pass

    def inside(self, name: str) -> Path:
        target = (self.folder / name).resolve()
        if not target.is_relative_to(self.folder):
            raise PageFailed(f"{self.name}: {name} is outside the page's folder")
        return target

    def copy(self, source: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, self.folder / source.name, dirs_exist_ok=True)
        else:
            shutil.copy(source, self.folder / source.name)

    def run_command(self, step: pages.RunCommand) -> None:
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        environment = {
            **os.environ,
            "PATH": path,
            "STATE": str(self.state),
            "NO_COLOR": "1",
            "TERM": "dumb",
            "COLUMNS": "100",
        }
        done = subprocess.run(
            ["sh", "-c", SHELL_COMMAND.format(command=step.command)],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            encoding="utf-8",
            check=False,
        )
        where = f"{self.name}:{step.line}: $ {step.command}"
        if done.returncode != step.exit_code:
            raise PageFailed(f"{where}\n{done.stdout}\nexit code {done.returncode}, not {step.exit_code}")
        _compare(step.expected, without_progress(done.stdout), where)

    def run_python(self, step: pages.RunPython) -> None:
        where = f"{self.name}:{step.line}"
        if ">>> " in step.code:
            self.run_session(step.code, where)
            return
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            # To execute what a page of ours says is the purpose.
            exec(compile("\n" * step.line + step.code, self.name, "exec"), self.namespace)  # noqa: S102
        _compare(step.expected, printed.getvalue(), where)

    def run_session(self, session: str, where: str) -> None:
        report = io.StringIO()
        runner = doctest.DocTestRunner(
            optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False
        )
        examples = doctest.DocTestParser().get_doctest(session, self.namespace, where, self.name, 0)
        outcome = runner.run(examples, out=report.write, clear_globs=False)
        self.namespace.update(examples.globs)
        if outcome.failed:
            raise PageFailed(f"{where}\n{report.getvalue()}")


def is_part(part: Any, whole: Any) -> bool:
    """Whether the data `part` stands somewhere in `whole`: a mapping with fewer keys, a list with fewer items."""
    if _covers(part, whole):
        return True
    children = whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else ()
    return any(is_part(part, child) for child in children)


def _compare(expected: str | None, printed: str, where: str) -> None:
    if expected is not None and not pages.matches(expected, printed):
        raise PageFailed(f"{where} printed:\n{printed}\nwhich is not what the page shows:\n{expected}")


@contextlib.contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Modules in `folder` can be imported, and are forgotten afterwards: the next page may have others of that name."""
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]


def _covers(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _covers(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return all(any(_covers(item, candidate) for candidate in whole) for item in part)
    return bool(part == whole)
