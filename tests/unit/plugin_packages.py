"""Plugin packages made on the spot: a folder on the path with metadata, a hook module and one transform."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

CLEAN = """
    from frame.plugin import Determinism, Sink, Transform

    class Clean(Transform):
        '''Clean rows.

        More about it.
        '''
        name = "clean"
        determinism = Determinism.DETERMINISTIC

        def process(self, row, context):
            return row
"""
HOOKS = """
    from frame.plugin import hookimpl

    @hookimpl
    def frame_transforms():
        return ["{module}.clean:Clean"]
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution with one plugin package on the path; its modules are forgotten at the end."""
    before = set(sys.modules)
    folders = 0

    def make(distribution: str, package: str, module: str | None = None, **sources: str) -> None:
        nonlocal folders
        module = module or f"frame_{package}".replace("-", "_")
        folders += 1
        site = tmp_path / f"site{folders}"
        info = site / f"{distribution.replace('-', '_')}-1.{folders}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.{folders}\n")
        (info / "entry_points.txt").write_text(f"[frame.plugins]\n{package} = {module}.hooks\n")
        (site / module).mkdir()
        (site / module / "__init__.py").touch()
        for name, text in ({"hooks": HOOKS, "clean": CLEAN} | sources).items():
            (site / module / f"{name}.py").write_text(dedent(text).replace("{module}", module))
        monkeypatch.syspath_prepend(str(site))
        importlib.invalidate_caches()

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]
