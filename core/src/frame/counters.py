"""The counters of a run: how many rows and tokens there were, and how they ended."""

from collections.abc import Mapping

from frame.events import Path

COUNTS_AS: Mapping[Path, tuple[str, ...]] = {
    Path.DEFAULT_FLOW: ("succeeded",),
    Path.GATE_ROUTED: ("succeeded", "routed"),
    Path.GATE_DISCARDED: ("succeeded", "discarded"),
    Path.DROPPED: ("succeeded", "dropped"),
    Path.ERROR_ROUTED: ("failed", "routed_error"),
    Path.ERROR_DISCARDED: ("failed",),
    Path.UNHANDLED: ("failed", "unhandled"),
    Path.INVALID_AT_SOURCE: ("failed", "invalid"),
    Path.SINK_REJECTED: ("failed", "diverted"),
    Path.LATE_AT_MERGE: ("failed",),
    Path.MERGE_INCOMPLETE: ("failed", "merge_failed"),
    Path.VISIT_LIMIT: ("failed",),
    Path.ABANDONED: ("failed",),
    Path.FORKED: ("forked",),
    Path.EXPANDED: ("expanded",),
    Path.MERGED: ("merged",),
    Path.BATCHED: (),
}
"""The counters that a token adds to when it ends by a path (BEHAVIOUR §1)."""


def counters_from(paths: Mapping[Path, int], rows: int, tokens: int) -> dict[str, int]:
    """The counters of a run of so many source rows and tokens, from how many ended by each path.

    >>> counted = counters_from({Path.GATE_ROUTED: 2, Path.UNHANDLED: 1}, rows=4, tokens=4)
    >>> {name: number for name, number in counted.items() if number}
    {'rows': 4, 'tokens': 4, 'succeeded': 2, 'routed': 2, 'failed': 1, 'unhandled': 1, 'open': 1}
    """
    counters = {"rows": rows, "tokens": tokens} | {name: 0 for names in COUNTS_AS.values() for name in names}
    for path, number in paths.items():
        for name in COUNTS_AS[path]:
            counters[name] += number
    return {**counters, "open": tokens - sum(paths.values())}
