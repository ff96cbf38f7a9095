"""`export:` in the pipeline: written at the end of a run, its key and place made sure of before the beginning."""

from pathlib import Path

import pytest
from frame.audit.key_files import write_pair
from frame.audit.signing import new_key
from frame.operations import verify_export

from tests.integration.attacked import Place

PIPELINE = """
frame: 1
name: closing
source: {{plugin: jsonl, options: {{path: in.jsonl}}}}
nodes:
  - {{name: halves, plugin: compute, options: {{set: {{half: "10.0 / row.n"}}}}}}
sinks:
  out: {{plugin: jsonl, options: {{path: out/out.jsonl, on_existing: overwrite}}}}
export: {{{export}}}
"""


def place(folder: Path, export: str) -> Place:
    here = Place(folder)
    here.put("in.jsonl", '{"n": 1.0}\n{"n": 2.0}\n')
    here.put("pipeline.yaml", PIPELINE.format(export=export))
    return here


def test_the_run_is_exported_where_the_pipeline_says(tmp_path: Path) -> None:
    public = write_pair(tmp_path / "frame.key", new_key("auditor"))
    here = place(tmp_path, 'path: "exports/{run_id}.jsonl", sign: frame.key')

    runs = [here.json("run", "pipeline.yaml")["run"] for _ in range(2)]

    assert {path.stem for path in (tmp_path / "exports").iterdir()} == set(runs)
    for run in runs:
        report = verify_export(tmp_path / "exports" / f"{run}.jsonl", public)
        assert (report.ok, report.run_id) == (True, run)


def test_the_key_of_audit_signs_when_no_other_is_named(tmp_path: Path) -> None:
    public = write_pair(tmp_path / "frame.key", new_key("auditor"))
    here = place(tmp_path, "format: csv, path: exported}\naudit: {sign: frame.key")

    assert here.run().code == 0

    assert verify_export(tmp_path / "exported", public).ok


NOT_YET = [
    ("path: exported.jsonl, sign: nowhere.key", "nowhere.key"),
    ("path: in.jsonl", "in.jsonl is there already"),
    ("path: ., format: csv, overwrite: true", "no export"),
    ("path: exported, format: xml", "xml"),
    ("format: csv", "path"),
]


@pytest.mark.parametrize(("export", "why"), NOT_YET)
def test_what_could_not_be_exported_is_not_begun(tmp_path: Path, export: str, why: str) -> None:
    here = place(tmp_path, export)

    ended = here.inside("run", "pipeline.yaml")

    assert ended.code == 3
    ended.says(why, "nothing was opened or touched")
    assert here.files() == ["in.jsonl", "pipeline.yaml"]


def test_an_earlier_export_is_replaced_only_when_that_is_said(tmp_path: Path) -> None:
    here = place(tmp_path, "path: exported.jsonl")
    assert here.inside("run", "pipeline.yaml").code == 0
    first = (tmp_path / "exported.jsonl").read_bytes()

    refused = here.inside("run", "pipeline.yaml")
    place(tmp_path, "path: exported.jsonl, overwrite: true")
    replaced = here.inside("run", "pipeline.yaml")

    assert (refused.code, replaced.code) == (3, 0)
    assert (tmp_path / "exported.jsonl").read_bytes() != first


def test_an_export_that_fails_does_not_undo_the_run(tmp_path: Path) -> None:
    here = place(tmp_path, "path: out/out.jsonl/exported.jsonl")

    ended = here.inside("run", "pipeline.yaml")

    assert ended.code == 6
    ended.says("The run has ended well", "frame export")
    assert here.report()["status"] == "completed"
