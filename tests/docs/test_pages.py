"""Every command and example on every page runs, and every link leads somewhere.

CONTRIBUTING.md has the convention.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql_server import Server
from tools import pages, reference
from tools.page_run import run_page

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
NEEDS_POSTGRESQL = {"docs/how-to/run-on-postgresql.md"}
GENERATED = ROOT / "docs" / "reference" / "generated"


def written_pages() -> list[str]:
    found = {path for pattern in PATTERNS for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in found if GENERATED not in path.parents)


@pytest.fixture
def server_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A PostgreSQL server that `postgresql://USER@/DATABASE` leads to, with its programs at hand."""
    server = Server()
    try:
        server.create()
        monkeypatch.setenv("PGHOST", str(server.sockets))
        monkeypatch.setenv("PGUSER", "postgres")
        monkeypatch.setenv("PATH", f"{server.programs}:{os.environ['PATH']}")
        yield
    finally:
        server.close()


@pytest.mark.parametrize("name", written_pages())
def test_every_command_and_example_on_the_page_runs(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name in NEEDS_POSTGRESQL:
        request.getfixturevalue("server_of_its_own")
    run_page(name, (ROOT / name).read_text(encoding="utf-8"), tmp_path)


@pytest.mark.parametrize("name", written_pages())
def test_every_relative_link_on_the_page_leads_to_a_file(name: str) -> None:
    prose = pages.without_code((ROOT / name).read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(<?([^)>\s]+)", prose)
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]

    broken = [target for target in local if not leads_somewhere((ROOT / name).parent / target)]

    assert broken == []


def test_the_front_page_leads_to_every_page_that_is_not_reference_or_decision() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    found = [
        path for kind in ("tutorial", "how-to", "explanation") for path in (ROOT / "docs" / kind).glob("*.md")
    ]

    assert [path.name for path in sorted(found) if f"({path.parent.name}/{path.name})" not in index] == []


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
