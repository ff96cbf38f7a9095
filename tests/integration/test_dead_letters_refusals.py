"""What cannot be done with dead letters is said, with the exit code that tells why, and nothing is touched."""

import json
from pathlib import Path

import pytest

from tests.integration.priced import MENDED, Priced, three_failed


@pytest.fixture
def failed(tmp_path: Path) -> Priced:
    return three_failed(tmp_path)


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
def test_what_cannot_be_meant_is_said(failed: Priced, arguments: tuple[str, ...], code: int, said: str):
    refused = failed.frame("dead-letters", *arguments)

    assert refused.code == code
    assert said in refused.err


def test_changes_are_listed_and_other_nodes_are_never_accepted(failed: Priced):
    failed.mend()
    changed = failed.frame("dead-letters", "retry", "latest", "--all")
    failed.put("pipeline.yaml", MENDED.replace("mark", "label"))
    other = failed.frame("dead-letters", "retry", "latest", "--all", "--accept-changes")

    assert changed.code == other.code == 8
    assert "nodes[1].options.set.amount" in changed.err
    assert "--accept-changes" in changed.err
    assert "'label' is new" in other.err


def test_a_published_file_that_somebody_changed_is_refused_with_both_hashes(failed: Priced):
    before = (failed.folder / "out.csv").read_text()
    failed.put("out.csv", before + "99,9,1099,9.0\n")

    refused = failed.frame("dead-letters", "retry", "latest", "--all")

    assert refused.code == 8
    assert "it had SHA-256" in refused.err
    assert len(failed.runs()) == 1
    assert (failed.folder / "out.csv").read_text() == before + "99,9,1099,9.0\n"


def test_a_run_that_has_not_come_to_its_end_is_to_be_resumed_first(failed: Priced):
    (failed.folder / "out.csv").unlink()
    failed.killed_at("after_commit:2", "run", "pipeline.yaml")

    refused = failed.frame("dead-letters", "retry", "latest", "--all")
    failed.frame("resume", "latest")
    retried = failed.frame("dead-letters", "retry", "latest", "--all")

    assert refused.code == 8
    assert "frame resume" in refused.err
    assert retried.code == 1


def test_rows_that_were_purged_cannot_be_retried_and_are_not_purged_while_they_can(failed: Priced):
    (run,) = failed.runs()
    kept = failed.frame("purge", "--run", run, "--yes")
    failed.frame("dead-letters", "resolve", run, "1", "4", "--reason", "no")
    still = failed.frame("purge", "--run", run, "--yes")
    failed.frame("dead-letters", "resolve", run, "--all", "--reason", "no")
    purged = failed.frame("purge", "--run", run, "--yes")
    refused = failed.frame("dead-letters", "retry", run, "--all")

    assert (kept.code, still.code, purged.code) == (8, 8, 0)
    assert "3 open dead letters" in kept.out
    assert refused.code == 8
    assert "purged" in refused.err


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
    place = Priced(tmp_path).run_over("id,price\n0,1\n1,x\n2,2\n", FORKING)
    found = place.json("dead-letters", "list")["dead_letters"]
    token = {letter["node"]: letter["token"] for letter in found}
    place.put("pipeline.yaml", FORKING.replace("1 / 0", "0"))

    alone = place.frame("dead-letters", "retry", "latest", str(token["parse"]), "--accept-changes")
    every = place.frame("dead-letters", "retry", "latest", "--all", "--accept-changes")

    assert alone.code == 8
    assert "'join' joins with its siblings" in alone.err
    assert every.code == 0
    assert f"token {token['parse']} is left" in every.err
    origin = place.runs()[0]
    assert place.states(origin) == {token["parse"]: "open", token["twice"]: "retried"}
    written = [json.loads(line) for line in (place.folder / "out.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in written) == [0, 1, 2]
