"""The counters of a run, derived from how its tokens ended."""

from collections.abc import Mapping

from frame.events import COUNTS_AS, Path


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
