"""When the branches of a fork merge: the table of BEHAVIOUR §3, row by row and cell by cell."""

import pytest
from frame.graph.model import CoalesceNode, MergeHow, MergePolicy, OnCollision, To
from frame.scheduler.coalesce import Verdict, decide

WAIT, MERGE, FAIL = Verdict.WAIT, Verdict.MERGE, Verdict.FAIL


def coalesce(policy: str, quorum: int | None = None) -> CoalesceNode:
    return CoalesceNode(
        number=4,
        name="join",
        policy=MergePolicy(policy),
        quorum=quorum,
        timeout_s=30.0,
        how=MergeHow.UNION,
        on_collision=OnCollision.LAST,
        select=None,
        to=To(5),
    )


@pytest.mark.parametrize(
    ("policy", "arrived", "lost", "closing", "verdict", "reason"),
    [
        # a branch arrives
        ("require_all", 1, 0, "", WAIT, ""),
        ("require_all", 2, 0, "", WAIT, ""),
        ("require_all", 3, 0, "", MERGE, "all"),
        ("quorum", 1, 0, "", WAIT, ""),
        ("quorum", 2, 0, "", MERGE, "quorum"),
        ("quorum", 3, 0, "", MERGE, "quorum"),
        ("best_effort", 2, 0, "", WAIT, ""),
        ("best_effort", 3, 0, "", MERGE, "all"),
        ("first", 0, 0, "", WAIT, ""),
        ("first", 1, 0, "", MERGE, "first"),
        # time is up
        ("require_all", 2, 0, "timeout", FAIL, "incomplete"),
        ("require_all", 0, 0, "timeout", FAIL, "incomplete"),
        ("quorum", 1, 0, "timeout", FAIL, "incomplete"),
        ("quorum", 2, 0, "timeout", MERGE, "quorum"),
        ("best_effort", 1, 0, "timeout", MERGE, "timeout"),
        ("best_effort", 0, 0, "timeout", FAIL, "timeout"),
        ("first", 0, 0, "timeout", FAIL, "incomplete"),
        # the source has ended
        ("require_all", 2, 0, "end_of_source", FAIL, "incomplete"),
        ("quorum", 1, 1, "end_of_source", FAIL, "incomplete"),
        ("best_effort", 1, 1, "end_of_source", MERGE, "end_of_source"),
        ("best_effort", 0, 1, "end_of_source", FAIL, "end_of_source"),
        ("first", 0, 1, "end_of_source", FAIL, "incomplete"),
        # a branch is lost
        ("require_all", 2, 1, "", FAIL, "branch_lost"),
        ("require_all", 0, 1, "", FAIL, "branch_lost"),
        ("quorum", 1, 1, "", WAIT, ""),
        ("quorum", 1, 2, "", FAIL, "branch_lost"),
        ("quorum", 2, 1, "", MERGE, "quorum"),
        ("best_effort", 1, 1, "", WAIT, ""),
        ("best_effort", 2, 1, "", MERGE, "accounted"),
        ("best_effort", 0, 3, "", FAIL, "branch_lost"),
        ("first", 0, 2, "", WAIT, ""),
        ("first", 0, 3, "", FAIL, "branch_lost"),
    ],
)
def test_a_fork_of_three_is_decided_as_tabled(
    policy: str, arrived: int, lost: int, closing: str, verdict: Verdict, reason: str
):
    node = coalesce(policy, quorum=2 if policy == "quorum" else None)

    assert decide(node, 3, arrived, lost, closing) == (verdict, reason)
