"""Every example runs as its page says, writes what its folder `expected` holds, byte for byte, and loses nothing."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from frame.operations import explain

from tests.integration import flights_by_hand

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Example:
    """One pipeline of an example. `counters`: those of the run that are not 0; `sinks`: sink -> file it writes."""

    folder: str
    counters: Mapping[str, int]
    sinks: Mapping[str, str]
    pipeline: str = "pipeline.yaml"
    before: Sequence[str] = field(default=())


TABLE = (
    Example(
        "flights",
        {
            "rows": 3643,
            "tokens": 13937,
            "succeeded": 573,
            "routed": 557,
            "failed": 85,
            "routed_error": 85,
            "forked": 3511,
            "merged": 6512,
        },
        {
            "late_flights": "late.csv",
            "summary": "summary.csv",
            "cancelled": "cancelled.csv",
            "rejected": "rejected.jsonl",
        },
    ),
    Example(
        "dirty-data",
        {"rows": 15, "tokens": 15, "succeeded": 6, "dropped": 2, "failed": 9, "invalid": 9},
        {"members": "members.csv", "rejected": "rejected.jsonl"},
    ),
    Example(
        "dirty-data",
        {"rows": 3, "tokens": 3, "succeeded": 3},
        {"members": "old-members.jsonl"},
        pipeline="old-system.yaml",
    ),
    Example(
        "expansion",
        {
            "rows": 5,
            "tokens": 30,
            "succeeded": 11,
            "routed": 7,
            "dropped": 1,
            "failed": 1,
            "routed_error": 1,
            "expanded": 4,
            "forked": 7,
        },
        {"items": "items.csv", "skus": "skus.jsonl", "rejected": "rejected.jsonl"},
    ),
    Example(
        "retry-and-breaker",
        {"rows": 6, "tokens": 6, "succeeded": 4, "failed": 2, "routed_error": 2},
        {"offers": "offers.csv", "rejected": "rejected.jsonl"},
        before=(sys.executable, "service.py"),
    ),
    Example(
        "loop",
        {"rows": 6, "tokens": 6, "succeeded": 5, "discarded": 1, "failed": 1},
        {"reached": "reached.csv"},
    ),
)


def name_of(example: Example) -> str:
    return f"{example.folder}/{example.pipeline}"


@pytest.fixture(params=TABLE, ids=name_of, scope="module")
def ran(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Example, Path, dict[str, Any]]:
    """An example, the folder that it ran in, and what `frame run --json` said."""
    example: Example = request.param
    folder = tmp_path_factory.mktemp("examples") / example.folder
    shutil.copytree(EXAMPLES / example.folder, folder, ignore=shutil.ignore_patterns("out", ".frame"))
    return example, folder, run_in(folder, example)


def run_in(folder: Path, example: Example) -> dict[str, Any]:
    done = subprocess.run(
        [*example.before, "frame", "run", "--quiet", "--json", example.pipeline],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def environment(folder: Path) -> dict[str, str]:
    """The commands of this interpreter on the path, and the example's own plugin packages installed beside it."""
    packages = [path.parent for path in folder.glob("*/pyproject.toml")]
    for package in packages:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        offline = ["--no-build-isolation", "--no-index", "--target", str(folder / "plugins")]
        subprocess.run([*pip, *offline, str(package)], check=True)
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(folder / "plugins")}


def test_it_writes_what_its_folder_expected_holds(ran):
    example, folder, _ = ran

    written = {name: (folder / "out" / name).read_bytes() for name in example.sinks.values()}

    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(written)
    assert written == {name: (folder / "expected" / name).read_bytes() for name in written}


def test_it_counts_every_row(ran):
    example, folder, said = ran

    lines = {sink: len(records(folder / "out" / name)) for sink, name in example.sinks.items()}

    assert {name: count for name, count in said["counters"].items() if count} == example.counters
    assert said["sinks"] == lines


def test_every_token_came_into_being_once_and_ended_once(ran):
    example, folder, _ = ran
    ends = "SELECT count(*) FROM token_outcomes GROUP BY token"

    with closing(sqlite3.connect(folder / ".frame" / "audit.db")) as record:
        tokens = record.execute("SELECT count(*), count(DISTINCT token) FROM tokens").fetchone()
        outcomes = [count for (count,) in record.execute(ends)]
        rows = record.execute("SELECT count(*) FROM rows").fetchone()[0]
        born_of_nothing = record.execute(
            "SELECT count(*) FROM tokens WHERE origin <> 'source' AND token NOT IN (SELECT token FROM token_parents)"
        ).fetchone()[0]

    assert tokens == (len(outcomes), len(outcomes))
    assert set(outcomes) == {1}
    assert (rows, born_of_nothing) == (example.counters["rows"], 0)


def test_it_gives_the_same_bytes_a_second_time(ran, tmp_path):
    example, folder, _ = ran
    again = tmp_path / example.folder
    shutil.copytree(EXAMPLES / example.folder, again, ignore=shutil.ignore_patterns("out", ".frame"))

    run_in(again, example)

    for name in example.sinks.values():
        assert (again / "out" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_every_pipeline_of_every_example_is_in_the_table():
    pipelines = {f"{path.parent.name}/{path.name}" for path in EXAMPLES.glob("*/*.yaml")}

    assert pipelines == {name_of(example) for example in TABLE}
    assert all((EXAMPLES / example.folder / "README.md").is_file() for example in TABLE)


def test_everything_expected_is_compared():
    compared = {(example.folder, name) for example in TABLE for name in example.sinks.values()}

    assert compared == {(path.parents[1].name, path.name) for path in EXAMPLES.glob("*/expected/*")}


def test_the_summary_of_the_excerpt_is_what_plain_python_works_out():
    folder = EXAMPLES / "flights"

    found = flights_by_hand.totals(folder / "data" / "flights.csv", folder / "data" / "airports.csv")

    expected = folder / "expected"
    assert list(flights_by_hand.records(expected / "summary.csv")) == flights_by_hand.summary(
        found, folder / "data" / "airlines.csv"
    )
    assert [len(records(expected / name)) for name in ("late.csv", "cancelled.csv", "rejected.jsonl")] == [
        found.late,
        found.cancelled,
        found.rejected,
    ]


def test_explain_leads_from_a_total_to_all_its_source_rows_and_back(tmp_path):
    folder = tmp_path / "flights"
    shutil.copytree(EXAMPLES / "flights", folder, ignore=shutil.ignore_patterns("out", ".frame"))
    run_in(folder, TABLE[0])
    audit = f"sqlite:///{folder / '.frame' / 'audit.db'}"
    counted = [
        number
        for number, flight in enumerate(flights_by_hand.records(folder / "data" / "flights.csv"))
        if flight["arr_delay"] != "NA" and flight["dest"] not in {"BQN", "PSE", "SJU", "STT"}
    ]

    back = explain(audit=audit, sink="summary", index=0, members_limit=None)
    forward = explain(audit=audit, row=counted[-1], forward=True)

    assert [row for first, last in back.sources.ranges for row in range(first, last + 1)] == counted
    assert back.sources.complete
    assert forward.impact is not None
    assert ("summary", 0) in {(written.sink, written.index) for written in forward.impact.sink_rows}


def records(path: Path) -> Sequence[object]:
    """The records of a CSV or JSON Lines file."""
    if path.suffix == ".csv":
        return list(flights_by_hand.records(path))
    return path.read_text(encoding="utf-8").splitlines()
