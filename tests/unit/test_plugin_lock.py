"""Which packages may be used: those that a lock or a variable names, and of a lock only as they were."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from frame.cli.main import main
from frame.config.in_code import pipeline
from frame.errors import NotLocked, PluginConflict, PluginNotFound, Refused
from frame.graph.model import TransformNode
from frame.operations import lock_plugins
from frame.operations.compile import compile_pipeline
from frame.plugin import Kind
from frame.plugin.lock import FILE, read
from frame.plugin.registry import ALLOWED, Registry
from frame.plugin.registry_package import PackageState
from frame.testing import ListSink, ListSource

from tests.unit.plugin_packages import CLEAN, Install, install

__all__ = ["install"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the pipelines."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def using(plugin: str) -> Any:
    nodes = [{"name": "work", "plugin": plugin}]
    return pipeline("locked", source=ListSource([]), nodes=nodes, sinks={"out": ListSink()})


def imported() -> set[str]:
    return {name for name in sys.modules if name.startswith(("frame_acme.", "frame_beta."))}


def test_a_lock_has_the_packages_that_the_pipeline_uses(install: Install, here: Path) -> None:
    install("acme-tools", "acme")
    install("beta-tools", "beta", clean=CLEAN.replace('"clean"', '"scrub"'))

    written = lock_plugins(using("clean"))

    assert [(each.package, each.distribution, each.version) for each in written.packages] == [
        ("acme", "acme-tools", "1.1")
    ]
    lock = read(here / FILE)
    assert lock is not None
    assert lock.packages == written.packages
    assert lock_plugins(using("clean"), write=False).is_current


def test_a_package_that_has_changed_is_refused_before_it_is_imported(
    install: Install, here: Path, tmp_path: Path
) -> None:
    install("acme-tools", "acme")
    [info] = tmp_path.glob("*/acme_tools-1.1.dist-info")
    (info / "RECORD").write_text("frame_acme/clean.py,sha256=before,100\n")
    lock_plugins(using("clean"))
    for name in imported():
        del sys.modules[name]
    (info / "RECORD").write_text("frame_acme/clean.py,sha256=after,100\n")

    with pytest.raises(NotLocked, match=r"allows acme-tools 1\.1 \(.*and installed is acme-tools 1\.1 \("):
        compile_pipeline(using("clean"))

    assert imported() == set()
    assert not lock_plugins(using("clean"), write=False).is_current
    lock_plugins(using("clean"))
    assert compile_pipeline(using("clean")).graph.name == "locked"


def test_what_is_not_in_the_lock_is_out_of_the_way(install: Install, here: Path) -> None:
    install("acme-tools", "acme")
    lock_plugins(using("clean"))
    install("beta-tools", "beta")

    with pytest.raises(PluginConflict):
        Registry.discover().find(Kind.TRANSFORM, "clean")
    graph = compile_pipeline(using("clean")).graph
    assert [node.plugin.package for node in graph.nodes if isinstance(node, TransformNode)] == ["acme"]
    assert "frame_beta.clean" not in imported()
    lock = read(here / FILE)
    assert lock is not None
    with pytest.raises(PluginNotFound) as raised:
        Registry.discover().locked(lock).find(Kind.TRANSFORM, "scour")
    assert f"it is not in {here / FILE}" in str(raised.value)


def test_a_lock_may_be_asked_for(install: Install, here: Path) -> None:
    install("acme-tools", "acme")

    with pytest.raises(Refused, match=r"there is no plugins\.lock beside"):
        compile_pipeline(using("clean"), locked=True)
    lock_plugins(using("clean"))
    assert compile_pipeline(using("clean"), locked=True).graph.name == "locked"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no plugin lock"),
        ("[]", "no plugin lock"),
        ('{"schema_version": 1}', "no plugin lock"),
        ('{"schema_version": 1, "packages": [{"package": "acme"}]}', "no plugin lock"),
        ('{"schema_version": 2, "packages": []}', "upgrade frame-core"),
    ],
)
def test_a_file_that_is_no_lock_is_refused(here: Path, text: str, says: str) -> None:
    (here / FILE).write_text(text)

    with pytest.raises(Refused, match=says):
        compile_pipeline(using("clean"))


def test_packages_that_are_not_allowed_are_disabled(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-tools", "acme", hooks="raise SystemExit('imported!')")
    install("beta-tools", "beta")
    monkeypatch.setenv(ALLOWED, "beta, std")

    registry = Registry.discover()

    assert registry.find(Kind.TRANSFORM, "clean").package == "beta"
    reports = {each.package: each for each in registry.doctor()}
    assert reports["acme"].state is PackageState.DISABLED
    assert reports["acme"].remedy == "allow it: frame --plugin-allow acme ..."
    with pytest.raises(PluginNotFound, match="acme"):
        registry.find(Kind.TRANSFORM, "scrub")


@pytest.mark.parametrize(
    ("options", "packages"),
    [(["--no-plugins"], set()), (["--plugin-allow", "acme"], {"acme"}), ([], {"acme", "files", "std"})],
)
def test_a_command_may_allow_packages(
    install: Install, monkeypatch: pytest.MonkeyPatch, options: list[str], packages: set[str]
) -> None:
    install("acme-tools", "acme")
    monkeypatch.setenv(ALLOWED, "std,acme,files")

    ran = CliRunner().invoke(main, [*options, "plugins", "list", "--json"])

    assert {each["qualified"].partition(".")[0] for each in json.loads(ran.stdout)["plugins"]} == packages


def test_the_command_says_what_it_has_locked(install: Install, here: Path) -> None:
    install("acme-tools", "acme")
    (here / "in.csv").write_text("n\n1\n")
    (here / "p.yaml").write_text(
        "frame: 1\nname: p\nsource: {plugin: csv, options: {path: in.csv}}\nnodes: [{name: c, plugin: acme.clean}]\n"
        "sinks: {out: {plugin: jsonl, options: {path: out.jsonl}}}\n"
    )

    unlocked = [
        CliRunner().invoke(main, [asked, "p.yaml", "--locked"]).exit_code for asked in ("run", "validate")
    ]
    checked = CliRunner().invoke(main, ["plugins", "lock", "p.yaml", "--check"])
    written = CliRunner().invoke(main, ["plugins", "lock", "p.yaml"])

    assert (unlocked, checked.exit_code, written.exit_code) == ([8, 8], 1, 0)
    assert "plugins.lock: is not what is installed" in checked.stdout
    assert "plugins.lock: written" in written.stdout
    assert "acme-tools" in written.stdout
    assert CliRunner().invoke(main, ["plugins", "lock", "p.yaml", "--check"]).exit_code == 0
    assert CliRunner().invoke(main, ["run", "p.yaml", "--locked"]).exit_code == 0
