"""Dead letters as people meet them: listed, shown, retried in a linked run, resolved; with real files and processes."""

import json
from pathlib import Path

import pytest

from tests.integration.priced import BAD, PIPELINE, ROWS, Priced, three_failed


@pytest.fixture
def failed(tmp_path: Path) -> Priced:
    return three_failed(tmp_path)


def test_a_run_names_its_dead_letters_and_the_command_that_retries_them(tmp_path: Path):
    place = Priced(tmp_path)
    place.put("in.csv", "id,price\n1,x\n")
    place.put("pipeline.yaml", PIPELINE)

    run = place.frame("run", "pipeline.yaml")

    (run_id,) = place.runs()
    assert f"frame dead-letters list {run_id}" in run.err
    assert f"frame dead-letters retry {run_id} --all" in run.err


def test_dead_letters_are_listed_with_their_source_row_and_shown_with_their_data(failed: Priced):
    (run,) = failed.runs()

    listed = failed.json("dead-letters", "list")["dead_letters"]
    shown = failed.json("dead-letters", "show", run, "4")
    text = failed.frame("dead-letters", "show", "latest", "4").out

    assert [(each["run"], each["row"], each["node"], each["state"]) for each in listed] == [
        (run, row, "parse", "open") for row in BAD
    ]
    assert shown["data"] == {"id": 4, "price": "x", "seen": 1004}
    assert shown["error"]["type"] == "ExpressionError"
    assert '{"id":4,"price":"x","seen":1004}' in text


def test_mended_dead_letters_join_the_published_file_and_the_record_tells_both_ways(failed: Priced):
    (origin,) = failed.runs()
    failed.mend()

    done = failed.frame("dead-letters", "retry", origin, "--all", "--accept-changes")

    (_, linked) = failed.runs()
    assert done.code == 0
    assert f"carried on: 3 dead letters of run {origin}" in done.err
    assert failed.ids() == [number for number in range(ROWS) if number not in BAD] + list(BAD)
    assert set(failed.states(origin).values()) == {"retried"}
    assert failed.json("dead-letters", "list")["dead_letters"] == []
    assert failed.frame("verify", origin).code == failed.frame("verify", linked).code == 0
    back = failed.json("explain", linked, "--sink", "out", "--index", "1")
    assert back["before"][0]["run_id"] == origin
    assert back["before"][0]["sources"]["ranges"] == [[4, 4]]
    forward = failed.json("explain", origin, "--row", "4", "--forward")
    assert forward["after"][0]["run_id"] == linked
    assert forward["after"][0]["impact"]["sink_rows"][0]["sink"] == "out"


def test_a_letter_that_fails_again_is_one_of_the_linked_run_and_can_be_retried_there(failed: Priced):
    (origin,) = failed.runs()

    again = failed.frame("dead-letters", "retry", origin, "1", "4")
    (_, linked) = failed.runs()
    failed.mend()
    done = failed.frame("dead-letters", "retry", linked, "--all", "--accept-changes")

    assert again.code == 1
    assert failed.states(origin) == {1: "failed_again", 4: "failed_again", 8: "open"}
    assert done.code == 0
    assert failed.ids()[-2:] == [1, 4]
    assert set(failed.states(linked).values()) == {"retried"}
    listed = failed.json("dead-letters", "list", linked, "--all")["dead_letters"]
    assert [letter["row"] for letter in listed] == [1, 4]
    (third,) = failed.runs()[2:]
    back = failed.json("explain", third, "--sink", "out", "--index", "0")
    assert back["before"][0]["before"][0]["sources"]["ranges"] == [[1, 1]]


def test_a_resolved_letter_says_why_and_is_not_retried(failed: Priced):
    (run,) = failed.runs()

    resolved = failed.frame("dead-letters", "resolve", run, "4", "--reason", "sold by hand")
    twice = failed.frame("dead-letters", "resolve", run, "4", "--reason", "again")
    retried = failed.frame("dead-letters", "retry", run, "4")
    listed = failed.frame("dead-letters", "list", run, "--all").out

    assert resolved.code == 0
    assert twice.code == retried.code == 8
    assert "sold by hand" in retried.err
    assert "resolved: sold by hand (" in listed
    assert failed.states(run) == {1: "open", 4: "resolved", 8: "open"}


def test_nothing_left_to_retry_is_no_error(failed: Priced):
    failed.frame("dead-letters", "resolve", "latest", "--all", "--reason", "none of them matters")

    done = failed.frame("dead-letters", "retry", "latest", "--all")

    assert done.code == 0
    assert "nothing to retry" in done.err
    assert len(failed.runs()) == 1


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
    place = Priced(tmp_path).run_over("id,price\n1,1\n2,2\n3,3\n", BATCHING)
    found = place.json("dead-letters", "list")["dead_letters"]
    place.put("pipeline.yaml", BATCHING.replace("100 / (batch.count - 3) > 1000", "batch.count > 90"))

    done = place.frame("dead-letters", "retry", "latest", "--all", "--accept-changes")

    assert [(letter["row"], letter["node"]) for letter in found] == [(0, "sums"), (1, "sums"), (2, "sums")]
    assert done.code == 0
    (row,) = [json.loads(line) for line in (place.folder / "out.jsonl").read_text().splitlines()]
    assert row["rows"] == 3
    back = place.json("explain", "latest", "--sink", "out", "--index", "0")
    assert back["before"][0]["sources"]["ranges"] == [[0, 2]]


def test_rows_with_nul_and_rows_of_megabytes_come_back_as_they_were(tmp_path: Path):
    place = Priced(tmp_path)
    odd = {"id": 1, "text": "a\0b\ud7ff", "z": [1.0, None], "a": {"b": "\u2028"}}
    huge = {"id": 2, "text": "é" * 2_000_000}
    rows = [{"id": 0, "text": "plain"}, odd, huge]
    place.put("in.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    pipeline = """
frame: 1
name: odd
source: {plugin: jsonl, options: {path: in.jsonl}}
nodes:
  - {name: check, plugin: compute, options: {set: {ok: "1 / (row.id == 0 ? 1 : 0)"}}}
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl}}
"""
    place.put("pipeline.yaml", pipeline)
    assert place.frame("run", "pipeline.yaml").code == 1
    place.put("pipeline.yaml", pipeline.replace("1 / (row.id == 0 ? 1 : 0)", "1"))

    done = place.frame("dead-letters", "retry", "latest", "--all", "--accept-changes")

    assert done.code == 0, done.err
    written = [json.loads(line) for line in (place.folder / "out.jsonl").read_bytes().splitlines()]
    assert written == [{**row, "ok": 1} for row in rows]
    assert list(written[1]) == ["id", "text", "z", "a", "ok"]
