"""A run goes on only from what was recorded: members of an open batch are held against the hash of what was kept."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from frame.audit.payloads import compress, unpack_block

from tests.integration.attacked import Place
from tests.tamper.tamper_chain import without_protection

PIPELINE = """
frame: 1
name: summed
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {name: str, n: int}}
nodes:
  - name: sums
    aggregate: {plugin: group_stats, options: {by: name, of: n, stats: [sum]}}
    trigger: {at_end: true}
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl}}
settings: {chunk_rows: 10}
"""


@pytest.fixture
def crashed(tmp_path: Path) -> Place:
    """A run that was killed when two chunks of ten members each had been kept of its open batch."""
    place = Place(tmp_path)
    place.put("in.csv", "name,n\n" + "".join(f"a,{n}\n" for n in range(40)))
    place.put("pipeline.yaml", PIPELINE)
    place.killed_at("after_commit:2", "run", "pipeline.yaml")
    return place


def change_member(path: Path, chunk: int, old: bytes, new: bytes) -> str:
    """Write another row over one that is kept; the run's id."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        triggers = without_protection(connection)
        ((run_id, number, size, data),) = connection.execute(
            "SELECT run_id, number, size, data FROM payload_blocks JOIN payload_data USING (run, chunk, number, part) "
            "JOIN run_headers USING (run) WHERE kind = 'members' AND chunk = ?",
            [chunk],
        )
        items, shapes = unpack_block(size, data)
        assert old in items
        _, changed = compress([new if item == old else item for item in items], shapes)
        where = "WHERE chunk = ? AND number = ?"
        connection.execute(f"UPDATE payload_data SET data = ? {where}", [changed, chunk, number])
        for trigger in triggers:
            connection.execute(trigger)
    return str(run_id)


def test_a_run_does_not_go_on_from_a_member_that_was_changed(crashed: Place) -> None:
    run_id = change_member(
        crashed.folder / ".frame" / "audit.db", 1, b'{"n":13,"name":"a"}', b'{"n":14,"name":"a"}'
    )

    refused = crashed.frame("resume", "latest")

    assert refused.code == 7
    said = (
        f"run {run_id}, chunk 1: what is kept of tokens 10 to 19 (members) has another hash than was recorded"
    )
    assert said in refused.err
    assert not (crashed.folder / "out.jsonl").exists()
