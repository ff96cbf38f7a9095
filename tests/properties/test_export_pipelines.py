"""Whatever a pipeline does to its rows: its export is whole, verifies, and has the same bytes each time."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest
from frame.audit import database as store
from frame.audit.database import Database
from frame.audit.export import formats
from frame.audit.export.source import RunRecord
from frame.audit.opening import RunOpening, describe
from frame.audit.recorder import Recorder
from frame.config.models import PipelineConfig
from frame.operations import verify_export
from frame.testing import TestRun, run_pipeline
from frame.testing.strategies import pipelines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.conservation_ledger import Ledger

numbers = count()
relaxed = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def database(module_store_url: str) -> Iterator[Database]:
    with store.open(module_store_url) as opened:
        yield opened


def recorded(database: Database, pipeline: PipelineConfig, rows: int) -> tuple[TestRun, int]:
    """A run of `pipeline`, kept in `database` chunk by chunk as it was kept in memory."""
    smaller = pipeline.settings.model_copy(update={"chunk_rows": 4})
    ran = run_pipeline(
        pipeline.model_copy(update={"settings": smaller}),
        rows=[{"id": number, "n": 0} for number in range(rows)],
    )
    nodes, edges = describe(ran.graph)
    opening = RunOpening(f"run-{next(numbers)}", "random", b"{}", nodes, edges, started_us=0)
    recorder = Recorder(database).begin(opening)
    for chunk in ran.recorder.chunks:
        recorder.commit(chunk)
    recorder.finish(ran.result.status, ran.result.counters, 1)
    return ran, recorder.run


def exported(database: Database, run: int, folder: Path, names: Iterable[str]) -> None:
    with database.reading() as connection:
        for name in names:
            formats.write(name, RunRecord(connection, run), folder / name)


@relaxed
@given(pipelines(), st.integers(0, 12))
def test_an_export_says_what_happened_and_verifies(
    database: Database, tmp_path_factory: pytest.TempPathFactory, pipeline: PipelineConfig, rows: int
) -> None:
    ran, run = recorded(database, pipeline, rows)
    folder = tmp_path_factory.mktemp("export")

    exported(database, run, folder, ["jsonl"])

    report = verify_export(folder / "jsonl")
    assert report.ok, (report.place, report.wrong)
    lines = [json.loads(line) for line in (folder / "jsonl").read_text().splitlines()]
    ledger = Ledger(ran.graph, ran.events)
    ends = {line["token"]: line["path"] for line in lines if line["record"] == "outcome"}
    assert ends == {token: path.value for token, path in ledger.ended.items()}
    kinds = Counter(line["record"] for line in lines)
    assert (kinds["row"], kinds["token"]) == (rows, len(ledger.parents))
    assert lines[-1]["counts"] == {kind: size for kind, size in kinds.items() if kind != "manifest"}


@settings(relaxed, max_examples=3)
@given(pipelines(), st.integers(0, 12))
def test_every_format_verifies_and_has_the_same_bytes_each_time(
    database: Database, tmp_path_factory: pytest.TempPathFactory, pipeline: PipelineConfig, rows: int
) -> None:
    _, run = recorded(database, pipeline, rows)
    once, again = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("again")

    exported(database, run, once, formats.FORMATS)
    exported(database, run, again, formats.FORMATS)

    for name in formats.FORMATS:
        report = verify_export(once / name)
        assert report.ok, (name, report.place, report.wrong)
    assert bytes_of(once) == bytes_of(again)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
