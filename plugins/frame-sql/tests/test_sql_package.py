"""The package as frame and its users meet it: hooks, options, README, and what importing it costs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from frame.plugin import Kind
from frame.plugin.describe import describe
from frame.plugin.registry import Registry

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
REGISTRY = Registry.discover()
OFFERED = [listed for listed in REGISTRY.list() if listed.package == "sql"]


def test_the_package_offers_its_plugins_and_its_readme_lists_them():
    assert {(listed.kind, listed.name) for listed in OFFERED} == {
        (Kind.SOURCE, "sql"),
        (Kind.TRANSFORM, "sql_lookup"),
        (Kind.SINK, "sql"),
    }
    listed_there = re.findall(r"^\| `(\w+)` \| (\w+) \|", README, re.MULTILINE)
    assert {(name, kind) for name, kind in listed_there} == {(each.name, str(each.kind)) for each in OFFERED}


@pytest.mark.parametrize("listed", OFFERED, ids=lambda listed: f"{listed.kind}-{listed.name}")
def test_every_option_says_what_it_means_and_every_plugin_what_it_reaches(listed):
    found = REGISTRY.find(listed.kind, listed.name)

    described = describe(found)

    assert described.summary.endswith(".")
    assert all(option.description for option in described.options)
    assert found.plugin.capabilities.effects.network
    assert not found.plugin.capabilities.effects.clock


def test_importing_the_hooks_imports_no_database():
    heavy = "{'sqlalchemy', 'psycopg', 'sqlite3'}"
    program = f"import sys, frame_sql.hooks; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_pipeline_on_sqlite_does_without_psycopg():
    program = (
        "import sys; from frame_sql.source import SqlSource; "
        "from frame_sql.database import database; "
        "database(SqlSource.Config(url='sqlite:///x.db', table='t')).engine; print('psycopg' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
