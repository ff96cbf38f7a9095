"""The record in PostgreSQL with its default settings: how fast it is written against SQLite, and looked up."""

import random
import sys
import time
from pathlib import Path as FilePath
from statistics import median, quantiles

from frame.audit import database, queries
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.events import Chunk, Path, PayloadKind, Payloads, RowsRead, SinkConfirmed, SinkIntended, Visited
from sqlalchemy import Connection

from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import Command, interleave, wall_s
from tests.benchmarks.reference import QUICK_ROWS, ROWS, Reference, frame, with_plugin
from tests.postgresql_server import Server
from tests.stores import prepare_template, store_on

SPEED_BAR = 0.7
LOOKUP_BAR_MS = 5.0
VISITS = 10_000_000
QUICK_VISITS = 40_000
CHUNK, VISITS_A_ROW = 1000, 4
LOOKUPS = 400
DEFAULTS = {"shared_buffers": "128MB", "max_connections": "100"}


def measure(quick: bool = False) -> list[Figure]:
    """Audited rows a second against SQLite, and the time of a lookup among ten million visits."""
    server = Server(memory=False, settings=DEFAULTS)
    try:
        server.create()
        prepare_template(server)
        with store_on(server) as url:
            written = speed(url, Reference(QUICK_ROWS if quick else ROWS), rounds=1 if quick else 5)
        with store_on(server) as url:
            looked_up = lookups(url, QUICK_VISITS if quick else VISITS)
    finally:
        server.close()
    return [written, *looked_up]


def speed(url: str, reference: Reference, rounds: int) -> Figure:
    """The reference pipeline on both, by turns."""
    pipeline: FilePath = reference.folder / "pipeline.yaml"
    on_server = Command(
        [*frame("run"), "--quiet", pipeline, "--audit", url], with_plugin({}), reference.clear
    )
    compared = interleave(reference.framed(), on_server, rounds)
    ratio = compared.wall_ratio
    return Figure(
        "rows/s on PostgreSQL against SQLite",
        reference.rows / wall_s(compared.other),
        "rows/s",
        ratio,
        f">= {SPEED_BAR}x",
        ratio >= SPEED_BAR,
        compared.note(),
    )


def lookups(url: str, visits: int) -> list[Figure]:
    """How long the questions about one token take, at random places of a long run."""
    chance = random.Random(5)
    tokens = fill(url, visits)
    with database.open(url) as store, store.reading() as connection:
        figures = []
        for name, question in (
            ("one visit, by SQL", visit_by_sql),
            ("how one token ended, wherever it is", queries.outcome_of),
        ):
            took = []
            for _ in range(LOOKUPS):
                token = chance.randrange(tokens)
                began = time.perf_counter()
                question(connection, 1, token)
                took.append(1000 * (time.perf_counter() - began))
            p95 = quantiles(took, n=20)[-1]
            note = f"median {median(took):.2f} ms, {visits:,} visits"
            figures.append(
                Figure(
                    f"{name}, p95",
                    p95,
                    "ms",
                    bar=f"< {LOOKUP_BAR_MS:g} ms",
                    ok=p95 < LOOKUP_BAR_MS,
                    note=note,
                )
            )
    return figures


def visit_by_sql(connection: Connection, run: int, token: int) -> object:
    """What an auditor asks who knows the chunk."""
    return connection.exec_driver_sql(
        "SELECT * FROM node_states WHERE run = %s AND chunk = %s AND token = %s AND visit = 2",
        (run, token // CHUNK, token),
    ).one()


def fill(url: str, visits: int) -> int:
    """Record a run with so many visits; how many tokens it has."""
    nodes = [NodeOpening(number, f"node{number}", "any") for number in range(VISITS_A_ROW + 1)]
    chunks = visits // VISITS_A_ROW // CHUNK
    with database.open(url) as store:
        recorder = Recorder(store).begin(RunOpening("long", "any", b"{}", nodes, [], started_us=0))
        for number in range(chunks):
            recorder.commit(_chunk(number))
    return chunks * CHUNK


def _chunk(number: int) -> Chunk:
    tokens = range(number * CHUNK, (number + 1) * CHUNK)
    digests = random.Random(number).randbytes(32 * CHUNK)
    visited = [
        Visited(node, node - 1, tokens, digests if node % 2 else None, 1, 2)
        for node in range(1, VISITS_A_ROW)
    ]
    sink = VISITS_A_ROW
    paths = [(Path.DEFAULT_FLOW, CHUNK)]
    written = SinkIntended(sink, number, sink - 1, tokens, paths, bytes(32), str(number))
    confirmed = [SinkConfirmed(sink, number - 1, {"bytes": number}, 5, 6)] if number else []
    kept = Payloads(PayloadKind.ROWS, 0, tokens, [b'{"some":"row"}'] * CHUNK)
    return Chunk(number, 9, [*confirmed, RowsRead(tokens[0], tokens, digests), *visited, written], (kept,))


if __name__ == "__main__":
    from tests.benchmarks.run import main

    sys.exit(main(["--only", "postgresql"]))
