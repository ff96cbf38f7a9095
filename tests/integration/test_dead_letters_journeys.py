"""Dead letters as people meet them: listed, shown, retried in a linked run, resolved; with real files and processes."""

import gzip
import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

PIPELINE = """
frame: 1
name: prices
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {id: int, price: str}}
nodes:
  - name: mark
    plugin: compute
    options: {set: {seen: "row.id + 1000"}}
  - name: parse
    plugin: compute
    options: {set: {amount: "double(row.price)"}}
sinks:
  out: {plugin: csv, options: {path: out.csv}}
settings: {chunk_rows: 3}
"""
MENDED = PIPELINE.replace("double(row.price)", "row.price == 'x' ? 0.0 : double(row.price)")
BAD = (1, 4, 8)
ROWS = 10


def frame(folder: Path, *arguments: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path} | ({"FRAME_FAILPOINT": failpoint} if failpoint else {})
    return subprocess.run(
        ["frame", *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def answer(folder: Path, *arguments: str) -> Any:
    return json.loads(frame(folder, *arguments, "--json").stdout)


def runs(folder: Path) -> list[str]:
    """The ids of the runs, the oldest first."""
    return [each["run"] for each in reversed(answer(folder, "runs", "list")["runs"])]


def states(folder: Path, run: str) -> dict[int, str]:
    found = answer(folder, "dead-letters", "list", run, "--all")["dead_letters"]
    return {letter["token"]: letter["state"] for letter in found}


def ids(folder: Path, name: str = "out.csv") -> list[int]:
    return [int(line.split(",")[0]) for line in (folder / name).read_text().splitlines()[1:]]


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A folder with a run that has left three dead letters."""
    prices = ["x" if number in BAD else str(number) for number in range(ROWS)]
    (tmp_path / "in.csv").write_text("id,price\n" + "".join(f"{n},{p}\n" for n, p in enumerate(prices)))
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    assert frame(tmp_path, "run", "pipeline.yaml").returncode == 1
    return tmp_path


def mend(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text(MENDED)


# --- The way through ------------------------------------------------------------------------------


def test_a_run_names_its_dead_letters_and_the_command_that_retries_them(tmp_path: Path):
    (tmp_path / "in.csv").write_text("id,price\n1,x\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)

    run = frame(tmp_path, "run", "pipeline.yaml")

    (run_id,) = runs(tmp_path)
    assert f"frame dead-letters list {run_id}" in run.stderr
    assert f"frame dead-letters retry {run_id} --all" in run.stderr


def test_dead_letters_are_listed_with_their_source_row_and_shown_with_their_data(failed: Path):
    (run,) = runs(failed)

    listed = answer(failed, "dead-letters", "list")["dead_letters"]
    shown = answer(failed, "dead-letters", "show", run, "4")
    text = frame(failed, "dead-letters", "show", "latest", "4").stdout

    assert [(each["run"], each["row"], each["node"], each["state"]) for each in listed] == [
        (run, row, "parse", "open") for row in BAD
    ]
    assert shown["data"] == {"id": 4, "price": "x", "seen": 1004}
    assert shown["error"]["type"] == "ExpressionError"
    assert '{"id":4,"price":"x","seen":1004}' in text


def test_mended_dead_letters_join_the_published_file_and_the_record_tells_both_ways(failed: Path):
    (origin,) = runs(failed)
    mend(failed)

    done = frame(failed, "dead-letters", "retry", origin, "--all", "--accept-changes")

    (_, linked) = runs(failed)
    assert done.returncode == 0
    assert f"carried on: 3 dead letters of run {origin}" in done.stderr
    assert ids(failed) == [number for number in range(ROWS) if number not in BAD] + list(BAD)
    assert set(states(failed, origin).values()) == {"retried"}
    assert answer(failed, "dead-letters", "list")["dead_letters"] == []
    assert frame(failed, "verify", origin).returncode == frame(failed, "verify", linked).returncode == 0
    back = answer(failed, "explain", linked, "--sink", "out", "--index", "1")
    assert back["before"][0]["run_id"] == origin
    assert back["before"][0]["sources"]["ranges"] == [[4, 4]]
    forward = answer(failed, "explain", origin, "--row", "4", "--forward")
    assert forward["after"][0]["run_id"] == linked
    assert forward["after"][0]["impact"]["sink_rows"][0]["sink"] == "out"


def test_a_letter_that_fails_again_is_one_of_the_linked_run_and_can_be_retried_there(failed: Path):
    (origin,) = runs(failed)

    again = frame(failed, "dead-letters", "retry", origin, "1", "4")
    (_, linked) = runs(failed)
    mend(failed)
    done = frame(failed, "dead-letters", "retry", linked, "--all", "--accept-changes")

    assert again.returncode == 1
    assert states(failed, origin) == {1: "failed_again", 4: "failed_again", 8: "open"}
    assert done.returncode == 0
    assert ids(failed)[-2:] == [1, 4]
    assert set(states(failed, linked).values()) == {"retried"}
    listed = answer(failed, "dead-letters", "list", linked, "--all")["dead_letters"]
    assert [letter["row"] for letter in listed] == [1, 4]
    (third,) = runs(failed)[2:]
    back = answer(failed, "explain", third, "--sink", "out", "--index", "0")
    assert back["before"][0]["before"][0]["sources"]["ranges"] == [[1, 1]]


def test_a_resolved_letter_says_why_and_is_not_retried(failed: Path):
    (run,) = runs(failed)

    resolved = frame(failed, "dead-letters", "resolve", run, "4", "--reason", "sold by hand")
    twice = frame(failed, "dead-letters", "resolve", run, "4", "--reason", "again")
    retried = frame(failed, "dead-letters", "retry", run, "4")
    listed = frame(failed, "dead-letters", "list", run, "--all").stdout

    assert resolved.returncode == 0
    assert twice.returncode == retried.returncode == 8
    assert "sold by hand" in retried.stderr
    assert "resolved: sold by hand (" in listed
    assert states(failed, run) == {1: "open", 4: "resolved", 8: "open"}


def test_nothing_left_to_retry_is_no_error(failed: Path):
    frame(failed, "dead-letters", "resolve", "latest", "--all", "--reason", "none of them matters")

    done = frame(failed, "dead-letters", "retry", "latest", "--all")

    assert done.returncode == 0
    assert "nothing to retry" in done.stderr
    assert len(runs(failed)) == 1


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("retry", "latest"), 2, "Say which"),
        (("retry", "latest", "1", "--all"), 2, "Say which"),
        (("retry", "latest", "2"), 2, "did not end as a dead letter"),
        (("show", "latest", "2"), 2, "did not end as a dead letter"),
        (("resolve", "latest", "--all"), 2, "--reason"),
        (("resolve", "latest", "--all", "--reason", " "), 2, "say why"),
        (("list", "nobody"), 2, "there is no run"),
    ],
)
def test_what_cannot_be_meant_is_said(failed: Path, arguments: tuple[str, ...], code: int, said: str):
    refused = frame(failed, "dead-letters", *arguments)

    assert refused.returncode == code
    assert said in refused.stderr


def test_changes_are_listed_and_other_nodes_are_never_accepted(failed: Path):
    mend(failed)
    changed = frame(failed, "dead-letters", "retry", "latest", "--all")
    (failed / "pipeline.yaml").write_text(MENDED.replace("mark", "label"))
    other = frame(failed, "dead-letters", "retry", "latest", "--all", "--accept-changes")

    assert changed.returncode == other.returncode == 8
    assert "nodes[1].options.set.amount" in changed.stderr
    assert "--accept-changes" in changed.stderr
    assert "'label' is new" in other.stderr


def test_a_published_file_that_somebody_changed_is_refused_with_both_hashes(failed: Path):
    before = (failed / "out.csv").read_text()
    (failed / "out.csv").write_text(before + "99,9,1099,9.0\n")

    refused = frame(failed, "dead-letters", "retry", "latest", "--all")

    assert refused.returncode == 8
    assert "it had SHA-256" in refused.stderr
    assert len(runs(failed)) == 1
    assert (failed / "out.csv").read_text() == before + "99,9,1099,9.0\n"


def test_a_run_that_has_not_come_to_its_end_is_to_be_resumed_first(failed: Path):
    (failed / "out.csv").unlink()
    assert frame(failed, "run", "pipeline.yaml", failpoint="after_commit:2=kill").returncode == -9

    refused = frame(failed, "dead-letters", "retry", "latest", "--all")
    frame(failed, "resume", "latest")
    retried = frame(failed, "dead-letters", "retry", "latest", "--all")

    assert refused.returncode == 8
    assert "frame resume" in refused.stderr
    assert retried.returncode == 1


def test_rows_that_were_purged_cannot_be_retried_and_are_not_purged_while_they_can(failed: Path):
    (run,) = runs(failed)
    kept = frame(failed, "purge", "--run", run, "--yes")
    frame(failed, "dead-letters", "resolve", run, "1", "4", "--reason", "no")
    still = frame(failed, "purge", "--run", run, "--yes")
    frame(failed, "dead-letters", "resolve", run, "--all", "--reason", "no")
    purged = frame(failed, "purge", "--run", run, "--yes")
    refused = frame(failed, "dead-letters", "retry", run, "--all")

    assert (kept.returncode, still.returncode, purged.returncode) == (8, 8, 0)
    assert "3 open dead letters" in kept.stdout
    assert refused.returncode == 8
    assert "purged" in refused.stderr


FORKING = """
frame: 1
name: forking
source: {plugin: csv, options: {path: in.csv}, schema: {mode: fixed, fields: {id: int, price: str}}}
nodes:
  - name: both
    gate: "true"
    routes: {"true": [parse, plain], "false": discard}
  - {name: parse, plugin: compute, options: {set: {amount: "double(row.price)"}}, to: join}
  - {name: plain, plugin: compute, options: {set: {plain: "row.id"}}, to: join}
  - {name: join, coalesce: {policy: best_effort, timeout: 1h, merge: union, on_collision: first}}
  - {name: twice, plugin: compute, options: {set: {twice: "row.id < 2 ? row.id * 2 : 1 / 0"}}}
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl}}
"""


def test_a_branch_whose_siblings_were_joined_without_it_is_refused_and_left(tmp_path: Path):
    (tmp_path / "in.csv").write_text("id,price\n0,1\n1,x\n2,2\n")
    (tmp_path / "pipeline.yaml").write_text(FORKING)
    assert frame(tmp_path, "run", "pipeline.yaml").returncode == 1
    found = answer(tmp_path, "dead-letters", "list")["dead_letters"]
    token = {letter["node"]: letter["token"] for letter in found}
    (tmp_path / "pipeline.yaml").write_text(FORKING.replace("1 / 0", "0"))

    alone = frame(tmp_path, "dead-letters", "retry", "latest", str(token["parse"]), "--accept-changes")
    every = frame(tmp_path, "dead-letters", "retry", "latest", "--all", "--accept-changes")

    assert alone.returncode == 8
    assert "'join' joins with its siblings" in alone.stderr
    assert every.returncode == 0
    assert f"token {token['parse']} is left" in every.stderr
    origin = runs(tmp_path)[0]
    assert states(tmp_path, origin) == {token["parse"]: "open", token["twice"]: "retried"}
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in written) == [0, 1, 2]


BATCHING = """
frame: 1
name: batching
source: {plugin: csv, options: {path: in.csv}, schema: {mode: fixed, fields: {id: int, price: str}}}
nodes:
  - name: sums
    aggregate: {plugin: group_stats, options: {of: id}}
    trigger: {when: "100 / (batch.count - 3) > 1000"}
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl}}
"""


def test_the_members_of_a_failed_batch_are_carried_to_the_aggregation(tmp_path: Path):
    (tmp_path / "in.csv").write_text("id,price\n1,1\n2,2\n3,3\n")
    (tmp_path / "pipeline.yaml").write_text(BATCHING)
    assert frame(tmp_path, "run", "pipeline.yaml").returncode == 1
    found = answer(tmp_path, "dead-letters", "list")["dead_letters"]
    (tmp_path / "pipeline.yaml").write_text(
        BATCHING.replace("100 / (batch.count - 3) > 1000", "batch.count > 90")
    )

    done = frame(tmp_path, "dead-letters", "retry", "latest", "--all", "--accept-changes")

    assert [(letter["row"], letter["node"]) for letter in found] == [(0, "sums"), (1, "sums"), (2, "sums")]
    assert done.returncode == 0
    (row,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert row["rows"] == 3
    back = answer(tmp_path, "explain", "latest", "--sink", "out", "--index", "0")
    assert back["before"][0]["sources"]["ranges"] == [[0, 2]]


# --- Crashes --------------------------------------------------------------------------------------

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
def test_a_retry_that_is_killed_goes_on_and_every_row_is_there_once(failed: Path, point: str):
    (origin,) = runs(failed)
    (failed / "pipeline.yaml").write_text(MENDED.replace("chunk_rows: 3", "chunk_rows: 2"))

    retry = "dead-letters", "retry", origin, "--all", "--accept-changes"
    killed = frame(failed, *retry, failpoint=f"{point}=kill")
    refused = frame(failed, "dead-letters", "retry", origin, "--all", "--accept-changes")
    gone_on = frame(failed, "resume", runs(failed)[1])

    assert killed.returncode == -9
    if refused.returncode == 0:  # nothing had been carried yet, so another run took the letters
        assert gone_on.returncode == 8
    else:
        assert refused.returncode == 8
        assert gone_on.returncode == 0, gone_on.stderr
    assert sorted(ids(failed)) == list(range(ROWS))
    assert set(states(failed, origin).values()) == {"retried"}
    assert not list(failed.glob("*.part"))
    assert frame(failed, "verify", runs(failed)[-1]).returncode == 0
    assert frame(failed, "verify", origin).returncode == 0


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
    (tmp_path / "in.csv").write_text("id,price\n1,1\n2,x\n3,3\n")
    (tmp_path / "added.csv").write_text("id,price,amount\n0,0,0.0\n")
    (tmp_path / "pipeline.yaml").write_text(MANY_SINKS)
    assert frame(tmp_path, "run", "pipeline.yaml").returncode == 1
    (tmp_path / "pipeline.yaml").write_text(MANY_SINKS.replace("double(row.price)", "double(row.id)"))

    retry = "dead-letters", "retry", "latest", "--all", "--accept-changes"
    killed = frame(tmp_path, *retry, failpoint=f"{point}=kill")
    done = frame(tmp_path, "resume", "latest")

    assert killed.returncode == -9
    assert done.returncode == 0, done.stderr
    assert parquet.read_table(tmp_path / "out.parquet").column("id").to_pylist() == [1, 3, 2]
    assert ids(tmp_path, "added.csv") == [0, 1, 3, 2]
    with gzip.open(tmp_path / "out.csv.gz", "rt") as squeezed:
        assert [line.split(",")[0] for line in squeezed] == ["id", "1", "3", "2"]


# --- Data -----------------------------------------------------------------------------------------


def test_rows_with_nul_and_rows_of_megabytes_come_back_as_they_were(tmp_path: Path):
    odd = {"id": 1, "text": "a\0b\ud7ff", "z": [1.0, None], "a": {"b": "\u2028"}}
    huge = {"id": 2, "text": "é" * 2_000_000}
    rows = [{"id": 0, "text": "plain"}, odd, huge]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pipeline = """
frame: 1
name: odd
source: {plugin: jsonl, options: {path: in.jsonl}}
nodes:
  - {name: check, plugin: compute, options: {set: {ok: "1 / (row.id == 0 ? 1 : 0)"}}}
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl}}
"""
    (tmp_path / "pipeline.yaml").write_text(pipeline)
    assert frame(tmp_path, "run", "pipeline.yaml").returncode == 1
    (tmp_path / "pipeline.yaml").write_text(pipeline.replace("1 / (row.id == 0 ? 1 : 0)", "1"))

    done = frame(tmp_path, "dead-letters", "retry", "latest", "--all", "--accept-changes")

    assert done.returncode == 0, done.stderr
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert written == [{**row, "ok": 1} for row in rows]
    assert list(written[1]) == ["id", "text", "z", "a", "ok"]


def test_the_file_of_a_run_in_which_every_row_failed_is_published_anew(tmp_path: Path):
    (tmp_path / "in.csv").write_text("id,price\n0,x\n1,x\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    frame(tmp_path, "run", "pipeline.yaml")
    mend(tmp_path)

    killed = frame(
        tmp_path,
        "dead-letters",
        "retry",
        "latest",
        "--all",
        "--accept-changes",
        failpoint="before_publish=kill",
    )
    done = frame(tmp_path, "resume", "latest")

    assert killed.returncode == -9
    assert done.returncode == 0, done.stderr
    assert ids(tmp_path) == [0, 1]
