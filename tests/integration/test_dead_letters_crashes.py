"""A retry of dead letters that is killed anywhere goes on, and every row is there once."""

import gzip
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.integration.priced import MENDED, PIPELINE, ROWS, Priced, three_failed


@pytest.fixture
def failed(tmp_path: Path) -> Priced:
    return three_failed(tmp_path)


POINTS = (
    "after_retry_opened",
    "after_sinks_taken_back:1",
    "before_commit:1",
    "after_commit:1",
    "before_sink_write:1",
    "after_sink_write:1",
    "after_sink_sync:1",
    "after_commit:2",
    "before_publish:1",
    "after_publish:1",
    "before_end:1",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_that_is_killed_goes_on_and_every_row_is_there_once(failed: Priced, point: str):
    (origin,) = failed.runs()
    failed.put("pipeline.yaml", MENDED.replace("chunk_rows: 3", "chunk_rows: 2"))

    retry = "dead-letters", "retry", origin, "--all", "--accept-changes"
    failed.killed_at(point, *retry)
    refused = failed.frame(*retry)
    gone_on = failed.frame("resume", failed.runs()[1])

    if refused.code == 0:  # nothing had been carried yet, so another run took the letters
        assert gone_on.code == 8
    else:
        assert refused.code == 8
        assert gone_on.code == 0, gone_on.err
    assert sorted(failed.ids()) == list(range(ROWS))
    assert set(failed.states(origin).values()) == {"retried"}
    assert not list(failed.folder.glob("*.part"))
    assert failed.frame("verify", failed.runs()[-1]).code == 0
    assert failed.frame("verify", origin).code == 0


MANY_SINKS = """
frame: 1
name: prices
source: {plugin: csv, options: {path: in.csv}, schema: {mode: fixed, fields: {id: int, price: str}}}
nodes:
  - {name: parse, plugin: compute, options: {set: {amount: "double(row.price)"}}}
  - {name: all, gate: "true", routes: {"true": [columns, added, squeezed], "false": discard}}
sinks:
  columns: {plugin: parquet, options: {path: out.parquet}}
  added: {plugin: csv, options: {path: added.csv, on_existing: append}}
  squeezed: {plugin: csv, options: {path: out.csv.gz}}
"""


@pytest.mark.parametrize(
    "point", ["after_sink_write:1", "after_sink_sync:3", "before_publish:2", "after_publish:3"]
)
def test_every_kind_of_file_has_every_row_once_after_a_retry_that_was_killed(tmp_path: Path, point: str):
    place = Priced(tmp_path)
    place.put("in.csv", "id,price\n1,1\n2,x\n3,3\n")
    place.put("added.csv", "id,price,amount\n0,0,0.0\n")
    place.put("pipeline.yaml", MANY_SINKS)
    assert place.frame("run", "pipeline.yaml").code == 1
    place.put("pipeline.yaml", MANY_SINKS.replace("double(row.price)", "double(row.id)"))

    retry = "dead-letters", "retry", "latest", "--all", "--accept-changes"
    place.killed_at(point, *retry)
    done = place.frame("resume", "latest")

    assert done.code == 0, done.err
    assert parquet.read_table(place.folder / "out.parquet").column("id").to_pylist() == [1, 3, 2]
    assert place.ids("added.csv") == [0, 1, 3, 2]
    with gzip.open(place.folder / "out.csv.gz", "rt") as squeezed:
        assert [line.split(",")[0] for line in squeezed] == ["id", "1", "3", "2"]


def test_the_file_of_a_run_in_which_every_row_failed_is_published_anew(tmp_path: Path):
    place = Priced(tmp_path)
    place.put("in.csv", "id,price\n0,x\n1,x\n")
    place.put("pipeline.yaml", PIPELINE)
    place.frame("run", "pipeline.yaml")
    place.mend()

    place.killed_at("before_publish", "dead-letters", "retry", "latest", "--all", "--accept-changes")
    done = place.frame("resume", "latest")

    assert done.code == 0, done.err
    assert place.ids() == [0, 1]
