"""Pipelines that are built in code instead of a file."""

from datetime import timedelta
from typing import Any

import pytest
from frame.config.load import config_error, from_code, load_text
from frame.config.models import (
    AggregationConfig,
    GateConfig,
    LoopTarget,
    OnErrorClause,
    PipelineConfig,
    SinkConfig,
    SourceConfig,
    TransformConfig,
)
from frame.plugin import Determinism, Gate, PluginConfig, Transform
from pydantic import ValidationError


class Upper(Transform):
    """Stands for any transform."""

    name = "upper"
    determinism = Determinism.DETERMINISTIC


class Even(Gate):
    """Stands for any gate."""

    name = "even"
    determinism = Determinism.DETERMINISTIC


def pipeline(*nodes: object) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "name": "p",
            "source": SourceConfig(plugin="lines"),
            "nodes": nodes,
            "sinks": {"out": SinkConfig(plugin="jsonl")},
        }
    )


def refused(*nodes: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        pipeline(*nodes)
    return [(problem.field, problem.message) for problem in config_error(caught.value).problems]


@pytest.mark.parametrize("plugin", [Upper, Upper(PluginConfig()), "upper"], ids=["class", "instance", "name"])
def test_a_plugin_is_chosen_by_class_instance_or_name(plugin: Any) -> None:
    config = pipeline(TransformConfig(name="a", plugin=plugin))

    (node,) = config.nodes
    assert isinstance(node, TransformConfig)
    assert node.plugin is plugin
    assert node.model_dump(mode="json")["plugin"] == "upper"


def test_a_mapping_with_a_gate_class_is_a_gate_even_before_it_has_routes() -> None:
    assert refused({"name": "a", "plugin": Even}) == [("nodes[0].routes", "is missing")]


def test_options_belong_to_a_class_and_not_to_a_configured_plugin() -> None:
    assert refused({"name": "a", "plugin": Upper(PluginConfig()), "options": {"b": 1}}) == [
        ("nodes[0].options", "this plugin was configured in code, so options cannot be given again")
    ]


def test_an_object_that_is_no_plugin_is_refused() -> None:
    assert refused({"name": "a", "plugin": object()}) == [
        ("nodes[0].plugin", "should be the name of a plugin and is a object")
    ]


def test_a_gate_model_has_an_expression_or_a_plugin() -> None:
    for choice in ({}, {"gate": "true", "plugin": Even}):
        with pytest.raises(ValidationError, match="either an expression"):
            GateConfig(name="a", routes={"true": "out"}, **choice)


def test_a_model_tells_what_the_file_would_have_told() -> None:
    written = load_text(
        "name: p\nsource: {plugin: lines}\nsinks: {out: {plugin: jsonl}}\n"
        "nodes:\n"
        "  - name: a\n"
        "    gate: row.x\n"
        "    routes: {true: out, 'false': {to: a, max: 3}}\n"
        "    on_error: [{when: error.attempts > 1, to: discard}]\n"
        "    timeout: null\n"
        "  - {name: b, aggregate: {plugin: stats}, trigger: {after: 1m}}\n"
    )

    built = pipeline(
        GateConfig(
            name="a",
            gate="row.x",
            routes={"true": "out", "false": LoopTarget(to="a", max=3)},
            on_error=(OnErrorClause(when="error.attempts > 1", to="discard"),),
            timeout=None,
        ),
        AggregationConfig.model_validate(
            {"name": "b", "aggregate": {"plugin": "stats"}, "trigger": {"after": timedelta(minutes=1)}}
        ),
    )

    assert written.config == built


def test_one_target_for_errors_is_one_clause() -> None:
    node = TransformConfig(name="a", plugin="x", on_error="out")

    assert node.error_clauses == (OnErrorClause(to="out"),)
    assert TransformConfig(name="a", plugin="x").error_clauses == ()


def test_a_built_pipeline_has_no_places_and_still_names_its_nodes() -> None:
    loaded = from_code(pipeline(TransformConfig(name="a", plugin=Upper)))

    problem = loaded.positions.problem(("nodes", 0, "options", "digits"), "is missing")

    assert str(problem) == "nodes[0] (a).options.digits: is missing"
    assert len(loaded.text_sha256) == 32
