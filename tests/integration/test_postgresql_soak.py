"""Runs of the command line on a server that is restarted at random, and behind a proxy that loses COMMITs.

Every run has to end as if nothing had happened: its files are those of an undisturbed run, its record verifies.
A run that stops is resumed, as its user would do. The short form runs always, the long one with `-m soak`.
"""

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from frame.audit import database as store
from frame.audit.verify.verification import verify_store

from tests.postgresql_proxy import Loss, Proxy
from tests.postgresql_server import Server
from tests.stores import prepare_template, store_on

ROWS = 600
PIPELINE = """
frame: 1
name: disturbed
source: {plugin: csv, options: {path: rows.csv}, schema: {mode: fixed, fields: {n: int, kind: str}}}
settings: {chunk_rows: 20}
nodes:
  - name: even
    gate: "row.n % 2 == 0"
    routes: {"true": continue, "false": odd}
  - name: by_kind
    aggregate: {plugin: group_stats, options: {by: kind, of: n, stats: [sum]}}
    trigger: {count: 100}
    to: sums
sinks:
  odd: {plugin: csv, options: {path: out/odd.csv}}
  sums: {plugin: jsonl, options: {path: out/sums.jsonl}}
"""
RESUMABLE = 6


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own, so that nobody else is disturbed."""
    server = Server()
    try:
        server.create()
        prepare_template(server)
        yield server
    finally:
        server.close()


def frame(folder: Path, url: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "frame", *arguments, "--audit", url],
        cwd=folder,
        env={**os.environ, "FRAME_AUDIT": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ready(folder: Path) -> Path:
    folder.mkdir(parents=True)
    rows = [f"{n},{'abc'[n % 3]}" for n in range(ROWS)]
    (folder / "rows.csv").write_text("\n".join(["n,kind", *rows]) + "\n")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    return folder


def brought_to_its_end(folder: Path, url: str, direct: str) -> int:
    """How often the run had to be resumed."""
    code, said = ended(frame(folder, url, "run", "pipeline.yaml", "--quiet"))
    for resumed in range(50):
        if code == 0:
            return resumed
        assert code == RESUMABLE, said
        again = ["resume", "latest", "--quiet"] if has_a_run(direct) else ["run", "pipeline.yaml", "--quiet"]
        code, said = ended(frame(folder, url, *again))
    raise AssertionError(f"it does not come to its end: {said}")


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, said = process.communicate(timeout=300)
    return process.returncode, said


def has_a_run(direct: str) -> bool:
    patient = 100
    for _ in range(patient):
        try:
            with store.open(direct) as database, database.reading() as connection:
                return bool(connection.exec_driver_sql("SELECT count(*) FROM run_headers").scalar_one())
        except Exception:
            threading.Event().wait(0.1)
    raise AssertionError("the server does not come back")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


def assert_clean(url: str, folder: Path, undisturbed: Path) -> None:
    assert files(folder) == files(undisturbed)
    with store.open(url) as database:
        report = verify_store(database, None)
        assert [*report.findings, *(each for run in report.runs for each in run.findings)] == []
        with database.reading() as connection:
            runs = connection.exec_driver_sql("SELECT status, count(*) FROM runs GROUP BY status").all()
            read = connection.exec_driver_sql("SELECT count(*) FROM rows WHERE run = 1").scalar_one()
            open_tokens = connection.exec_driver_sql(
                "SELECT count(*) FROM tokens t LEFT JOIN token_outcomes o ON o.run = t.run AND o.token = t.token "
                "WHERE t.run = 1 AND o.token IS NULL"
            ).scalar_one()
    assert [tuple(row) for row in runs] == [("completed", 1)]
    assert (read, open_tokens) == (ROWS, 0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = ready(tmp_path_factory.mktemp("undisturbed") / "run")
    code, said = ended(frame(folder, f"sqlite:///{folder}/audit.db", "run", "pipeline.yaml", "--quiet"))
    assert code == 0, said
    return folder


def restart_during_runs(server: Server, place: Path, undisturbed: Path, restarts: int) -> None:
    chance, done, round_ = random.Random(2026), 0, 0
    while done < restarts:
        folder = ready(place / str(round_))
        with store_on(server) as url:
            process = threading.Thread(target=brought_to_its_end, args=(folder, url, url))
            process.start()
            process.join(1.0)
            while process.is_alive() and done < restarts:
                process.join(chance.uniform(0.05, 0.6))
                server.restart()
                done += 1
            process.join(300)
            assert not process.is_alive()
            assert_clean(url, folder, undisturbed)
        shutil.rmtree(folder)
        round_ += 1


def lose_commits_during_runs(server: Server, place: Path, undisturbed: Path, losses: int) -> None:
    chance, lost, round_ = random.Random(2027), 0, 0
    while lost < losses:
        folder = ready(place / str(round_))
        proxy = Proxy(server.socket, lambda _: chance.choice([*Loss]) if chance.random() < 0.2 else None)
        with store_on(server) as url:
            try:
                brought_to_its_end(folder, proxy.url(url), url)
            finally:
                proxy.close()
            assert_clean(url, folder, undisturbed)
        lost += proxy.lost
        shutil.rmtree(folder)
        round_ += 1


@pytest.mark.slow
def test_a_few_restarts_during_runs_lose_and_double_nothing(
    server: Server, tmp_path: Path, undisturbed: Path
) -> None:
    restart_during_runs(server, tmp_path, undisturbed, 3)


@pytest.mark.slow
def test_a_few_lost_commits_lose_and_double_nothing(
    server: Server, tmp_path: Path, undisturbed: Path
) -> None:
    lose_commits_during_runs(server, tmp_path, undisturbed, 3)


@pytest.mark.soak
def test_100_restarts_during_runs_lose_and_double_nothing(
    server: Server, tmp_path: Path, undisturbed: Path
) -> None:
    restart_during_runs(server, tmp_path, undisturbed, 100)


@pytest.mark.soak
def test_100_lost_commits_lose_and_double_nothing(server: Server, tmp_path: Path, undisturbed: Path) -> None:
    lose_commits_during_runs(server, tmp_path, undisturbed, 100)
