"""What becomes of rows, concept by concept, in pipelines that are run in memory."""

from collections.abc import Sequence
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.events import BatchFlushed, Merged, MergeFailed, MergeLate, Path, Routed, TriggerKind
from frame.plugin import Drop, Expand, Fail
from frame.rows import Row
from frame.testing import (
    Applied,
    Asked,
    Expanding,
    Later,
    ListSink,
    ListSource,
    ManualClock,
    Raises,
    TestRun,
    run_pipeline,
)

from tests.unit.scheduler_examples import gather


def built(
    nodes: list[dict[str, Any]], sinks: Sequence[str] = ("out",), chunk_rows: int = 1000
) -> PipelineConfig:
    return pipeline(
        "p",
        source=ListSource([]),
        nodes=nodes,
        sinks={name: {"plugin": ListSink(), "error_field": None} for name in sinks},
        settings={"chunk_rows": chunk_rows},
    )


def ran(
    nodes: list[dict[str, Any]], ids: Sequence[Any], sinks: Sequence[str] = ("out",), **keys: Any
) -> TestRun:
    rows = [each if isinstance(each, Later) else {"id": each} for each in ids]
    clock = keys.pop("clock", None)
    run = run_pipeline(built(nodes, sinks, **keys), rows=rows, clock=clock)
    assert run.result.error is None, run.result.cause
    assert run.state.open_tokens == 0
    return run


def ids(run: TestRun, sink: str = "out") -> list[Any]:
    return [row.get("id") for row in run.written[sink]]


def ended(run: TestRun) -> dict[Path, int]:
    return dict(run.state.ended)


def fork(name: str, *branches: str) -> dict[str, Any]:
    return {"name": name, "gate": "true", "routes": {"true": list(branches), "false": "discard"}}


def join(name: str = "join", to: str = "out", **merge: Any) -> dict[str, Any]:
    return {"name": name, "coalesce": merge, "to": to}


def step(name: str, to: str, **adds: Any) -> dict[str, Any]:
    return {"name": name, "plugin": Applied(lambda row: {**row, **adds}), "to": to}


# --- Gates ----------------------------------------------------------------------------------------------------


def test_a_gate_continues_routes_discards_and_forks():
    def label(row: Row) -> str:
        return ["continue", "route", "discard", "fork"][row["id"]]

    gate = {
        "name": "g",
        "plugin": Asked(label, ["continue", "route", "discard", "fork"]),
        "routes": {"continue": "continue", "route": "aside", "discard": "discard", "fork": ["s", "aside"]},
    }
    run = ran([gate, step("s", "out", done=True)], [0, 1, 2, 3], ["out", "aside"])

    assert (ids(run), ids(run, "aside")) == ([0, 3], [1, 3])
    assert ended(run) == {
        Path.DEFAULT_FLOW: 2,
        Path.GATE_ROUTED: 2,
        Path.GATE_DISCARDED: 1,
        Path.FORKED: 1,
    }


def test_a_label_without_a_route_fails_the_row_and_goes_its_on_error_way():
    gate = {
        "name": "g",
        "plugin": Asked(lambda row: row["id"]),
        "routes": {"known": "out"},
        "on_error": "bad",
    }
    run = ran([gate], ["known", "unknown"], ["out", "bad"])

    assert (ids(run), ids(run, "bad")) == (["known"], ["unknown"])
    assert ended(run) == {Path.GATE_ROUTED: 1, Path.ERROR_ROUTED: 1}


def test_without_on_error_such_a_row_ends_unhandled():
    gate = {"name": "g", "plugin": Asked(lambda row: "unknown"), "routes": {"known": "out"}}

    assert ended(ran([gate], [1])) == {Path.UNHANDLED: 1}


@pytest.mark.parametrize(("most", "expected"), [(1, 2), (2, 3), (3, None), (5, None)])
def test_a_loop_is_taken_as_often_as_it_may_be_and_once_more_ends_the_row(most: int, expected: int | None):
    nodes = [
        {"name": "count", "plugin": Applied(lambda row: {**row, "n": row.get("n", 0) + 1})},
        {
            "name": "again",
            "gate": "row.n < 4",
            "routes": {"true": {"to": "count", "max": most}, "false": "out"},
        },
    ]
    run = ran(nodes, [1])

    if expected is None:
        assert [row["n"] for row in run.written["out"]] == [4]
    else:
        assert ended(run) == {Path.VISIT_LIMIT: 1}
    turns = [
        event
        for event in run.events
        if isinstance(event, Routed) and event.mode == "loop" and not event.limit
    ]
    assert len(turns) == min(most, 3)


def test_each_loop_edge_of_a_gate_has_its_own_count():
    def label(row: Row) -> str:
        return "done" if row["n"] > 4 else ("a" if row["n"] % 2 else "b")

    nodes = [
        {"name": "count", "plugin": Applied(lambda row: {**row, "n": row.get("n", 0) + 1})},
        {
            "name": "again",
            "plugin": Asked(label),
            "routes": {"a": {"to": "count", "max": 2}, "b": {"to": "count", "max": 2}, "done": "out"},
        },
    ]

    assert ended(ran(nodes, [1])) == {Path.DEFAULT_FLOW: 1}


# --- Transforms -----------------------------------------------------------------------------------------------


def test_a_transform_drops_fails_and_expands():
    def fate(row: Row) -> Any:
        match row["id"]:
            case "drop":
                return Drop("not wanted")
            case "fail":
                return Fail("cannot")
            case "expand":
                return Expand([{"id": "x"}, {"id": "y"}])
            case "none":
                return Expand([])
        return row

    nodes = [{"name": "t", "plugin": Expanding(fate), "on_error": "bad", "to": "out"}]
    run = ran(nodes, ["drop", "fail", "expand", "none", "keep"], ["out", "bad"])

    assert (ids(run), ids(run, "bad")) == (["x", "y", "keep"], ["fail"])
    assert ended(run) == {
        Path.DEFAULT_FLOW: 3,
        Path.DROPPED: 2,
        Path.EXPANDED: 1,
        Path.ERROR_ROUTED: 1,
    }


def test_on_error_may_lead_back_as_often_as_it_says():
    nodes = [
        {"name": "t", "plugin": Raises(ValueError("no")), "on_error": [{"to": "t", "max": 3}], "to": "out"},
    ]
    run = ran(nodes, [1])

    assert ended(run) == {Path.VISIT_LIMIT: 1}
    assert run.result.nodes["t"].failed == 4


def test_on_error_may_lead_to_a_node_that_mends_the_row():
    nodes = [
        {"name": "t", "plugin": Raises(ValueError("no")), "on_error": "mend", "to": "out"},
        step("mend", "out", mended=True),
    ]
    run = ran(nodes, [1])

    assert run.written["out"] == [{"id": 1, "mended": True}]
    assert ended(run) == {Path.DEFAULT_FLOW: 1}


def test_a_clause_that_does_not_hold_lets_the_row_fail():
    clause = {"when": "error.type == 'Other'", "to": "bad"}
    nodes = [{"name": "t", "plugin": Raises(ValueError("no")), "on_error": [clause], "to": "out"}]

    assert ended(ran(nodes, [1], ["out", "bad"])) == {Path.UNHANDLED: 1}


# --- Forks and joins ------------------------------------------------------------------------------------------


def test_the_branches_of_a_fork_meet_again():
    run = ran([fork("f", "a", "b"), step("a", "join", x=1), step("b", "join", y=2), join()], [1, 2])

    assert run.written["out"] == [{"id": 1, "x": 1, "y": 2}, {"id": 2, "x": 1, "y": 2}]
    assert ended(run) == {Path.FORKED: 2, Path.MERGED: 4, Path.DEFAULT_FLOW: 2}


def test_a_fork_inside_a_branch_stands_for_it():
    nodes = [
        fork("f", "g", "b"),
        fork("g", "c", "d"),
        step("c", "inner", x=1),
        step("d", "inner", y=2),
        join("inner", "outer", merge="nested"),
        step("b", "outer", z=3),
        join("outer"),
    ]
    run = ran(nodes, [1])

    assert run.written["out"] == [{"c": {"id": 1, "x": 1}, "d": {"id": 1, "y": 2}, "id": 1, "z": 3}]


def test_an_inner_join_that_fails_loses_the_branch_of_the_outer_one():
    nodes = [
        fork("f", "g", "b"),
        fork("g", "c", "d"),
        {"name": "c", "plugin": Raises(ValueError("no")), "on_error": "discard", "to": "inner"},
        step("d", "inner", y=2),
        join("inner", "outer"),
        step("b", "outer", z=3),
        join("outer", policy="best_effort", timeout="30s"),
    ]
    run = ran(nodes, [1])

    assert run.written["out"] == [{"id": 1, "z": 3}]
    assert ended(run)[Path.MERGE_INCOMPLETE] == 1
    assert [event.reason for event in run.events if isinstance(event, Merged)] == ["accounted"]


@pytest.mark.parametrize("policy", [{"policy": "first"}, {"policy": "quorum", "quorum": 1}])
def test_a_branch_that_comes_after_the_merge_is_late(policy: dict[str, Any]):
    nodes = [fork("f", "a", "b"), step("a", "join", x=1), step("b", "join", y=2), join(**policy)]
    run = ran(nodes, [1])

    assert run.written["out"] == [{"id": 1, "x": 1}]
    assert ended(run) == {Path.FORKED: 1, Path.MERGED: 1, Path.LATE_AT_MERGE: 1, Path.DEFAULT_FLOW: 1}
    assert len([event for event in run.events if isinstance(event, MergeLate)]) == 1


def test_a_branch_that_goes_to_a_sink_is_lost_at_once():
    nodes = [
        fork("f", "a", "b"),
        step("a", "join", x=1),
        {"name": "b", "gate": "true", "routes": {"true": "aside", "false": "join"}},
        join(policy="best_effort", timeout="30s"),
    ]
    run = ran(nodes, [1, 2], ["out", "aside"], chunk_rows=1)

    assert run.written["out"] == [{"id": 1, "x": 1}, {"id": 2, "x": 1}]
    assert [event.reason for event in run.events if isinstance(event, Merged)] == ["accounted", "accounted"]


@pytest.mark.parametrize(
    ("merge", "written", "reason", "late"),
    [
        ({"policy": "best_effort", "timeout": "30s"}, [{"id": 1, "x": 1}], "timeout", Path.LATE_AT_MERGE),
        (
            {"policy": "require_all", "timeout": "30s"},
            [],
            "incomplete: arrived: a; missing: hold",
            Path.MERGE_INCOMPLETE,
        ),
    ],
)
def test_a_timeout_decides_without_the_branch_that_a_batch_holds(
    merge: dict[str, Any], written: list[dict[str, Any]], reason: str, late: Path
):
    clock = ManualClock()
    nodes = [
        fork("f", "a", "hold"),
        step("a", "join", x=1),
        gather("hold", "join", "passthrough", trigger={"count": 2}),
        join(**merge),
    ]
    run = ran(nodes, [1, Later(31), 2], clock=clock, chunk_rows=1)

    assert run.written["out"][: len(written)] == written
    told = [
        e.reason if isinstance(e, Merged) else e.error.message
        for e in run.events
        if isinstance(e, Merged | MergeFailed)
    ]
    assert reason in told
    assert ended(run)[late] >= 1


# --- Batches --------------------------------------------------------------------------------------------------


def flushed(run: TestRun) -> list[tuple[TriggerKind, int]]:
    return [(event.trigger, event.members) for event in run.events if isinstance(event, BatchFlushed)]


@pytest.mark.parametrize("chunk_rows", [1, 2, 1000])
def test_a_batch_is_flushed_at_exactly_its_count(chunk_rows: int):
    run = ran([gather(trigger={"count": 3})], list(range(7)), chunk_rows=chunk_rows)

    assert [row["ids"] for row in run.written["out"]] == [[0, 1, 2], [3, 4, 5], [6]]
    assert flushed(run) == [(TriggerKind.COUNT, 3), (TriggerKind.COUNT, 3), (TriggerKind.AT_END, 1)]
    assert ended(run) == {Path.BATCHED: 7, Path.DEFAULT_FLOW: 3}


def test_a_row_that_comes_too_late_is_in_the_next_batch():
    clock = ManualClock()
    rows = [1, Later(9), 2, Later(1), 3, Later(9), 4]
    run = ran([gather(trigger={"after": "10s"})], rows, clock=clock, chunk_rows=1)

    assert [row["ids"] for row in run.written["out"]] == [[1, 2], [3, 4]]
    assert flushed(run) == [(TriggerKind.AFTER, 2), (TriggerKind.AT_END, 2)]


def test_the_age_of_a_batch_may_be_asked_for():
    clock = ManualClock()
    trigger = {"when": "batch.count >= 2 && batch.age > 5.0"}
    run = ran([gather(trigger=trigger)], [1, 2, Later(6), 3, 4], clock=clock, chunk_rows=1)

    assert [row["ids"] for row in run.written["out"]] == [[1, 2], [3, 4]]


def test_a_batch_whose_condition_cannot_be_evaluated_fails_and_the_run_goes_on():
    nodes = [gather(trigger={"when": "6 / (2 - batch.count) < 0"}, on_error="bad")]
    run = ran(nodes, [1, 2, 3], ["out", "bad"])

    assert ids(run, "bad") == [1, 2]
    assert [row["ids"] for row in run.written["out"]] == [[3]]


def test_a_batch_that_is_open_at_the_end_may_be_refused_and_its_rows_go_the_error_way():
    run = ran([gather(trigger={"count": 3, "at_end": False}, on_error="bad")], list(range(5)), ["out", "bad"])

    assert [row["ids"] for row in run.written["out"]] == [[0, 1, 2]]
    assert ids(run, "bad") == [3, 4]


def test_a_row_that_the_aggregation_refuses_fails_alone():
    run = ran([gather(on_error="bad")], [1, "refused", 3], ["out", "bad"])

    assert [row["ids"] for row in run.written["out"]] == [[1, 3]]
    assert ids(run, "bad") == ["refused"]


@pytest.mark.parametrize("mode", ["transform", "passthrough"])
def test_the_members_of_a_batch_that_fails_go_the_error_way(mode: str):
    run = ran([gather(mode=mode, fails=True, on_error="bad")], [1, 2], ["out", "bad"])

    assert (ids(run), ids(run, "bad")) == ([], [1, 2])
    assert ended(run) == {Path.ERROR_ROUTED: 2}


def test_a_passthrough_gives_its_members_back_to_their_fork():
    nodes = [
        fork("f", "a", "hold"),
        step("a", "join", x=1),
        gather("hold", "join", "passthrough", trigger={"count": 2}),
        join(),
    ]
    run = ran(nodes, [1, 2, 3], chunk_rows=1)

    assert sorted(run.written["out"], key=lambda row: row["id"]) == [
        {"id": 1, "x": 1, "size": 2},
        {"id": 2, "x": 1, "size": 2},
        {"id": 3, "x": 1, "size": 1},
    ]


def test_a_batch_may_end_a_branch_of_a_fork():
    run = ran([fork("f", "out", "all"), gather(to="sums")], [1, 2], ["out", "sums"])

    assert ids(run) == [1, 2]
    assert run.written["sums"] == [{"ids": [1, 2]}]
    assert ended(run) == {Path.FORKED: 2, Path.GATE_ROUTED: 2, Path.BATCHED: 2, Path.DEFAULT_FLOW: 1}


def test_what_a_refused_batch_leads_on_to_is_flushed_after_it():
    nodes = [
        gather("first", "second", trigger={"count": 3, "at_end": False}, on_error="second"),
        gather("second", "out"),
    ]
    run = ran(nodes, [1, 2])

    assert [row["ids"] for row in run.written["out"]] == [[1, 2]]


def test_outputs_of_a_batch_come_after_the_row_that_completed_it_however_chunks_are_cut():
    nodes = [fork("f", "out", "all"), gather(trigger={"count": 2})]
    written = [ran(nodes, [0, 1, 2, 3], chunk_rows=size).written["out"] for size in (1, 2, 1000)]

    assert written[0] == written[1] == written[2]
    assert [row.get("id", row.get("ids")) for row in written[0]] == [0, 1, [0, 1], 2, 3, [2, 3]]
