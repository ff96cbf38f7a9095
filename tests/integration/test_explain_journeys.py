"""What `explain` tells of tokens by the ways that they can take."""

from pathlib import Path as FilePath

import pytest
from frame.errors import UsageError
from frame.events import ErrorInfo, Path
from frame.operations.explanation import DataState, How, Known

from tests.integration.explain_pipelines import SHELF, brief, numbers, of_token, ran, subject, visit_at


def test_a_row_on_a_straight_way_shows_its_data_at_every_step(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(5, 7), [{"name": "twice", "plugin": "double"}])

    story = subject(told.explain(row=1))

    assert (story.origin.kind, story.origin.row, story.data.row) == ("source", 1, {"n": 7})
    assert brief(story) == [("twice", "passed"), ("out", "written")]
    twice = visit_at(story, "twice")
    assert twice.came.how is How.KEPT
    assert twice.went is not None
    assert twice.went.row == {"n": 7, "double": 14}
    assert (twice.went.state, twice.went.how) == (DataState.VERIFIED, How.RECOMPUTED)
    assert twice.to == ("out",)
    write = visit_at(story, "out").write
    assert write is not None
    assert (write.index, write.confirmed, write.row.row) == (1, True, {"n": 7, "double": 14})
    assert write.row.state is DataState.VERIFIED
    assert story.outcome is not None
    assert (story.outcome.path, story.outcome.sink) == (Path.DEFAULT_FLOW, "out")


def test_a_sink_row_is_the_row_at_that_place_in_the_sink(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(5, 7, 9), [{"name": "few", "gate": "row.n != 7", "routes": {
        "true": "continue", "false": "discard"}}])  # fmt: skip

    explanation = told.explain(sink="out", index=1)

    assert subject(explanation).data.row == {"n": 9}
    assert explanation.sources.ranges == ((2, 2),)


def test_gates_tell_label_reason_and_where_they_led(tmp_path: FilePath) -> None:
    told = ran(
        tmp_path,
        numbers(1, 3),
        [
            {"name": "odd", "gate": "row.n % 2 == 1", "routes": {"true": "continue", "false": "discard"}},
            {"name": "size", "plugin": "size", "routes": {"small": "out", "big": "discard"}},
        ],
    )

    small, big = (subject(told.explain(row=row)) for row in (0, 1))

    odd = visit_at(small, "odd").decision
    assert odd is not None
    assert (odd.label, odd.mode, odd.to) == ("true", "continue", ("size",))
    assert (odd.expression, odd.checked) == ("row.n % 2 == 1", DataState.VERIFIED)
    size = visit_at(big, "size").decision
    assert size is not None
    assert (size.label, size.mode, size.to) == ("big", "discard", ())
    assert (size.reason, size.checked) == ({"n": 3, "limit": 2}, DataState.VERIFIED)
    assert big.outcome is not None
    assert big.outcome.path is Path.GATE_DISCARDED


FORK = [
    {"name": "both", "gate": "'all'", "routes": {"all": ["left", "right"]}},
    {"name": "left", "plugin": "double", "to": "again"},
    {"name": "right", "plugin": "dice", "to": "again"},
    {"name": "again", "coalesce": {"merge": "union"}},
]


def test_a_fork_and_its_join_are_followed_back_and_forth(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(4), FORK)

    explanation = told.explain(sink="out", index=0)

    assert [(story.token, story.origin.kind, story.origin.branch) for story in explanation.stories] == [
        (0, "source", None),
        (1, "fork", "left"),
        (2, "fork", "right"),
        (3, "merge", None),
    ]
    merged = subject(explanation)
    assert merged.origin.parents == (1, 2)
    assert merged.data.state is DataState.VERIFIED
    assert merged.data.row is not None
    assert set(merged.data.row) == {"n", "double", "thrown"}
    assert (
        visit_at(of_token(explanation, 2), "right").went == visit_at(of_token(explanation, 2), "again").came
    )
    assert [story.token for story in told.explain(row=0).stories] == [0, 1, 2, 3]


def test_a_field_of_a_merged_row_is_traced_through_the_branch_that_it_came_from(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(4), FORK)

    history = told.explain(sink="out", index=0, field="double").field

    assert history is not None
    assert [(step.node, step.what, step.branch) for step in history.steps] == [
        ("left", "set", None),
        ("again", "taken", "left"),
    ]
    assert history.value == Known(8)


def test_what_another_branch_did_to_a_field_is_no_part_of_its_history(tmp_path: FilePath) -> None:
    nodes = [dict(node) for node in FORK]
    nodes[1] = {"name": "left", "plugin": "count", "to": "again"}
    told = ran(tmp_path, numbers(4), nodes)

    history = told.explain(sink="out", index=0, field="n").field

    # Both branches have n, and the last one wins.
    assert history is not None
    assert [(step.token, step.what, step.branch) for step in history.steps] == [
        (0, "read", None),
        (3, "taken", "right"),
    ]
    assert history.value == Known(4)


def test_the_rows_of_an_expansion_know_their_parent_and_place(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(3), [{"name": "parts", "plugin": "split"}])

    explanation = told.explain(sink="out", index=2)

    assert subject(explanation).origin.parents == (0,)
    assert (subject(explanation).origin.index, subject(explanation).data.row) == (2, {"n": 3, "part": 2})
    assert subject(explanation).data.how is How.RECOMPUTED
    assert brief(of_token(explanation, 0)) == [("parts", "expanded")]
    assert len(told.explain(row=0, members_limit=2).stories) == 3
    assert told.explain(row=0, members_limit=2).stories[0].children_count == 3


SUM = {"name": "sum", "aggregate": {"plugin": "total"}, "trigger": {"count": 3}}


def test_an_aggregate_row_goes_back_to_all_its_source_rows_and_these_lead_to_it(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(1, 2, 3, 4, 5), [{"name": "up", "plugin": "count"}, SUM])

    explanation = told.explain(sink="out", index=0)

    assert subject(explanation).data.row == {"n": 9, "rows": 3}
    (batch,) = explanation.batches
    assert (batch.members_count, [member.token for member in batch.members]) == (3, [0, 1, 2])
    assert batch.trigger == "count"
    assert (explanation.sources.ranges, explanation.sources.complete) == (((0, 2),), True)
    for row in range(3):
        impact = told.explain(row=row, forward=True).impact
        assert impact is not None
        assert [(each.sink, each.index) for each in impact.sink_rows] == [("out", 0)]
    impact = told.explain(row=4, forward=True).impact
    assert impact is not None
    assert [(each.sink, each.index) for each in impact.sink_rows] == [("out", 1)]


def test_a_batch_lists_as_many_members_as_were_asked_for_and_counts_all(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(*range(9)), [{**SUM, "trigger": {"at_end": True}}])

    some = told.explain(sink="out", index=0, members_limit=4)
    every = told.explain(sink="out", index=0, members_limit=None)

    assert (some.batches[0].members_count, len(some.batches[0].members)) == (9, 4)
    assert (some.sources.count, some.sources.complete) == (4, False)
    assert (every.sources.ranges, every.sources.complete) == (((0, 8),), True)


def test_sums_of_sums_go_back_to_the_rows_behind_both_batches(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(1, 2, 3, 4, 5, 6), [SUM, {**SUM, "name": "all", "trigger": {"count": 2}}])

    explanation = told.explain(sink="out", index=0)

    assert subject(explanation).data.row == {"n": 21, "rows": 2}
    assert len(explanation.batches) == 3
    assert explanation.sources.ranges == ((0, 5),)


def test_the_field_of_an_aggregate_names_the_members_that_had_it(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(1, 2, 3), [SUM])

    history = told.explain(sink="out", index=0, field="n").field

    assert history is not None
    (made,) = history.steps
    assert (made.what, made.after, made.members_count) == ("made", Known(6), 3)
    assert made.members == ((0, Known(1)), (1, Known(2)), (2, Known(3)))


def test_members_of_a_passthrough_batch_go_on_with_what_it_made_of_them(tmp_path: FilePath) -> None:
    rank = {
        "name": "rank",
        "aggregate": {"plugin": "rank", "mode": "passthrough"},
        "trigger": {"at_end": True},
    }
    told = ran(tmp_path, numbers(8, 2), [rank, {"name": "twice", "plugin": "double"}])

    story = subject(told.explain(row=0))

    assert brief(story) == [("rank", "passed"), ("twice", "passed"), ("out", "written")]
    went = visit_at(story, "rank").went
    assert went is not None
    assert (went.row, went.state, went.how) == ({"n": 8, "rank": 1}, DataState.VERIFIED, How.KEPT)
    assert told.explain(sink="out", index=1).sources.ranges == ((1, 1),)


def test_a_loop_is_told_visit_by_visit(tmp_path: FilePath) -> None:
    loop = [
        {"name": "up", "plugin": "count"},
        {"name": "enough", "gate": "row.n >= 3", "routes": {"true": "out", "false": {"to": "up", "max": 2}}},
    ]
    told = ran(tmp_path, numbers(0, -5), loop)

    through, limited = (subject(told.explain(row=row)) for row in (0, 1))

    assert [(visit.node, visit.visit, visit.result) for visit in through.visits] == [
        ("up", 0, "passed"),
        ("enough", 1, "routed"),
        ("up", 2, "passed"),
        ("enough", 3, "routed"),
        ("up", 4, "passed"),
        ("enough", 5, "routed"),
        ("out", 6, "written"),
    ]
    assert [visit.went.row["n"] for visit in through.visits if visit.went and visit.went.row] == [
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert limited.visits[-1].result == "visit_limit"
    assert limited.outcome is not None
    assert limited.outcome.path is Path.VISIT_LIMIT
    history = told.explain(row=0, field="n").field
    assert history is not None
    assert [(step.what, step.after) for step in history.steps] == [
        ("read", Known(0)),
        ("changed", Known(1)),
        ("changed", Known(2)),
        ("changed", Known(3)),
    ]


RETRIED = {"name": "try", "plugin": "flaky", "retry": {"attempts": 3, "wait": "1ms", "max_wait": "1ms"}}


def test_attempts_that_failed_are_told_with_their_errors(tmp_path: FilePath) -> None:
    told = ran(
        tmp_path,
        numbers(2, 3, 13, 0),
        [{**RETRIED, "on_error": "bad", "to": "out"}],
        sinks={"out": SHELF, "bad": SHELF},
    )

    at_once, retried, failed, dropped = (visit_at(subject(told.explain(row=row)), "try") for row in range(4))

    assert [attempt.status for attempt in at_once.attempts] == ["completed"]
    assert [(each.number, each.status) for each in retried.attempts] == [
        (0, "failed"),
        (1, "failed"),
        (2, "completed"),
    ]
    assert retried.attempts[1].error is not None
    assert retried.attempts[1].error.message == "attempt 1"
    assert retried.went is not None
    assert (retried.went.row, retried.went.state) == ({"n": 3, "tried": 2}, DataState.VERIFIED)
    assert (failed.result, failed.to) == ("failed", ("bad",))
    assert failed.error == ErrorInfo("Fail", "unlucky")
    assert (dropped.result, dropped.reason) == ("dropped", "nothing")


def test_a_row_that_comes_to_a_sink_by_an_error_shows_what_was_written(tmp_path: FilePath) -> None:
    told = ran(
        tmp_path,
        numbers(13),
        [{**RETRIED, "on_error": "bad", "to": "out"}],
        sinks={"out": SHELF, "bad": SHELF},
    )

    explanation = told.explain(sink="bad", index=0, field="_error")

    write = visit_at(subject(explanation), "bad").write
    assert write is not None
    assert write.row.row is not None
    assert write.row.row["_error"]["message"] == "unlucky"
    assert write.row.state is DataState.VERIFIED
    assert explanation.field is not None
    assert [(step.node, step.what) for step in explanation.field.steps] == [("bad", "set")]


def test_a_dead_letter_says_why_it_ended(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(13), [RETRIED])

    story = subject(told.explain(row=0))

    assert story.outcome is not None
    assert (story.outcome.path, story.outcome.error) == (Path.UNHANDLED, ErrorInfo("Fail", "unlucky"))


def test_an_invalid_row_is_shown_as_it_stood_in_the_source(tmp_path: FilePath) -> None:
    told = ran(
        tmp_path,
        [{"n": 1}, {"raw": "n=\N{SNOWMAN}\x01"}],
        sinks={"out": SHELF, "bad": SHELF},
        nodes=[{"name": "twice", "plugin": "double", "to": "out"}],
        source={"on_invalid": "bad"},
    )

    story = subject(told.explain(row=1))

    assert (story.origin.place, story.origin.error) == ("list:1", ErrorInfo("InvalidRow", "torn"))
    assert story.data.raw == "n=\N{SNOWMAN}\x01".encode()
    assert story.data.state is DataState.VERIFIED
    assert brief(story) == [("bad", "written")]
    assert story.outcome is not None
    assert story.outcome.path is Path.INVALID_AT_SOURCE


def test_a_row_that_a_sink_refused_is_followed_to_the_sink_that_took_it(tmp_path: FilePath) -> None:
    sinks = {"out": {"plugin": "shelf", "options": {"most": 5}, "on_error": "bad"}, "bad": SHELF}
    told = ran(tmp_path, numbers(1, 9, 2), [{"name": "twice", "plugin": "double", "to": "out"}], sinks=sinks)

    refused = subject(told.explain(row=1))

    assert brief(refused) == [("twice", "passed"), ("out", "refused"), ("bad", "written")]
    write = visit_at(refused, "out").write
    assert write is not None
    assert (write.refused, write.index) == ("too big", None)
    assert visit_at(refused, "out").to == ("bad",)
    assert refused.outcome is not None
    assert (refused.outcome.path, refused.outcome.fallback) == (Path.SINK_REJECTED, "bad")
    assert subject(told.explain(sink="out", index=1)).data.row == {"n": 2}
    impact = told.explain(row=1, forward=True).impact
    assert impact is not None
    assert [(each.sink, each.index) for each in impact.sink_rows] == [("bad", 0)]


def test_a_join_that_failed_says_what_was_missing(tmp_path: FilePath) -> None:
    nodes = [dict(node) for node in FORK]
    nodes[2] = {"name": "right", "plugin": "flaky", "to": "again"}
    told = ran(tmp_path, numbers(13), nodes)

    stories = {story.origin.branch: story for story in told.explain(row=0).stories}

    left = stories["left"]
    assert brief(left) == [("left", "passed"), ("again", "failed")]
    assert left.outcome is not None
    assert left.outcome.path is Path.MERGE_INCOMPLETE
    assert left.outcome.error is not None
    assert "branch_lost" in f"{left.outcome.error.type} {left.outcome.error.message}"


def test_a_branch_that_came_late_says_so(tmp_path: FilePath) -> None:
    nodes = [dict(node) for node in FORK]
    nodes[3] = {"name": "again", "coalesce": {"policy": "first", "merge": "union"}}
    told = ran(tmp_path, numbers(4), nodes)

    results = sorted(story.visits[-1].result for story in told.explain(row=0).stories)

    assert results in (["forked", "late", "merged", "written"], ["forked", "merged", "merged", "written"])


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({}, "ask for one thing"),
        ({"row": 1, "token": 1}, "ask for one thing"),
        ({"sink": "out"}, "ask for one thing"),
        ({"row": 7}, "there is no source row 7"),
        ({"row": -1}, "there is no source row -1"),
        ({"token": 7}, "there is no token 7"),
        ({"token": -1}, "there is no token -1"),
        ({"sink": "uot", "index": 0}, "did you mean 'out'?"),
        ({"sink": "out", "index": 1}, "it took 1"),
        ({"row": 0, "run": "zzz"}, "there is no run 'zzz'"),
    ],
)
def test_a_question_about_nothing_is_refused(
    question: dict[str, object], said: str, tmp_path: FilePath
) -> None:
    told = ran(tmp_path, numbers(1))

    with pytest.raises(UsageError) as refused:
        told.explain(**question)

    assert said in str(refused.value)
