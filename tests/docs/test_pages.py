"""Every command and example on every page runs, and every link leads somewhere. CONTRIBUTING.md has the convention."""

import contextlib
import doctest
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import pages, reference

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    "*.md",
    "docs/**/*.md",
    "examples/**/*.md",
    "core/*.md",
    "plugins/*/*.md",
    "certification/*.md",
    "templates/*.md",
)
GENERATED = ROOT / "docs" / "reference" / "generated"
TIMEOUT_S = 120

# Runs with the variables and the folder that the command before it left behind.
SHELL_COMMAND = """if [ -e "$STATE" ]; then . "$STATE"; fi
{command}
code=$?; {{ export -p; echo "cd '$PWD'"; }} > "$STATE"; exit $code
"""


def written_pages() -> list[str]:
    found = {path for pattern in PATTERNS for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in found if GENERATED not in path.parents)


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
                part = yaml.safe_load(step.text)
                assert is_part(part, whole), f"{self.name}:{step.line}: this is no part of {step.name}"
            case pages.Skip():
                pass

    def inside(self, name: str) -> Path:
        target = (self.folder / name).resolve()
        assert target.is_relative_to(self.folder), f"{name} is outside the page's folder"
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
        what = f"{self.name}:{step.line}: $ {step.command}\n{done.stdout}"
        assert done.returncode == step.exit_code, f"{what}\nexit code {done.returncode}, not {step.exit_code}"
        if step.expected is not None:
            assert pages.matches(step.expected, done.stdout), (
                f"{what}\nis not what the page shows:\n{step.expected}"
            )

    def run_python(self, step: pages.RunPython) -> None:
        where = f"{self.name}:{step.line}"
        if ">>> " in step.code:
            self.run_session(step.code, where)
            return
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * step.line + step.code, self.name, "exec"), self.namespace)
        if step.expected is not None:
            assert pages.matches(step.expected, printed.getvalue()), (
                f"{where} printed:\n{printed.getvalue()}\nis not what the page shows:\n{step.expected}"
            )

    def run_session(self, session: str, where: str) -> None:
        report = io.StringIO()
        runner = doctest.DocTestRunner(
            optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False
        )
        examples = doctest.DocTestParser().get_doctest(session, self.namespace, where, self.name, 0)
        outcome = runner.run(examples, out=report.write, clear_globs=False)
        self.namespace.update(examples.globs)
        assert outcome.failed == 0, f"{where}\n{report.getvalue()}"


def is_part(part: Any, whole: Any) -> bool:
    """Whether the data `part` stands somewhere in `whole`: a mapping with fewer keys, a list with fewer items."""
    if covers(part, whole):
        return True
    children = whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else ()
    return any(is_part(part, child) for child in children)


def covers(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and covers(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return all(any(covers(item, candidate) for candidate in whole) for item in part)
    return bool(part == whole)


@pytest.mark.parametrize("name", written_pages())
def test_every_command_and_example_on_the_page_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = (tmp_path / "page").resolve()
    folder.mkdir()
    page = Page(name, folder, tmp_path / "state")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)

    for step in pages.steps((ROOT / name).read_text(encoding="utf-8")):
        page.take(step)

    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(folder)):
            del sys.modules[module]


@pytest.mark.parametrize("name", written_pages())
def test_every_relative_link_on_the_page_leads_to_a_file(name: str) -> None:
    prose = pages.without_code((ROOT / name).read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(<?([^)>\s]+)", prose)
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]

    broken = [target for target in local if not leads_somewhere((ROOT / name).parent / target)]

    assert broken == []


def leads_somewhere(path: Path) -> bool:
    resolved = path.resolve()
    if resolved.parent == GENERATED:
        return resolved.name in reference.PAGES
    return resolved.exists()


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_every_reference_page_can_be_generated_and_says_something(name: str) -> None:
    text = reference.PAGES[name]()

    assert text.startswith("# ")
    assert len(text.splitlines()) > 5


def test_every_distribution_carries_the_same_licence() -> None:
    licence = (ROOT / "LICENSE").read_bytes()

    copies = {path: path.read_bytes() == licence for path in ROOT.glob("*/LICENSE")}
    copies |= {path: path.read_bytes() == licence for path in ROOT.glob("plugins/*/LICENSE")}

    assert len(copies) == len([*ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")])
    assert all(copies.values())
