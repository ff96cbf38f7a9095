"""Several runs keep their record in one SQLite file at the same time; all finish, and all verify."""

from pathlib import Path

from frame.operations import runs, verify

from tests.integration.attacked import Place

AT_ONCE = 4
PIPELINE = """
frame: 1
name: at once {number}
source:
  plugin: csv
  options: {{path: in.csv}}
  schema: {{mode: fixed, fields: {{n: int}}}}
nodes:
  - {{name: twice, plugin: compute, options: {{set: {{twice: "row.n * 2"}}}}}}
sinks:
  out: {{plugin: jsonl, options: {{path: out{number}.jsonl}}}}
settings: {{chunk_rows: 20}}
audit: {{url: "sqlite:///audit.db"}}
"""


def test_four_runs_in_one_file_finish_and_verify(tmp_path: Path):
    (tmp_path / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(1000)))
    for number in range(AT_ONCE):
        (tmp_path / f"{number}.yaml").write_text(PIPELINE.format(number=number))

    place = Place(tmp_path)
    started = [place.start("run", "--quiet", f"{number}.yaml") for number in range(AT_ONCE)]
    ended = [each.end(timeout_s=120) for each in started]

    audit = f"sqlite:///{tmp_path / 'audit.db'}"
    assert [each.code for each in ended] == [0] * AT_ONCE
    assert [run.counters["rows"] for run in runs(audit).runs] == [1000] * AT_ONCE
    assert not verify(all_runs=True, audit=audit, anchors=[tmp_path / "receipts"]).findings
