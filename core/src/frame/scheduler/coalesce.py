"""When the branches of a fork merge, by policy (BEHAVIOUR §3). One pure function decides.

policy        a branch arrives         time is up, or the source has ended   a branch is lost
require_all   merge when all are in    fail                                  fail
quorum        merge at n               merge if n are in, else fail          fail when n is out of reach
best_effort   merge when all are       merge if one is in, else fail         merge when all are accounted for
              accounted for
first         merge at once            fail                                  fail when all are lost
"""

from enum import StrEnum

from frame.graph.model import CoalesceNode, MergePolicy


class Verdict(StrEnum):
    WAIT = "wait"
    MERGE = "merge"
    FAIL = "fail"


def decide(
    node: CoalesceNode, expected: int, arrived: int, lost: int, closing: str = ""
) -> tuple[Verdict, str]:
    """What to do with a fork of which `arrived` of `expected` branches are in and `lost` will never come, and why.

    `closing` says that no more waiting is allowed, and why: "timeout" or "end_of_source".
    """
    accounted = arrived + lost == expected
    match node.policy:
        case MergePolicy.REQUIRE_ALL:
            if lost:
                return Verdict.FAIL, "branch_lost"
            if accounted:
                return Verdict.MERGE, "all"
        case MergePolicy.QUORUM:
            needed = node.quorum or expected
            if arrived >= needed:
                return Verdict.MERGE, "quorum"
            if expected - lost < needed:
                return Verdict.FAIL, "branch_lost"
        case MergePolicy.BEST_EFFORT:
            if accounted or closing:
                reason = closing or ("all" if not lost else "accounted")
                return (Verdict.MERGE, reason) if arrived else (Verdict.FAIL, closing or "branch_lost")
        case MergePolicy.FIRST:
            if arrived:
                return Verdict.MERGE, "first"
            if accounted:
                return Verdict.FAIL, "branch_lost"
    return (Verdict.FAIL, "incomplete") if closing else (Verdict.WAIT, "")
