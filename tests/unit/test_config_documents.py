"""What is generated from the models: the JSON Schema for editors and the reference page."""

import json
from typing import Any

import pytest
import yaml
from frame.config.fields import FileModel
from frame.config.json_schema import pipeline_schema
from frame.config.load import load_text
from frame.config.reference import models, reference, rows, title
from frame.errors import ConfigError
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

FULL = """\
frame: 1
name: late-flights
source:
  plugin: csv
  options: {path: flights.csv, null_values: ["", "NA"]}
  schema: {mode: flexible, fields: {carrier: str, dep_delay: "int?"}}
  on_invalid: rejected
  normalize: true
  to: flown
nodes:
  - name: flown
    gate: "row.arr_delay != null"
    routes: {"true": continue, "false": cancelled}
  - name: gain
    plugin: compute
    options: {set: {gain: "row.dep_delay - row.arr_delay"}}
    on_error:
      - {when: "error.attempts > 2", to: flown, max: 2}
      - {to: rejected}
    retry: {attempts: 3, wait: 1s, max_wait: 60s, jitter: false}
    timeout: 30s
    breaker: {failures: 5, recovery: 60s}
    wait_for_breaker: true
    rate_limit: {rate: 10/s, service: weather}
    concurrency: 4
  - {name: again, plugin: switch, options: {by: x}, routes: {a: {to: gain, max: 3}, b: discard}, rate_limit: 5/m}
  - {name: split, gate: row.x, routes: {"true": [late, summary_in], "false": summary_in}, timeout: null}
  - {name: join, coalesce: {policy: quorum, quorum: 2, timeout: 5, merge: select, select: late}, to: summary_in}
  - name: summary_in
    aggregate: {plugin: group_stats, options: {by: [carrier]}, mode: transform, expect: 1}
    trigger: {count: 5000, after: 60s, when: "batch.count > 100", at_end: true}
    to: summary
sinks:
  late: {plugin: csv, headers: original, error_field: null}
  summary: {plugin: jsonl, retry: {attempts: 2}, timeout: 1m, on_error: rejected}
  cancelled: {plugin: "${SINK:-csv}"}
  rejected: {plugin: jsonl}
audit: {url: "sqlite:///audit.db", writer: thread}
settings: {chunk_rows: "${ROWS:-10}", max_latency: 0.25, seed: 7, abort_on_error: false, payloads: none}
"""

MINIMAL = "name: p\nsource: {plugin: csv}\nsinks: {out: {plugin: jsonl}}\n"

SCHEMA = Draft202012Validator(pipeline_schema())


@pytest.mark.parametrize("text", [FULL, MINIMAL], ids=["full", "minimal"])
def test_the_schema_accepts_what_the_models_accept(text: str) -> None:
    load_text(text, environ={})

    assert list(SCHEMA.iter_errors(yaml.safe_load(text))) == []


def test_the_schema_is_a_valid_schema_of_its_dialect() -> None:
    Draft202012Validator.check_schema(pipeline_schema())

    assert json.loads(json.dumps(pipeline_schema())) == pipeline_schema()


@pytest.mark.parametrize(
    "change",
    [
        {"nme": "x"},
        {"name": ""},
        {"name": 5},
        {"source": {}},
        {"source": {"plugin": 5}},
        {"source": {"plugin": "x", "schema": {"mode": "fixd"}}},
        {"sinks": {"a b": {"plugin": "x"}}},
        {"sinks": {"a": {"plugin": "x", "timeout": "soon"}}},
        {"settings": {"chunk_rows": 0}},
        {"settings": {"abort_on_error": "yes"}},
        {"frame": 2},
        {"nodes": [{"name": "a"}]},
        {"nodes": [{"plugin": "a"}]},
        {"nodes": [{"name": "a", "plugin": "x", "on_eror": "out"}]},
        {"nodes": [{"name": "a", "plugin": "x", "gate": "y", "routes": {"true": "out"}}]},
        {"nodes": [{"name": "a", "gate": "y"}]},
        {"nodes": [{"name": "a", "gate": "y", "routes": {"true": 5}}]},
        {"nodes": [{"name": "a", "gate": "y", "routes": {"true": {"to": "b", "max": 0}}}]},
        {"nodes": [{"name": "a", "plugin": "x", "rate_limit": "10"}]},
        {"nodes": [{"name": "a", "plugin": "x", "retry": {"attempts": 0}}]},
        {"nodes": [{"name": "a", "plugin": "x", "trigger": {"count": 1}}]},
        {"nodes": [{"name": "a", "coalesce": {"policy": "most"}}]},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_models_refuse(change: dict[str, Any]) -> None:
    document = {**yaml.safe_load(MINIMAL), **change}

    with pytest.raises(ConfigError):
        load_text(json.dumps(document), environ={})

    assert list(SCHEMA.iter_errors(document)) != []


def test_defaults_in_the_schema_are_written_as_in_a_file() -> None:
    retry = pipeline_schema()["$defs"]["RetryConfig"]["properties"]

    assert {key: part.get("default") for key, part in retry.items()} == {
        "attempts": None,
        "wait": "1s",
        "max_wait": "1m",
        "jitter": True,
    }


EVERY_KEY = [(model, row.key, row.description) for model in models() for row in rows(model)]


@pytest.mark.parametrize(("model", "key", "description"), EVERY_KEY)
def test_every_key_is_described_on_the_reference_page(
    model: type[FileModel], key: str, description: str
) -> None:
    assert description
    assert f"## {title(model)}\n" in reference()
    assert f"| `{key}` |" in reference()


def test_a_row_of_the_reference_tells_type_default_and_meaning() -> None:
    page = reference()

    assert (
        "| `timeout` | duration or null | `5m` | How long one attempt may take; null for no limit. |" in page
    )
    assert "| `sinks` | mapping to [sink](#sink) | required | Where rows go, by name. |" in page
    assert "| `concurrency` | whole number >= 1 | `1` |" in page


def test_a_full_file_survives_the_round_trip_through_its_own_values() -> None:
    config = load_text(FULL, environ={}).config

    written = config.model_dump_json(by_alias=True, exclude_unset=True)

    assert load_text(written, environ={}).config == config


def test_places_are_found_for_values_keys_and_what_is_not_there() -> None:
    positions = load_text(FULL, environ={}).positions

    table = {
        (("nodes", 1, "retry", "attempts"), False): (20, 23),
        (("nodes", 1, "retry"), False): (20, 5),
        (("nodes", 1, "options", "set", "gain"), False): (16, 27),
        (("nodes", 1, "options", "set", "gain"), True): (16, 21),
        (("nodes", 1, "options", "digits"), False): (16, 5),
        (("nodes", 1), False): (14, 5),
        (("nodes", 9), False): (10, 1),
        (("audit", "url"), True): (38, 9),
        (("elsewhere",), False): (1, 1),
    }
    assert {(path, key): positions.place(path, at_key=key) for path, key in table} == table
