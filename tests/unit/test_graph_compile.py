"""From the file to the graph: what every key becomes, and how plugins are chosen and configured."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest
from frame.config.load import load_text
from frame.config.models import PipelineConfig, SinkConfig, SourceConfig, TransformConfig
from frame.errors import ConfigError, PluginError, UnusablePlugins
from frame.expressions import Expression
from frame.graph.compile import compile_graph
from frame.graph.model import (
    AggregationNode,
    BatchMode,
    Branch,
    Breaker,
    CallPolicy,
    CoalesceNode,
    Discard,
    Edge,
    ErrorClause,
    Fork,
    GateNode,
    MergeHow,
    MergePolicy,
    OnCollision,
    RateLimit,
    Retry,
    RunSettings,
    SinkNode,
    SourceNode,
    To,
    TransformNode,
    Trigger,
)
from frame.graph.schemas import schemas
from frame.plugin import FieldType
from frame.plugin.registry import Registry
from pydantic import SecretStr

from tests.unit import graph_examples
from tests.unit.graph_examples import (
    PLUGINS,
    Out,
    Rows,
    Step,
    Watched,
    compiled,
    forked,
    gate,
    join,
    load,
    out,
    refused,
    step,
)

WHOLE = """
name: whole
source:
  plugin: rows
  schema: {mode: fixed, fields: {n: int, tags: "list[str]?"}}
  on_invalid: bad
nodes:
  - name: first
    gate: row.n > 1
    routes: {"true": continue, "false": discard}
    on_error: bad
  - name: call
    plugin: passing
    retry: {attempts: 3, wait: 500ms, max_wait: 1m, jitter: false}
    timeout: null
    breaker: {failures: 2, recovery: 5s}
    wait_for_breaker: true
    rate_limit: {rate: 100/m, service: shop}
    concurrency: 4
    on_error:
      - {when: 'error.type == "Busy"', to: first, max: 3}
      - {to: discard}
  - name: split
    gate: row.n > 2
    routes: {"true": [a, b, out], "false": out}
  - {name: a, plugin: passing, to: both, rate_limit: 10/s}
  - {name: b, plugin: passing, to: both}
  - name: both
    coalesce: {policy: quorum, quorum: 1, timeout: 2s, on_collision: first}
  - name: gather
    aggregate: {plugin: gather, expect: 1}
    trigger: {count: 5, after: 1m, when: batch.count > 3, at_end: false}
    to: out
sinks:
  bad: {plugin: out, error_field: null}
  out: {plugin: out, on_error: bad, headers: original, timeout: 10s, retry: {attempts: 2}}
settings: {chunk_rows: 10, max_latency: 1s, seed: 7, abort_on_error: true, payloads: none}
"""
EXPECTED = [
    {
        "number": 0,
        "name": "source",
        "mode": "fixed",
        "fields": {"n": FieldType("int"), "tags": FieldType("list", True, FieldType("str"))},
        "normalize": False,
        "on_invalid": To(9),
        "to": To(1),
    },
    {
        "number": 1,
        "name": "first",
        "expression": Expression("row.n > 1"),
        "routes": {"true": To(2), "false": Discard()},
        "policy": CallPolicy(),
        "on_error": (ErrorClause(To(9)),),
        "next": 2,
    },
    {
        "number": 2,
        "name": "call",
        "policy": CallPolicy(
            Retry(3, 0.5, 60.0, False), None, Breaker(2, 5.0), True, RateLimit(100, 60, "shop"), 4
        ),
        "on_error": (
            ErrorClause(To(1, 3), Expression('error.type == "Busy"', ("error", "row"))),
            ErrorClause(Discard()),
        ),
        "to": To(3),
    },
    {
        "number": 3,
        "name": "split",
        "expression": Expression("row.n > 2"),
        "routes": {
            "true": Fork(
                (Branch("a", To(4)), Branch("b", To(5)), Branch("out", To(8))), 6, frozenset({0, 1})
            ),
            "false": To(8),
        },
        "policy": CallPolicy(),
        "on_error": (),
        "next": 4,
    },
    {
        "number": 4,
        "name": "a",
        "policy": CallPolicy(rate_limit=RateLimit(10, 1, "a")),
        "on_error": (),
        "to": To(6),
    },
    {"number": 5, "name": "b", "policy": CallPolicy(), "on_error": (), "to": To(6)},
    {
        "number": 6,
        "name": "both",
        "policy": MergePolicy.QUORUM,
        "quorum": 1,
        "timeout_s": 2.0,
        "how": MergeHow.UNION,
        "on_collision": OnCollision.FIRST,
        "select": None,
        "to": To(7),
    },
    {
        "number": 7,
        "name": "gather",
        "trigger": Trigger(5, 60.0, Expression("batch.count > 3", ("batch",)), False),
        "mode": BatchMode.TRANSFORM,
        "expect": 1,
        "policy": CallPolicy(),
        "on_error": (),
        "to": To(8),
    },
    {
        "number": 8,
        "name": "out",
        "policy": CallPolicy(Retry(2), 10.0),
        "on_error": 9,
        "error_field": "_error",
        "headers_original": True,
    },
    {
        "number": 9,
        "name": "bad",
        "policy": CallPolicy(),
        "on_error": None,
        "error_field": None,
        "headers_original": False,
    },
]
KINDS = [
    SourceNode,
    GateNode,
    TransformNode,
    GateNode,
    *[TransformNode] * 2,
    CoalesceNode,
    AggregationNode,
    *[SinkNode] * 2,
]


def test_every_key_of_the_file_becomes_a_part_of_the_graph():
    loaded = load_text(WHOLE, environ={})

    graph = compile_graph(loaded.config, PLUGINS, loaded.positions)

    parts = [{f.name: getattr(node, f.name) for f in dataclasses.fields(node)} for node in graph.nodes]
    assert [{key: value for key, value in part.items() if key != "plugin"} for part in parts] == EXPECTED
    assert [type(node) for node in graph.nodes] == KINDS
    assert graph.settings == RunSettings(10, 1.0, 7, True, False)
    assert graph.edges == (
        Edge(0, 1, "continue", "continue"),
        Edge(0, 9, "on_invalid", "error"),
        Edge(1, 2, "true", "continue"),
        Edge(1, 9, "on_error", "error"),
        Edge(2, 3, "continue", "continue"),
        Edge(2, 1, "on_error", "loop"),
        Edge(3, 4, "true", "fork"),
        Edge(3, 5, "true", "fork"),
        Edge(3, 8, "true", "fork"),
        Edge(3, 8, "false", "route"),
        Edge(4, 6, "continue", "continue"),
        Edge(5, 6, "continue", "continue"),
        Edge(6, 7, "continue", "continue"),
        Edge(7, 8, "continue", "continue"),
        Edge(8, 9, "on_error", "error"),
    )


def test_the_order_of_the_file_is_kept_where_no_move_would_lead_back():
    nodes = [step("a", to="c"), step("b", to="out"), step("c", to="b")]

    assert [node.name for node in compiled(nodes).nodes] == ["source", "a", "c", "b", "out"]


def test_a_plainly_named_earlier_node_is_a_loop_of_a_thousand_turns():
    graph = compiled([step("a"), gate("g", routes={"true": "a", "false": "out"})])

    assert graph.nodes[2].routes["true"] == To(1, 1000)
    assert Edge(2, 1, "true", "loop") in graph.edges


def test_a_branch_that_continues_is_called_after_the_next_node():
    graph = compiled([gate("g", routes={"true": ["continue", "out"], "false": "discard"}), step("a")])

    assert graph.nodes[1].routes["true"] == Fork((Branch("a", To(2)), Branch("out", To(3))))


def test_a_gate_that_nothing_follows_has_no_next():
    graph = compiled([gate("g", routes={"true": "out", "false": "bad"})], {"out": out(), "bad": out()})

    assert graph.nodes[1].next == -1


# --- Plugins ------------------------------------------------------------------------------------------------


def test_a_plugin_is_pinned_and_makes_a_fresh_instance_each_time():
    ref = compiled([step("s", options={"drops": ["a"]})]).nodes[1].plugin

    one, other = ref.build(), ref.build()

    assert (ref.kind, ref.name, ref.package, ref.api, ref.expands) == ("transform", "step", "local", 1, False)
    assert ref.options == {"needs": {}, "drops": ["a"], "adds": {}, "keeps": None, "silent": False}
    assert isinstance(one, Step)
    assert one is not other
    assert one.config == other.config


def test_a_graph_travels_to_another_process():
    graph = compiled([step("s"), gate("g", routes={"true": "s", "false": "out"})])

    assert pickle.loads(pickle.dumps(graph)) == graph


def test_plugins_that_cannot_be_had_are_named_all_at_once_and_as_what_they_are():
    nodes = [{"name": "a", "plugin": "stp"}, {"name": "b", "plugin": "grade"}]

    with pytest.raises(UnusablePlugins) as caught:
        compiled(nodes)

    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, PluginError)
    first, second = caught.value.problems
    assert (first.file, first.line, first.field) == ("p.yaml", 6, "nodes[0] (a).plugin")
    assert first.message.startswith("no transform plugin is called 'stp'; did you mean step?")
    assert second.message.startswith("there is a gate called 'grade', no transform")


def test_a_missing_plugin_beside_another_problem_is_a_problem_of_the_file():
    with pytest.raises(ConfigError) as caught:
        compiled([{"name": "a", "plugin": "stp", "to": "nowhere"}])

    assert not isinstance(caught.value, PluginError)
    assert len(caught.value.problems) == 2


OPTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown option": (
        {"user": "me", "pasword": "x"},
        [
            "nodes[0] (s).options.password: is missing",
            "nodes[0] (s).options.pasword: unknown option 'pasword'; did you mean 'password'?",
        ],
    ),
    "a wrong type": (
        {"user": ["me"], "password": "${secret:PW}"},
        ["nodes[0] (s).options.user: input should be a valid string"],
    ),
    "a validator of the plugin": (
        {"user": "root", "password": "${secret:PW}"},
        ["nodes[0] (s).options.user: must not be root"],
    ),
    "a secret in so many words": (
        {"user": "me", "password": "hunter2"},
        ["nodes[0] (s).options.password: is a secret and stands in the pipeline itself"],
    ),
    "secrets in so many words within a mapping and a list": (
        {
            "user": "me",
            "password": "${secret:PW}",
            "keys": {"k": "hunter2"},
            "others": ["${secret:PW}", "hunter2"],
        },
        [
            "nodes[0] (s).options.keys.k: is a secret and stands in the pipeline itself",
            "nodes[0] (s).options.others[1]: is a secret and stands in the pipeline itself",
        ],
    ),
    "a secret where none belongs": (
        {"user": "${secret:PW}", "password": "${secret:PW}"},
        ["nodes[0] (s).options.user: is no option for a secret"],
    ),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_do_not_go_are_refused_where_they_stand(case: str):
    options, expected = OPTIONS[case]
    loaded = load([{"name": "s", "plugin": "login", "options": options}], environ={"PW": "canary"})

    with pytest.raises(ConfigError) as caught:
        compile_graph(loaded.config, PLUGINS, loaded.positions, secrets={"PW": "canary"}.__getitem__)

    assert [f"{problem.field}: {problem.message}" for problem in caught.value.problems] == expected
    assert "canary" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_reaches_the_plugin_and_only_its_fingerprint_the_record():
    options = {"user": "me", "password": "${secret:PW}", "keys": {"k": "${secret:PW}"}}
    loaded = load([{"name": "s", "plugin": "login", "options": options}], environ={"PW": "canary"})

    graph = compile_graph(
        loaded.config,
        PLUGINS,
        loaded.positions,
        secrets={"PW": "canary"}.__getitem__,
        fingerprint=lambda secret: f"<{len(secret)}>",
    )

    ref = graph.nodes[1].plugin
    assert ref.options == {
        "user": "me",
        "password": {"secret": "<6>"},
        "keys": {"k": {"secret": "<6>"}},
        "others": [],
        "folder": "here",
        "mood": "calm",
    }
    assert ref.build().config.password.get_secret_value() == "canary"
    assert "canary" not in repr(graph)


def test_a_secret_that_is_not_there_is_named_by_its_reference():
    loaded = load(
        [{"name": "s", "plugin": "login", "options": {"user": "me", "password": "${secret:PW}"}}],
        environ={"PW": "elsewhere"},
    )

    with pytest.raises(ConfigError) as caught:
        compile_graph(loaded.config, PLUGINS, loaded.positions)

    (problem,) = caught.value.problems
    assert (problem.field, problem.message) == (
        "nodes[0] (s).options.password",
        "${secret:PW}: there is no secret of this name",
    )


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        (
            "init",
            "nodes[0] (s).options: plugin 'watched' refused its options: these options do not go together",
        ),
        ("requires", "nodes[0] (s): plugin 'watched' failed in requires(): RuntimeError: I do not know"),
        ("provides", "nodes[0] (s): plugin 'watched' cannot say what it provides: KeyError: 'price'"),
        (
            "close",
            "nodes[0] (s): plugin 'watched' failed in close(), before it was started: OSError: was never open",
        ),
        (
            "exit",
            "nodes[0] (s): plugin 'watched' failed in close(), before it was started: SystemExit: 0",
        ),
    ],
)
def test_a_plugin_that_fails_when_it_is_asked_is_a_problem_of_its_node(fails: str, expected: str):
    assert refused([{"name": "s", "plugin": "watched", "options": {"fails": fails}}]) == [expected]


def test_plugins_that_were_made_to_be_asked_are_closed_even_if_the_pipeline_is_refused():
    graph_examples.made.clear()

    refused([{"name": "s", "plugin": "watched"}, {"name": "t", "plugin": "watched", "to": "nowhere"}])

    assert [plugin.closed for plugin in graph_examples.made] == [1, 1]


def test_every_problem_of_a_file_is_found_at_once():
    nodes = [
        step("a", options={"needz": {}}),
        gate("b", "row.n >", routes={"true": "out"}),
        step("c", to="oud"),
        step("d", on_error=[{"when": "errr.type == 1", "to": "out"}]),
    ]

    found = refused(nodes, source={"schema": {"fields": {"n": "integer"}}})

    assert [problem.split(": ")[0] for problem in found] == [
        "source.schema.fields.n",
        "nodes[0] (a).options.needz",
        "nodes[1] (b).gate",
        "nodes[1] (b).routes",
        "nodes[2] (c)",
        "nodes[2] (c).to",
        "nodes[3] (d)",
        "nodes[3] (d).on_error[0].when",
    ]


# --- Pipelines built in code --------------------------------------------------------------------------------


def test_classes_and_configured_plugins_may_stand_where_names_do():
    sink, watched = Out(Out.Config(path="x")), Watched(Watched.Config())
    config = PipelineConfig(
        name="code",
        source=SourceConfig(plugin=Rows),
        nodes=(
            TransformConfig(name="s", plugin=watched),
            TransformConfig(name="t", plugin=Step, options={"drops": ["a"]}),
        ),
        sinks={"out": SinkConfig(plugin=sink)},
    )

    graph = compile_graph(config, Registry.of([]))

    assert [node.plugin.package for node in graph.nodes] == ["local"] * 4
    assert graph.nodes[3].plugin.build() is sink
    assert graph.nodes[3].plugin.options == {"path": "x", "needs": {}}
    assert graph.nodes[1].plugin.build() is watched
    assert schemas(graph).keys() == {0, 1, 2, 3}
    assert watched.closed == 0
    assert graph.nodes[2].plugin.build().config.drops == ["a"]


def test_a_plugin_of_another_kind_is_refused_in_code_too():
    config = PipelineConfig(
        name="code", source=SourceConfig(plugin=Rows), sinks={"out": SinkConfig(plugin=Step)}
    )

    with pytest.raises(
        ConfigError, match=r"sinks\.out\.plugin: 'step' is a transform, and here stands a sink"
    ):
        compile_graph(config, Registry.of([]))


def test_a_secret_may_be_given_in_code_as_what_it_is():
    login = graph_examples.Login
    options = {"user": "me", "password": SecretStr("canary")}
    config = PipelineConfig(
        name="code",
        source=SourceConfig(plugin=Rows),
        nodes=(TransformConfig(name="s", plugin=login, options=options),),
        sinks={"out": SinkConfig(plugin=Out)},
    )

    graph = compile_graph(config, Registry.of([]))

    assert graph.nodes[1].plugin.options["password"] == {"secret": "withheld"}
    assert graph.nodes[1].plugin.build().config.folder == Path("here")


def test_a_join_knows_which_branches_can_come():
    graph = compiled(
        [
            forked("f", "a", "b", "out"),
            step("a", to="j"),
            step("b", to="j"),
            join("j", merge="select", select="b"),
        ]
    )

    fork = graph.nodes[1].routes["true"]
    assert (fork.joins_at, fork.expected) == (4, frozenset({0, 1}))
