"""What the formats say, held against their published schemas and against the run that was exported."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attr
import jsonschema
import pyarrow.parquet as pq
import pytest
from frame.audit.export.formats import FORMATS as WRITTEN
from frame.audit.export.kinds import KINDS
from frame.cli.commands.export import FORMATS as OFFERED
from frame.operations import export, verify_export
from frame.operations.export import FORMATS
from openlineage.client import generated
from openlineage.client.event_v2 import RunEvent
from openlineage.client.generated import (
    dataset_version_dataset,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    processing_engine_run,
)
from openlineage.client.generated.base import EventType, InputDataset, Job, OutputDataset, Run, RunFacet

from tests.integration.attacked import Place

PIPELINE = """
frame: 1
name: "orders & <returns>"
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {id: int, note: str, total: float}}
nodes:
  - {name: shares, plugin: compute, options: {set: {share: "100.0 / row.total"}}}
  - name: worth
    gate: "row.total > 0.0"
    routes: {"true": [kept, batches], "false": discard}
  - name: batches
    aggregate: {plugin: group_stats, options: {of: total, stats: [sum]}}
    trigger: {count: 2}
    to: sums
sinks:
  kept: {plugin: jsonl, options: {path: out/kept.jsonl}}
  sums: {plugin: jsonl, options: {path: out/sums.jsonl}}
"""
SCRIPT = "<script>alert('row')</script>"
ROWS = f"""id,note,total
1,=1+1,10.0
2,"{SCRIPT}",4.0
3,\u202egnihton,-5.0
4,plain,nothing
5,last,2.5
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run and its exports, each named as its format."""
    here = Place(tmp_path_factory.mktemp("formats"))
    here.put("in.csv", ROWS)
    here.put("pipeline.yaml", PIPELINE)
    here.inside("run", "pipeline.yaml")
    for name in FORMATS:
        export(format=name, out=here.folder / name, audit=f"sqlite:///{here.folder}/.frame/audit.db")
    return here.folder


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    found = map(json.loads, (folder / "jsonl").read_text("utf-8").splitlines())
    return [line for line in found if line["record"] == kind]


def test_the_command_offers_every_format():
    assert OFFERED == WRITTEN


# --- JSON Lines, CSV, Parquet -----------------------------------------------------------------------------------


def test_an_invalid_row_is_there_with_what_it_was_and_why(exported: Path):
    (invalid,) = [row for row in lines(exported, "row") if not row["valid"]]

    assert "nothing" in invalid["data"]
    assert any(error["chunk"] == invalid["chunk"] for error in lines(exported, "error"))


def test_a_decision_is_there_with_the_expression_that_made_it(exported: Path):
    (gate,) = [node for node in lines(exported, "node") if node["name"] == "worth"]
    decided = [
        (route["label"], route["mode"]) for route in lines(exported, "route") if route["node"] == "worth"
    ]

    assert json.loads(gate["options"]) == {"expression": "row.total > 0.0"}
    assert sorted(decided) == [("false", "discard"), *[("true", "fork")] * 3]


def test_csv_is_safe_to_open_and_can_be_had_back(exported: Path):
    with (exported / "csv" / "row.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    manifest = json.loads((exported / "csv" / "manifest.json").read_text())

    assert [row["data"].removeprefix("'") for row in rows] == [row["data"] for row in lines(exported, "row")]
    every_cell = [
        cell
        for path in (exported / "csv").glob("*.csv")
        for row in csv.reader(path.read_text("utf-8").splitlines())
        for cell in row
    ]
    assert [c for c in every_cell if re.match(r"[=+@\t\r]|-\D", c)] == []
    assert manifest["escaped_cells"] == sum(cell.startswith("'") for cell in every_cell)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_folders_have_the_columns_that_are_promised_and_the_same_values(exported: Path, kind):
    wanted = lines(exported, kind.name)
    if not wanted:
        assert not (exported / "csv" / f"{kind.name}.csv").exists()
        return

    table = pq.read_table(exported / "parquet" / f"{kind.name}.parquet")
    with (exported / "csv" / f"{kind.name}.csv").open(encoding="utf-8", newline="") as file:
        head = next(csv.reader(file))

    assert table.column_names == head == list(kind.columns)
    there = [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
    assert there == [{name: value for name, value in line.items() if name != "record"} for line in wanted]


def test_raw_bytes_of_an_invalid_row_are_there_and_run_nowhere(tmp_path: Path):
    here = Place(tmp_path).through(b'=cmd|calc\n{"n": 1}\n\xff\xfe\n', source="jsonl")
    here.inside("run", "pipeline.yaml")
    for name in ("jsonl", "csv"):
        export(format=name, out=tmp_path / name, audit=f"sqlite:///{tmp_path}/.frame/audit.db")

    kept = [row.get("data", row.get("data_base64")) for row in lines(tmp_path, "row")]

    assert kept == ["=cmd|calc\n", '{"n":1}', "//4K"]
    assert "'=cmd|calc" in (tmp_path / "csv" / "row.csv").read_text("utf-8")
    assert verify_export(tmp_path / "jsonl").ok
    assert verify_export(tmp_path / "csv").ok


# --- Data that is withheld ----------------------------------------------------------------------------------------

QUIET = """
frame: 1
name: quiet
source: {plugin: csv, options: {path: in.csv}}
sinks: {out: {plugin: jsonl, options: {path: out/out.jsonl}}}
settings: {payloads: %s}
"""


@pytest.mark.parametrize(("payloads", "why"), [("none", "not_kept"), ("all", "purged")])
def test_data_that_is_not_there_is_withheld_with_the_reason(tmp_path: Path, payloads: str, why: str):
    here = Place(tmp_path)
    here.put("in.csv", "id\n1\n2\n")
    here.put("pipeline.yaml", QUIET % payloads)
    here.inside("run", "pipeline.yaml")
    if why == "purged":
        assert here.frame("purge", "--run", "latest", "--reason", "asked for", "--yes").code == 0

    for name in FORMATS:
        export(format=name, out=tmp_path / name, audit=f"sqlite:///{tmp_path}/.frame/audit.db")

    assert [(row.get("data"), row["withheld"]) for row in lines(tmp_path, "row")] == [(None, why)] * 2
    assert lines(tmp_path, "manifest")[0]["withheld"] == {why: 2}
    assert why.replace("_", " ") in (tmp_path / "html").read_text("utf-8")
    assert [name for name in FORMATS if not verify_export(tmp_path / name).ok] == []


# --- The page ---------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The tags and the text of a page."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(exported: Path) -> Page:
    return Page((exported / "html").read_text("utf-8"))


def test_the_page_loads_and_runs_nothing(exported: Path, page: Page):
    loading = {"src", "href", "action", "data", "srcset", "poster", "xlink:href", "style"}

    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert [
        attrs for _, attrs in page.tags if loading & set(attrs) or any(n.startswith("on") for n in attrs)
    ] == []
    style = (exported / "html").read_text("utf-8").partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_shows_data_as_text_and_hides_no_direction(page: Page):
    assert SCRIPT in page.text
    assert "orders & <returns>" in page.text
    assert "\u202e" not in page.text
    assert "\\u202e" in page.text


def test_the_page_has_what_an_auditor_asks_for(exported: Path, page: Page):
    manifest = json.loads((exported / "html.manifest.json").read_text())
    for artifact in lines(exported, "artifact"):
        assert artifact["sha256"] in page.text
    for node in lines(exported, "node"):
        assert node["name"] in page.text
    (run,) = lines(exported, "run")
    for said in ("run_id", "config_sha256", "graph_sha256", "frame_version"):
        assert run[said] in page.text
    assert manifest["head"] in page.text
    assert manifest["tree_root"] in page.text
    assert "Dead letters" in page.text
    assert "frame verify --export" in page.text


# --- OpenLineage ------------------------------------------------------------------------------------------------

FACETS = {
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}


def facets(said: dict[str, Any] | None) -> dict[str, Any]:
    """The facets as the classes that OpenLineage generates from its published schemas; those check what they get."""
    made: dict[str, Any] = {}
    for name, facet in (said or {}).items():
        fields = {key: value for key, value in facet.items() if not key.startswith("_")}
        if name == "frame_record":
            made[name] = RunFacet().with_additional_properties(**fields)
            continue
        made[name] = FACETS[name](**fields)
        assert facet["_schemaURL"] == made[name]._schemaURL, name
        assert facet["_producer"].startswith("pkg:pypi/frame-core@")
    return made


def parsed(said: dict[str, Any]) -> RunEvent:
    known = {field.name for field in attr.fields(RunEvent)}
    assert set(said) <= known
    run, job = said["run"], said["job"]
    return RunEvent(
        eventType=EventType(said["eventType"]),
        eventTime=said["eventTime"],
        producer=said["producer"],
        run=Run(run["runId"], facets(run["facets"])),
        job=Job(job["namespace"], job["name"], facets(job["facets"])),
        inputs=[
            InputDataset(
                each["namespace"],
                each["name"],
                facets=facets(each["facets"]),
                inputFacets=facets(each["inputFacets"]),
            )
            for each in said["inputs"]
        ],
        outputs=[
            OutputDataset(
                each["namespace"],
                each["name"],
                facets=facets(each["facets"]),
                outputFacets=facets(each["outputFacets"]),
            )
            for each in said["outputs"]
        ],
    )


def test_openlineage_events_are_what_its_own_classes_take(exported: Path):
    assert generated
    said = [json.loads(line) for line in (exported / "openlineage").read_text("utf-8").splitlines()]

    start, end = map(parsed, said)

    assert (start.eventType, end.eventType) == (EventType.START, EventType.COMPLETE)
    assert start.run.runId == end.run.runId == lines(exported, "run")[0]["run_id"]
    assert said[0]["schemaURL"] == start.schemaURL
    assert [each.name for each in end.inputs] == [str(exported / "in.csv")]
    assert {each.name for each in end.outputs} == {
        str(exported / "out" / name) for name in ("kept.jsonl", "sums.jsonl")
    }
    assert [each.outputFacets["outputStatistics"].rowCount for each in end.outputs] == [
        artifact["rows"] for artifact in lines(exported, "artifact")
    ]


# --- PROV -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document(exported: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((exported / "prov").read_text("utf-8"))
    return found


def test_prov_is_valid_against_its_schema(document: dict[str, Any]):
    schema = json.loads((Path(__file__).parent / "schemas" / "prov-json.schema.json").read_text("utf-8"))
    validator = jsonschema.validators.validator_for(schema)

    assert list(validator(schema).iter_errors(document)) == []


def test_prov_speaks_only_of_what_it_has_named(document: dict[str, Any]):
    named = {kind: set(document[kind]) for kind in ("entity", "activity", "agent")}
    expected = {
        "prov:entity": named["entity"],
        "prov:generatedEntity": named["entity"],
        "prov:usedEntity": named["entity"],
        "prov:collection": named["entity"],
        "prov:plan": named["entity"],
        "prov:activity": named["activity"],
        "prov:starter": named["activity"],
        "prov:agent": named["agent"],
    }

    for section, statements in document.items():
        if section in ("prefix", *named):
            continue
        assert statements, section
        for statement in statements.values():
            for role, identifier in statement.items():
                assert identifier in expected[role], (section, statement)


def test_prov_leads_from_an_artifact_back_to_the_input(document: dict[str, Any]):
    behind: dict[str, set[str]] = {}
    for each in document["wasDerivedFrom"].values():
        behind.setdefault(each["prov:generatedEntity"], set()).add(each["prov:usedEntity"])
    for each in document["hadMember"].values():
        behind.setdefault(each["prov:collection"], set()).add(each["prov:entity"])

    for artifact in (name for name in document["entity"] if "artifact" in name):
        reached, waiting = set(), [artifact]
        while waiting:
            each = waiting.pop()
            reached.add(each)
            waiting += behind.get(each, set()) - reached
        assert "run:input-0" in reached, artifact


# --- All ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_verifies_and_is_the_same_again(exported: Path, tmp_path: Path, name):
    export(format=name, out=tmp_path / name, audit=f"sqlite:///{exported}/.frame/audit.db")

    assert verify_export(exported / name).ok
    if (tmp_path / name).is_dir():
        first, again = (
            {path.name: path.read_bytes() for path in (folder / name).iterdir()}
            for folder in (exported, tmp_path)
        )
        assert first == again
    else:
        assert (tmp_path / name).read_bytes() == (exported / name).read_bytes()
