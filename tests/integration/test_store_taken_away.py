"""A store that is taken away while a run writes to it: the run stops and says so, instead of ending in a void."""

import json
from pathlib import Path

import pytest

from tests.integration.attacked import Place

PIPELINE = """
frame: 1
name: taken
source: {plugin: jsonl, options: {path: in.jsonl}}
nodes:
  - {name: hand, plugin: python, options: {function: "hand:take", determinism: io_read}}
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl}}
settings: {chunk_rows: 10}
"""
HAND = """
from pathlib import Path

def take(row):
    store = Path(".frame/audit.db")
    if row["n"] == 15 and not Path("taken").exists():
        Path("taken").touch()
        {act}
    return row
"""


@pytest.mark.parametrize("act", ['store.rename("elsewhere.db")', "store.unlink()"])
def test_a_run_whose_store_is_taken_away_does_not_say_that_it_is_done(tmp_path: Path, act: str) -> None:
    here = Place(tmp_path)
    here.put("in.jsonl", "".join(f'{{"n":{n}}}\n' for n in range(40)))
    here.put("hand.py", HAND.format(act=act))
    here.put("pipeline.yaml", PIPELINE)

    ended = here.run()

    assert ended.code == 6
    ended.without_traceback().says("audit.db", "was removed, moved or replaced", "can be resumed")
    assert not (tmp_path / "out.jsonl").exists()
    if (tmp_path / "elsewhere.db").exists():
        (tmp_path / "elsewhere.db").rename(tmp_path / ".frame" / "audit.db")
        assert here.frame("resume", "latest").code == 0
        lines = (tmp_path / "out.jsonl").read_text().splitlines()
        assert [json.loads(line)["n"] for line in lines] == list(range(40))
        assert here.frame("verify", "latest").code == 0
