"""The package as frame and its users meet it: hooks, options, examples, README."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from frame.config.load import load_text
from frame.plugin import Gate, Kind
from frame.plugin.describe import describe
from frame.plugin.registry import Registry
from frame_std import hooks

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
REGISTRY = Registry.discover()
OFFERED = [listed for listed in REGISTRY.list() if listed.package == "std"]
PLUGINS = {
    (Kind.TRANSFORM, "cast compute dedupe delay explode filter lookup python rename select"),
    (Kind.GATE, "sample switch threshold"),
    (Kind.AGGREGATION, "collect group_stats window"),
}


def test_the_package_offers_its_plugins_by_name():
    assert {(listed.kind, listed.name) for listed in OFFERED} == {
        (kind, name) for kind, names in PLUGINS for name in names.split()
    }
    assert len(OFFERED) == len(hooks.frame_transforms() + hooks.frame_gates() + hooks.frame_aggregations())


@pytest.mark.parametrize("listed", OFFERED, ids=lambda listed: listed.name)
def test_every_plugin_says_what_it_does_with_an_example_and_every_option_what_it_means(listed):
    found = REGISTRY.find(listed.kind, listed.name)

    described = describe(found)

    assert described.summary.endswith(".")
    assert ">>> " in described.text
    assert all(option.description for option in described.options)
    assert inspect.getdoc(sys.modules[found.plugin.__module__]) is not None


@pytest.mark.parametrize("listed", OFFERED, ids=lambda listed: listed.name)
def test_the_readme_shows_every_plugin_in_a_pipeline_that_can_be_built(listed, tmp_path, monkeypatch):
    (block,) = re.findall(
        rf'## {listed.name}\n.*?```yaml title="{listed.name}\.yaml"\n(.*?)```', README, re.DOTALL
    )
    (tmp_path / "pricing.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    (node,) = load_text(block).config.nodes
    chosen = getattr(node, "aggregate", node)
    plugin = REGISTRY.find(listed.kind, chosen.plugin).plugin
    instance = plugin(plugin.Config(**chosen.options))

    assert plugin.name == listed.name
    if isinstance(instance, Gate) and instance.labels() is not None:
        assert instance.labels() == set(node.routes)


def test_the_readme_lists_every_plugin():
    assert re.findall(r"^\| \[`(\w+)`\]", README, re.MULTILINE) == re.findall(
        r'yaml title="(\w+)\.yaml"', README
    )
    assert len(OFFERED) == len(re.findall(r"^\| \[`(\w+)`\]", README, re.MULTILINE))


def test_no_heavy_library_is_imported_before_a_row_needs_it():
    modules = [path.partition(":")[0] for path in [*hooks.frame_transforms(), *hooks.frame_gates()]]
    modules += [path.partition(":")[0] for path in hooks.frame_aggregations()]
    heavy = {"pyarrow", "numpy", "pandas", "rich"}
    program = f"import sys, {', '.join(modules)}; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
