"""Pipelines built in code run like those in files, with a record in a database."""

from pathlib import Path

import frame
import pytest
from frame.audit import database, queries
from frame.errors import ConfigError
from frame.testing import Applied, ListSink, ListSource


def test_a_pipeline_of_plugin_objects_runs_with_its_record(tmp_path: Path):
    out = ListSink()
    doubled = frame.pipeline(
        "doubled",
        source=ListSource([{"n": 1}, {"n": 2}, {"n": None}]),
        nodes=[{"name": "double", "plugin": Applied(lambda row: {"n": row["n"] * 2})}],
        sinks={"out": out},
    )

    result = frame.run(doubled, audit=f"sqlite:///{tmp_path}/audit.db")

    assert out.rows == [{"n": 2}, {"n": 4}]
    assert (result.counters["succeeded"], result.counters["unhandled"]) == (2, 1)
    with database.open(f"sqlite:///{tmp_path}/audit.db") as store, store.reading() as connection:
        run = queries.find_run(connection, result.run_id)
        assert queries.counters_of(connection, run)["succeeded"] == 2


def test_it_can_run_again_and_gives_the_same(tmp_path: Path):
    out = ListSink()
    copied = frame.pipeline("copied", source=ListSource([{"n": 1}]), sinks={"out": out})

    for _ in range(2):
        frame.run(copied, audit=f"sqlite:///{tmp_path}/audit.db")
        assert out.rows == [{"n": 1}]


def test_one_that_leads_nowhere_is_refused_before_anything_is_made(tmp_path: Path):
    lost = frame.pipeline(
        "lost",
        source=ListSource([]),
        nodes=[{"name": "n", "plugin": Applied(lambda row: row), "to": "nowhere"}],
        sinks={"out": ListSink()},
    )

    with pytest.raises(ConfigError, match="nowhere"):
        frame.run(lost, audit=f"sqlite:///{tmp_path}/audit.db")

    assert list(tmp_path.iterdir()) == []
