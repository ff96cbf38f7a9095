"""One pipeline, whatever its rows hold, has the same record in every database; so has the flights example."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from frame.audit import database as store
from frame.events import RunStatus
from frame.operations import run

from tests.postgresql_server import Server
from tests.stores import store_on

FLIGHTS = Path(__file__).resolve().parents[2] / "examples" / "flights"
PIPELINE = """
frame: 1
name: odd
source: {plugin: jsonl, options: {path: odd.jsonl}, on_invalid: rejected}
nodes:
  - name: looked_at
    gate: "row.text.contains('kept') ? 'keep' : 'drop'"
    routes: {keep: out, drop: discard}
    on_error: rejected
sinks:
  out: {plugin: jsonl, options: {path: "OUT/out.jsonl"}}
  rejected: {plugin: jsonl, options: {path: "OUT/rejected.jsonl"}}
"""
ODD = [
    r'{"text": "kept"}',
    r'{"text": "kept \u0000 and \u0001 \ufffe"}',
    r'{"text": "\u0000"}',
    r'{"te\u0000xt": "kept"}',
    r'{"text": "kept \ud83d\ude00 \u00e9 e\u0301"}',
    r'{"text": "kept \ud800"}',
    r'{"text": 5, "\u0000": "\udfff"}',
    r'{"text": "kept", "n": 9007199254740993}',
    r'{"text": "kept", "n": 18446744073709551616, "m": -170141183460469231731687303715884105728}',
    r'{"text": "kept", "n": 1' + "0" * 400 + "}",
    r'{"text": "kept", "n": 1e999}',
    (
        r'{"text": "kept \\ \t \b % %s :x {} \" '
        "'"
        r' $$ \u2028 \u202e"}'
    ),
    r'{"text": null}',
]
VOLATILE = {
    "run_id",
    "started_us",
    "ended_us",
    "duration_us",
    "segment_duration_us",
    "lease_expires_us",
    "pid",
    "at_us",
    "detail",
}
VIEWS = ("rows", "tokens", "node_states", "routing_events", "validation_errors", "token_outcomes", "payloads")


def facts(url: str) -> dict[str, list[str]]:
    with store.open(url) as database, database.reading() as connection:
        found = {}
        for view in VIEWS:
            rows = connection.exec_driver_sql(f"SELECT * FROM {view}").mappings()
            told = ({name: row[name] for name in row if name not in VOLATILE} for row in rows)
            found[view] = sorted(repr(list(row.items())) for row in told)
        return found


def test_odd_rows_have_the_same_record_in_every_database(postgresql_store: str, tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text("\n".join(ODD) + "\n", encoding="ascii")
    urls = {"server": postgresql_store, "file": f"sqlite:///{tmp_path}/audit.db"}

    for name, url in urls.items():
        pipeline = tmp_path / f"{name}.yaml"
        pipeline.write_text(PIPELINE.replace("OUT", name))
        assert run(pipeline, audit=url).status is RunStatus.COMPLETED_WITH_FAILURES

    server, file = (facts(url) for url in urls.values())
    assert server == file
    assert len(server["rows"]) == len(ODD)
    for output in ("out.jsonl", "rejected.jsonl"):
        assert (tmp_path / "server" / output).read_bytes() == (tmp_path / "file" / output).read_bytes()


def frame(folder: Path, url: str, *arguments: str) -> str:
    said = subprocess.run(
        [sys.executable, "-m", "frame", *arguments],
        cwd=folder,
        env={**os.environ, "FRAME_AUDIT": url},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    return said.stdout


@pytest.mark.slow
def test_the_flights_example_is_recorded_in_postgresql_and_answers(
    postgresql: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "flights"
    shutil.copytree(FLIGHTS, folder, ignore=shutil.ignore_patterns("out", ".frame"))
    with store_on(postgresql) as url:
        frame(folder, url, "run", "pipeline.yaml", "--audit", url)
        listed = json.loads(frame(folder, url, "runs", "list", "--json"))
        explained = frame(folder, url, "explain", "latest", "--sink", "summary", "--index", "3")
        verified = frame(folder, url, "verify", "latest")

    assert [each["status"] for each in listed["runs"]] == ["completed_with_failures"]
    assert "goes back to source rows" in explained
    assert "intact, 8 commits, 3,643 rows, 13,937 tokens" in verified
    assert not (folder / ".frame" / "audit.db").exists()
    for expected in (folder / "expected").iterdir():
        assert (folder / "out" / expected.name).read_bytes() == expected.read_bytes()
