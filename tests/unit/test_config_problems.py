"""Every way in which a pipeline file can be wrong by itself, with the place and the words of the message."""

import pytest
from frame.config.load import load_text
from frame.errors import ConfigError, Problem

HEAD = """\
name: p
source: {plugin: csv}
sinks: {out: {plugin: jsonl}, late: {plugin: jsonl}}
"""


def problems(text: str, **environ: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ=environ)
    return list(caught.value.problems)


def marked(text: str) -> tuple[str, int, int]:
    """`text` without its mark, and the line and column of the mark (0 and 0 if there is none)."""
    before, mark, after = text.partition("▶")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return (before + after, line, column) if mark else (text, 0, 0)


def told(problem: Problem) -> tuple[int, int, str, str]:
    return problem.line, problem.column, problem.field, problem.message


# ▶ stands where the problem is to be found; it is not part of the file.
NODE_TABLE = [
    (
        "{name: a, plugin: x, ▶on_eror: late}",
        "nodes[0] (a).on_eror",
        "unknown key 'on_eror'; did you mean 'on_error'?",
    ),
    (
        "{name: a, plugin: x, ▶trigger: {count: 1}}",
        "nodes[0] (a).trigger",
        "a transform has no key 'trigger': it belongs to an aggregation",
    ),
    (
        "{name: a, coalesce: {}, ▶retry: {attempts: 1}}",
        "nodes[0] (a).retry",
        "a coalesce has no key 'retry': it belongs to a transform or a gate or an aggregation",
    ),
    (
        "▶{name: a, plugin: x, gate: y}",
        "nodes[0] (a)",
        "a node has one of plugin, gate, aggregate, coalesce, and this one has plugin and gate",
    ),
    (
        "▶{name: a, plugn: x}",
        "nodes[0] (a)",
        "a node has one of plugin, gate, aggregate, coalesce, and this one has none; did you mean 'plugin'?",
    ),
    ("▶just text", "nodes[0]", "should be a node (a mapping) and is 'just text'"),
    ("▶{plugin: x}", "nodes[0].name", "is missing"),
    ("{name: ▶a b, plugin: x}", "nodes[0] (a b).name", "'a b' is not a name"),
    ("{name: ▶7, plugin: x}", "nodes[0].name", "should be text and is the number 7"),
    (
        "{name: ▶discard, plugin: x}",
        "nodes[0] (discard).name",
        "'discard' is reserved and cannot be the name of a node or sink",
    ),
    ("{name: ▶out, plugin: x}", "nodes[0] (out).name", "'out' is also the name of a sink"),
    ("{name: a, ▶plugin: [x]}", "nodes[0] (a).plugin", "should be the name of a plugin and is a list"),
    (
        "{name: a, plugin: x, ▶options: [1]}",
        "nodes[0] (a).options",
        "should be a mapping of options and is a list",
    ),
    ("{name: a, plugin: x, to: ▶continue}", "nodes[0] (a).to", "to cannot be 'continue'"),
    ("▶{name: a, gate: row.x}", "nodes[0] (a).routes", "is missing"),
    ("{name: a, gate: row.x, ▶routes: {}}", "nodes[0] (a).routes", "a gate needs at least one route"),
    ("{name: a, gate: ▶' ', routes: {x: out}}", "nodes[0] (a).gate", "is empty"),
    (
        "{name: a, gate: x, ▶options: {b: 1}, routes: {x: out}}",
        "nodes[0] (a).options",
        "an expression has no options",
    ),
    (
        "{name: a, gate: x, routes: {y: ▶5}}",
        "nodes[0] (a).routes.y",
        (
            "should be continue, discard, a name, a list of names (a fork), or {to: NAME, max: N} (a loop), "
            "and is the number 5"
        ),
    ),
    ("{name: a, gate: x, routes: {▶y: [out]}}", "nodes[0] (a).routes.y", "a fork has at least two branches"),
    (
        "{name: a, gate: x, routes: {y: [out, ▶out]}}",
        "nodes[0] (a).routes.y[1]",
        "the fork names 'out' twice",
    ),
    (
        "{name: a, gate: x, routes: {y: [out, ▶discard]}}",
        "nodes[0] (a).routes.y[1]",
        "a branch of a fork cannot be 'discard'",
    ),
    (
        "{name: a, gate: x, routes: {y: {to: a, max: ▶0}}}",
        "nodes[0] (a).routes.y.max",
        "should be at least 1 and is the number 0",
    ),
    ("{name: a, gate: x, routes: {y: {to: ▶discard}}}", "nodes[0] (a).routes.y.to", "to cannot be 'discard'"),
    ("{name: a, plugin: x, ▶retry: {}}", "nodes[0] (a).retry.attempts", "is missing"),
    (
        "{name: a, plugin: x, retry: {attempts: ▶0}}",
        "nodes[0] (a).retry.attempts",
        "should be at least 1 and is the number 0",
    ),
    (
        "{name: a, plugin: x, retry: {attempts: ▶true}}",
        "nodes[0] (a).retry.attempts",
        "should be a whole number and is true",
    ),
    (
        "{name: a, plugin: x, retry: {attempts: 2, wait: ▶2m}}",
        "nodes[0] (a).retry.wait",
        "wait (120s) is longer than max_wait",
    ),
    ("{name: a, plugin: x, timeout: ▶soon}", "nodes[0] (a).timeout", "should be a duration and is 'soon'"),
    ("{name: a, plugin: x, timeout: ▶0}", "nodes[0] (a).timeout", "should be longer than 0s"),
    ("{name: a, plugin: x, rate_limit: ▶10/x}", "nodes[0] (a).rate_limit", "should be a rate and is '10/x'"),
    (
        "{name: a, plugin: x, rate_limit: ▶5}",
        "nodes[0] (a).rate_limit",
        "should be a rate and is the number 5",
    ),
    (
        "{name: a, plugin: x, wait_for_breaker: ▶true}",
        "nodes[0] (a).wait_for_breaker",
        "wait_for_breaker waits for a breaker, and there is none",
    ),
    (
        "{name: a, plugin: x, wait_for_breaker: ▶yes}",
        "nodes[0] (a).wait_for_breaker",
        "should be true or false and is 'yes'",
    ),
    (
        "{name: a, plugin: x, concurrency: ▶2.0}",
        "nodes[0] (a).concurrency",
        "should be a whole number and is the number 2.0",
    ),
    (
        "{name: a, plugin: x, on_error: ▶continue}",
        "nodes[0] (a).on_error",
        "a failed row cannot continue as if nothing had happened",
    ),
    ("{name: a, plugin: x, ▶on_error: []}", "nodes[0] (a).on_error", "is an empty list"),
    (
        "{name: a, plugin: x, on_error: [{to: out}, ▶{to: late}]}",
        "nodes[0] (a).on_error[1]",
        "is never reached: clause 0 has no `when` and takes every row",
    ),
    (
        "{name: a, plugin: x, on_error: [{when: 'true', to: discard, ▶max: 3}]}",
        "nodes[0] (a).on_error[0].max",
        "max bounds the way back to a node, and this clause discards",
    ),
    ("{name: a, ▶aggregate: {}}", "nodes[0] (a).aggregate.plugin", "is missing"),
    (
        "{name: a, aggregate: {plugin: x, mode: ▶passthru}}",
        "nodes[0] (a).aggregate.mode",
        "should be one of transform, passthrough and is 'passthru'; did you mean 'passthrough'?",
    ),
    (
        "{name: a, aggregate: {plugin: x, mode: passthrough, ▶expect: 1}}",
        "nodes[0] (a).aggregate.expect",
        "in mode passthrough a batch gives as many rows as it took, so nothing can be expected",
    ),
    (
        "{name: a, aggregate: {plugin: x}, trigger: {count: ▶0}}",
        "nodes[0] (a).trigger.count",
        "should be at least 1 and is the number 0",
    ),
    (
        "{name: a, aggregate: {plugin: x}, trigger: {at_end: ▶false}}",
        "nodes[0] (a).trigger.at_end",
        "this trigger can never fire",
    ),
    ("{name: a, coalesce: {policy: ▶quorum}}", "nodes[0] (a).coalesce.policy", "policy quorum needs quorum"),
    (
        "{name: a, coalesce: {▶quorum: 2}}",
        "nodes[0] (a).coalesce.quorum",
        "quorum goes with policy quorum, and policy is require_all",
    ),
    (
        "{name: a, coalesce: {policy: ▶best_effort}}",
        "nodes[0] (a).coalesce.policy",
        "policy best_effort needs timeout",
    ),
    ("{name: a, coalesce: {merge: ▶select}}", "nodes[0] (a).coalesce.merge", "merge select needs select"),
    (
        "{name: a, coalesce: {merge: nested, ▶on_collision: fail}}",
        "nodes[0] (a).coalesce.on_collision",
        "on_collision goes with merge union, and merge is nested",
    ),
]


@pytest.mark.parametrize(("node", "field", "message"), NODE_TABLE, ids=[row[0] for row in NODE_TABLE])
def test_a_node_that_is_wrong_is_named_with_its_place(node: str, field: str, message: str) -> None:
    text, line, column = marked(f"{HEAD}nodes:\n  - {node}\n")

    found = problems(text)

    assert [told(problem) for problem in found] == [(line, column, field, message)]


FILE_TABLE = [
    ("", "", "is empty"),
    ("# only a comment\n", "", "is empty"),
    ("▶- a\n", "", "should be a mapping and is a list"),
    ("▶text", "", "should be a mapping and is 'text'"),
    ("▶name: p\nsource: {plugin: csv}\n", "sinks", "is missing"),
    ("name: p\nsource: {plugin: csv}\n▶sinks: {}\n", "sinks", "a pipeline needs at least one sink"),
    (HEAD + "frame: ▶2\n", "frame", "should be 1 and is the number 2"),
    (HEAD + "frame: ▶true\n", "frame", "should be a whole number and is true"),
    (HEAD + "▶nods: []\n", "nods", "unknown key 'nods'; did you mean 'nodes'?"),
    (HEAD + "nodes:▶\n", "nodes", "should be a list and is nothing (null)"),
    (
        HEAD + "settings:\n  chunk_rows: ▶0\n",
        "settings.chunk_rows",
        "should be at least 1 and is the number 0",
    ),
    (
        HEAD + "settings: {max_latency: ▶-1}\n",
        "settings.max_latency",
        "should be a duration and is the number -1",
    ),
    (HEAD + "settings: {payloads: ▶some}\n", "settings.payloads", "should be one of all, none and is 'some'"),
    (
        HEAD + "audit: {writer: ▶treads}\n",
        "audit.writer",
        "should be one of inline, thread and is 'treads'; did you mean 'thread'?",
    ),
    (HEAD + "audit: {url: ▶''}\n", "audit.url", "is empty"),
    (
        "name: p\nsource: {plugin: csv}\nsinks:\n  ▶continue: {plugin: x}\n",
        "sinks.continue",
        "'continue' is reserved and cannot be the name of a node or sink",
    ),
    ("name: p\nsource: {plugin: csv}\nsinks:\n  ▶a b: {plugin: x}\n", "sinks['a b']", "'a b' is not a name"),
    (
        "name: p\nsource: {plugin: csv}\nsinks:\n  a: {plugin: x, on_error: ▶a}\n",
        "sinks.a.on_error",
        "sink 'a' cannot take the rows that it refuses",
    ),
    (
        "name: p\nsource: {plugin: csv}\nsinks:\n  a: {plugin: x, on_error: ▶discard}\n",
        "sinks.a.on_error",
        "on_error of a sink cannot be 'discard'",
    ),
    (
        "name: p\nsource: {plugin: csv, on_invalid: ▶continue}\nsinks: {o: {plugin: x}}\n",
        "source.on_invalid",
        "on_invalid cannot be 'continue'",
    ),
    (
        "name: p\nsource: {plugin: csv, schema: {mode: ▶fixed}}\nsinks: {o: {plugin: x}}\n",
        "source.schema.mode",
        "mode fixed admits declared fields only, and none is declared",
    ),
    (
        "name: p\nsource: {plugin: csv, schema: {mode: observed, ▶fields: {a: int}}}\nsinks: {o: {plugin: x}}\n",
        "source.schema.fields",
        "mode observed finds the fields itself, and here are some declared",
    ),
    (
        "name: p\nsource: {plugin: csv, schema: {fields: {a: ▶1}}}\nsinks: {o: {plugin: x}}\n",
        "source.schema.fields.a",
        "should be text and is the number 1",
    ),
]


@pytest.mark.parametrize(
    ("text", "field", "message"), FILE_TABLE, ids=[f"{row[1]} {row[2]}" for row in FILE_TABLE]
)
def test_a_file_that_is_wrong_says_where_and_what(text: str, field: str, message: str) -> None:
    text, line, column = marked(text)

    found = problems(text)

    assert [told(problem) for problem in found] == [(line, column, field, message)]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        "name: ${NOWHERE}\n"
        "source: {plugin: 5, plugin: csv}\n"
        "nodes:\n"
        "  - {name: a, plugin: x, retry: {attempts: 0}}\n"
        "  - {name: a, plugin: x, on_eror: out}\n"
        "sinks: {out: {plugin: !!str jsonl}}\n"
    )

    found = problems(text)

    assert [(problem.line, problem.message) for problem in found] == [
        (1, "${NOWHERE}: the environment has no variable NOWHERE"),
        (2, "the key 'plugin' is there twice, in lines 2 and 2"),
        (4, "should be at least 1 and is the number 0"),
        (5, "'a' is also the name of nodes[0]"),
        (5, "unknown key 'on_eror'; did you mean 'on_error'?"),
        (6, "the tag !!str is not supported"),
    ]


def test_a_value_that_could_not_be_expanded_is_not_blamed_a_second_time() -> None:
    text = f"{HEAD}settings: {{chunk_rows: '${{ROWS}}'}}\n"

    found = problems(text)

    assert [told(problem) for problem in found] == [
        (4, 24, "settings.chunk_rows", "${ROWS}: the environment has no variable ROWS")
    ]


def test_a_flood_of_problems_is_cut_off_and_says_so() -> None:
    text = HEAD + "".join(f"k{number}: 1\n" for number in range(5_000))

    found = problems(text)

    assert len(found) == 101
    assert found[-1].message == "there are more problems than these"


def test_a_problem_reads_as_place_field_message_and_remedy() -> None:
    text = f"{HEAD}nodes:\n  - {{name: gain, plugin: x, on_eror: out}}\n"

    (found,) = problems(text)

    assert str(found) == (
        "pipeline.yaml:5:29: nodes[0] (gain).on_eror: unknown key 'on_eror'; did you mean 'on_error'?\n"
        "    Known keys here are name, plugin, options, on_error, retry, timeout, breaker, wait_for_breaker, "
        "rate_limit, concurrency, to."
    )
