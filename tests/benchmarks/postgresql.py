"""The record in PostgreSQL with its default settings: how fast it is written against SQLite, and looked up."""

import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath
from statistics import median, quantiles

from frame.audit import database, queries
from sqlalchemy import Connection

from tests.benchmarks import long_record
from tests.benchmarks.figure import Figure
from tests.benchmarks.processes import Command, interleave, wall_s
from tests.benchmarks.reference import QUICK_ROWS, ROWS, Reference, frame, with_plugin
from tests.postgresql_server import Server
from tests.stores import prepare_template, store_on

SPEED_BAR = 0.7
LOOKUP_BAR_MS = 5.0
VISITS = 10_000_000
QUICK_VISITS = 40_000
WARM, LOOKUPS = 20, 400
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
            asked = lookups(server, url, QUICK_VISITS if quick else VISITS)
    finally:
        server.close()
    return [written, *asked]


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


def lookups(server: Server, url: str, visits: int) -> list[Figure]:
    """How long questions about one row take, at random places of a long run, in a session that was there before."""
    rows = long_record.record(server, url, visits)
    with database.open(url) as store, store.reading() as connection:
        session = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        return [
            looked_up(name, partial(question, connection), rows, visits, session)
            for name, question in QUESTIONS.items()
        ]


def looked_up(name: str, question: Callable[[int], object], rows: int, visits: int, session: int) -> Figure:
    """The 95th percentile of a question about a token; `session`: the process that answers."""
    chance = random.Random(5)
    took, cpu = [], []
    for token in (chance.randrange(rows) for _ in range(WARM + LOOKUPS)):
        cpu_before, began = cpu_ms(session), time.perf_counter()
        question(token)
        took.append(1000 * (time.perf_counter() - began))
        cpu.append(cpu_ms(session) - cpu_before)
    p95, cpu_p95 = (quantiles(each[WARM:], n=20)[-1] for each in (took, cpu))
    return Figure(
        f"{name}, p95",
        p95,
        "ms",
        bar=f"< {LOOKUP_BAR_MS:g} ms",
        ok=p95 < LOOKUP_BAR_MS,
        note=f"median {median(took[WARM:]):.2f} ms, {visits:,} visits; "
        f"CPU of both sides: p95 {cpu_p95:.2f} ms, median {median(cpu[WARM:]):.2f} ms",
    )


def cpu_ms(session: int) -> float:
    """The CPU time so far of this process and of the session's, in milliseconds."""
    on_cpu_ns = int(FilePath(f"/proc/{session}/schedstat").read_text().split()[0])
    return (time.process_time_ns() + on_cpu_ns) / 1e6


def visit_by_sql(connection: Connection, token: int) -> object:
    """What an auditor asks a view, who has asked for the token's chunk."""
    found = "SELECT max(chunk) FROM chunks WHERE run = 1 AND first_token <= %s"
    chunk = connection.exec_driver_sql(found, (token,)).scalar_one()
    asked = "SELECT * FROM node_states WHERE run = 1 AND chunk = %s AND token = %s AND visit = 2"
    return connection.exec_driver_sql(asked, (chunk, token)).one()


def outcome(connection: Connection, token: int) -> object:
    """How a token ended, wherever that stands."""
    return queries.outcome_of(connection, 1, token)


def visits(connection: Connection, token: int) -> object:
    """All that `frame explain` says about the way of a token, but for the data."""
    return queries.visits_of(connection, 1, token)


QUESTIONS = {
    "one visit, by SQL": visit_by_sql,
    "how one token ended": outcome,
    "the way of one token": visits,
}


if __name__ == "__main__":
    from tests.benchmarks.run import main

    sys.exit(main(["--only", "postgresql"]))
