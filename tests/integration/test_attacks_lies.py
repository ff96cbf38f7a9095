"""A plugin that claims to be deterministic and is not: a replay finds it out and names it, and nothing is made up."""

import json
from pathlib import Path

from tests.integration.attacked import Place

LYING = """
import os

def work(row):
    return {**row, "lot": os.urandom(8).hex() if row["id"] in ("2", 2) else "same"}
"""

PIPELINE = """
frame: 1
name: lying
source: {plugin: csv, options: {path: in.csv}, schema: {mode: fixed, fields: {id: int}}}
nodes:
  - {name: draw, plugin: python, options: {function: "lying:work", determinism: deterministic}}
sinks:
  out: {plugin: jsonl, options: {path: out/out.jsonl}}
"""


def test_a_replay_of_a_plugin_that_only_claims_to_be_deterministic_differs_at_its_row(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.put("lying.py", LYING)
    place.put("in.csv", "id\n1\n2\n3\n")
    place.put("pipeline.yaml", PIPELINE)
    assert place.run().code == 0
    written = place.rows()

    replayed = place.frame("replay", "latest", "--json").without_traceback()

    assert replayed.code == 1, replayed.err
    differences = json.loads(replayed.out)["differences"]
    assert differences["total"] == 1
    (first,) = differences["first"]
    assert (first["node"], first["token"], list(first["fields"])) == ("draw", 1, ["lot"])
    assert place.rows() == written
