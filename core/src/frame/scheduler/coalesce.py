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
    verdict, reason = _POLICIES[node.policy](node, expected, arrived, lost, closing)
    if verdict is Verdict.WAIT and closing:
        return Verdict.FAIL, "incomplete"
    return verdict, reason


def _require_all(
    node: CoalesceNode, expected: int, arrived: int, lost: int, closing: str
) -> tuple[Verdict, str]:
    if lost:
        return Verdict.FAIL, "branch_lost"
    return (Verdict.MERGE, "all") if arrived == expected else (Verdict.WAIT, "")


def _quorum(node: CoalesceNode, expected: int, arrived: int, lost: int, closing: str) -> tuple[Verdict, str]:
    needed = node.quorum or expected
    if arrived >= needed:
        return Verdict.MERGE, "quorum"
    return (Verdict.FAIL, "branch_lost") if expected - lost < needed else (Verdict.WAIT, "")


def _best_effort(
    node: CoalesceNode, expected: int, arrived: int, lost: int, closing: str
) -> tuple[Verdict, str]:
    if arrived + lost < expected and not closing:
        return Verdict.WAIT, ""
    if not arrived:
        return Verdict.FAIL, closing or "branch_lost"
    return Verdict.MERGE, closing or ("accounted" if lost else "all")


def _first(node: CoalesceNode, expected: int, arrived: int, lost: int, closing: str) -> tuple[Verdict, str]:
    if arrived:
        return Verdict.MERGE, "first"
    return (Verdict.FAIL, "branch_lost") if lost == expected else (Verdict.WAIT, "")


_POLICIES = {
    MergePolicy.REQUIRE_ALL: _require_all,
    MergePolicy.QUORUM: _quorum,
    MergePolicy.BEST_EFFORT: _best_effort,
    MergePolicy.FIRST: _first,
}
