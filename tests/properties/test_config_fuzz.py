"""Laws of the pipeline file: no text crashes the loader, and what it accepts survives being written again."""

import json
import math
from contextlib import suppress
from datetime import timedelta

from frame.config.durations import format_duration, parse_duration
from frame.config.load import LoadedPipeline, load_text
from frame.config.models import PipelineConfig
from frame.config.positions import Place
from frame.config.yaml_nodes import ScalarNode
from frame.config.yaml_values import scalar_value
from frame.errors import ConfigError
from hypothesis import given, settings
from hypothesis import strategies as st

WORDS = st.sampled_from(
    [
        *[
            "frame",
            "name",
            "source",
            "plugin",
            "options",
            "schema",
            "mode",
            "fields",
            "nodes",
            "gate",
            "routes",
            "to",
            "on_error",
            "retry",
            "attempts",
            "wait",
        ],
        *[
            "timeout",
            "breaker",
            "rate_limit",
            "concurrency",
            "aggregate",
            "trigger",
            "count",
            "after",
            "when",
            "coalesce",
            "policy",
            "quorum",
        ],
        *[
            "merge",
            "select",
            "sinks",
            "audit",
            "settings",
            "seed",
            "continue",
            "discard",
            "out",
            "a",
            "b",
            "csv",
            "fixed",
            "true",
            "false",
            "null",
            "1",
            "0",
            "-1",
            "1e9",
        ],
        *[
            "10/s",
            "30s",
            "~",
            "<one>",
            "<transform>",
            "[key]",
            "${A}",
            "${secret:A}",
            "$${",
            "${A:-b}",
            "!!str",
            "&x",
            "*x",
            "<<",
            "|",
            ">",
            "?",
            "'",
            '"',
        ],
    ]
)
MARKS = st.sampled_from(
    [": ", ":", "\n", "\n  ", "\n  - ", "\n    ", ", ", "{", "}", "[", "]", " ", "\t", "#", "\n---\n"]
)
YAML_LIKE = st.lists(st.one_of(WORDS, MARKS), max_size=60).map("".join)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(allow_nan=False), WORDS, st.text(max_size=8)
)
KEYS = st.one_of(WORDS, st.text(max_size=4))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)

HEAD = "name: p\nsource: {plugin: csv}\nsinks: {out: {plugin: jsonl}}\n"


def loaded(text: str) -> LoadedPipeline | None:
    with suppress(ConfigError):
        return load_text(text, environ={"A": "1"})
    return None


@settings(deadline=2_000)
@given(st.one_of(st.text(max_size=200), YAML_LIKE, YAML_LIKE.map(lambda text: HEAD + text)))
def test_no_text_raises_anything_but_a_config_error(text: str) -> None:
    loaded(text)


@settings(deadline=2_000)
@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_no_tree_of_values_raises_anything_but_a_config_error(extra: dict[str, object]) -> None:
    document = {"name": "p", "source": {"plugin": "csv"}, "sinks": {"out": {"plugin": "jsonl"}}, **extra}

    loaded(json.dumps(document))


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_every_problem_has_a_line_a_message_and_a_printable_text(node: dict[str, object]) -> None:
    try:
        load_text(f"{HEAD}nodes:\n  - {json.dumps(node)}\n", environ={})
    except ConfigError as error:
        for problem in error.problems:
            assert problem.line
            assert problem.message
            assert str(problem)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500)))
def test_a_duration_survives_being_written(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(alphabet="0123456789+-.e_:~ntrue", max_size=8))
def test_a_plain_scalar_is_itself_or_what_it_plainly_reads_as(text: str) -> None:
    try:
        value = scalar_value(ScalarNode(text, True, Place()))
    except ValueError:
        assert math.isinf(float(text))
        return

    assert value == text or value == {"": None, "~": None, "true": True}.get(text, value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert float(text) == value


POLICY = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.one_of(st.none(), st.integers(1, 9), st.sampled_from(["500ms", "2h"])),
        "retry": st.fixed_dictionaries({"attempts": st.integers(1, 9)}),
        "breaker": st.fixed_dictionaries({}, optional={"failures": st.integers(1, 9)}),
        "rate_limit": st.sampled_from(["10/s", {"rate": "5/m", "service": "x"}]),
        "concurrency": st.integers(1, 9),
        "on_error": st.sampled_from(["out", "discard", [{"when": "true", "to": "out"}, {"to": "discard"}]]),
        "to": st.just("out"),
    },
)
KIND = st.sampled_from(
    [
        {"plugin": "x", "options": {"a": [1, {"b": None}]}},
        {"gate": "row.a", "routes": {"true": ["out", "b"], "false": "continue"}},
        {"plugin": "g", "routes": {"x": {"to": "n", "max": 2}}},
        {"aggregate": {"plugin": "s", "expect": 1}, "trigger": {"count": 2, "after": "1m"}},
    ]
)
JOIN = st.sampled_from(
    [
        {"coalesce": {}},
        {"coalesce": {"policy": "quorum", "quorum": 2, "merge": "nested"}},
        {"coalesce": {"policy": "best_effort", "timeout": 3, "merge": "select", "select": "b"}, "to": "out"},
    ]
)
NODES = st.lists(JOIN | st.builds(lambda kind, policy: {**kind, **policy}, KIND, POLICY), max_size=5)


@given(NODES)
def test_a_valid_pipeline_survives_being_written_and_read(nodes: list[dict[str, object]]) -> None:
    named = [{"name": f"n{index}", **node} for index, node in enumerate(nodes)]
    config = PipelineConfig.model_validate(
        {"name": "p", "source": {"plugin": "csv"}, "nodes": named, "sinks": {"out": {"plugin": "jsonl"}}}
    )

    for text in (
        config.model_dump_json(by_alias=True),
        config.model_dump_json(by_alias=True, exclude_unset=True),
    ):
        assert load_text(text, environ={}).config == config
