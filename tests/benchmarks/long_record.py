"""A long run in PostgreSQL, made from a short one: the rows of one commit, many times over, on the server.

The short run is a real one. Each copy of its middle commit speaks of tokens, rows and writes of its own, so that every
question about one of them has an answer, as after a run that long; only the hashes of the chain are not those of one.
"""

import csv
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from frame.audit.postgresql_schema import PARTITIONED, TABLES
from sqlalchemy import Table
from sqlalchemy.engine import make_url

from tests.benchmarks.processes import WORK
from tests.benchmarks.reference import frame
from tests.postgresql_server import Server

CHUNK, CHUNKS, VISITS_A_ROW = 1000, 3, 4
PIPELINE = """\
frame: 1
name: long
source:
  plugin: csv
  options: {path: rows.csv}
  schema: {mode: fixed, fields: {n: int, delay: float, distance: int}}
nodes:
  - {name: speed, plugin: compute, options: {set: {pace: "row.delay / double(row.distance)"}}}
  - {name: far, gate: row.distance > 0, routes: {"true": continue, "false": discard}}
  - {name: late, plugin: threshold, options: {field: delay, bounds: [60]}, routes: {below: on_time, above: late_ones}}
sinks:
  on_time: {plugin: csv, options: {path: out/on_time.csv}}
  late_ones: {plugin: csv, options: {path: out/late.csv}}
settings: {chunk_rows: 1000, max_latency: 60s}
"""
COPIED, BLOCK = 1, 2
"""The middle commit of the three, and its block."""
MOVED = {
    "chunk": "t.chunk + k + 3",
    "block": "t.block + k + 4",
    "n": "t.n + k + 4",
    "intent": "t.intent + 2 * (k + 1)",
    "write_key": "t.write_key || '-' || k",
    **{name: f"t.{name} + (k + 1) * {CHUNK}" for name in ("first_token", "high_token", "token", "first_row")},
}
"""What stands in copy `k` (from 1) of the row `t`: the short run has 5 chunks, 7 blocks, 3 * CHUNK tokens, 6 writes."""
CONFIRMED = "t.intent + 2 * (k + 2)"
"""A commit confirms the writes of the one before it; those of the short run are confirmed."""


def record(server: Server, url: str, visits: int) -> int:
    """Put a run with so many visits on record in the store at `url`; how many rows it has."""
    folder = WORK / "long"
    prepare(folder)
    command = [*frame("run"), "--quiet", folder / "pipeline.yaml", "--audit", url]
    subprocess.run(command, check=True)
    chunks = max(CHUNKS, visits // VISITS_A_ROW // CHUNK)
    with server.superuser(str(make_url(url).database)) as connection:
        connection.execute("SET session_replication_role = replica; SET search_path = frame")
        for statement in copies(chunks - CHUNKS):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")
    return chunks * CHUNK


def prepare(folder: Path) -> None:
    """The pipeline and as many rows as make three commits."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["n", "delay", "distance"])
        writer.writerows((n, n * 37 % 90 + 0.5, 80 + n * 61 % 4_900) for n in range(CHUNK * CHUNKS))


def copies(more: int) -> Iterator[str]:
    """What writes so many copies of the middle commit."""
    for table in TABLES:
        if table.name in PARTITIONED and "chunk" in table.columns:
            yield _copied(table, more, f"t.chunk = {COPIED}")
        elif table.name == "blocks":
            yield _copied(table, more, f"t.n = {BLOCK}")


def _copied(table: Table, more: int, which: str) -> str:
    names = [column.name for column in table.columns]
    moved = MOVED | ({"intent": CONFIRMED} if table.name == "confirmations" else {})
    values = (moved.get(name, f"t.{name}") for name in names)
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(values)} "
        f"FROM {table.name} t CROSS JOIN generate_series(1, {more}) k WHERE {which}"
    )
