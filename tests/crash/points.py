"""Which calls a short test run disturbs: every kind of call on every file, and then by a fixed seed."""

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.crash.shim import Call

STEP = 2
"""Kills inside a sweep of double kills: every so many calls."""


def spread(calls: Sequence[Call], count: int, seed: str) -> list[int]:
    """`count` numbers of calls (from 1): in turn from each kind of call on each file, at random within these."""
    rng = random.Random(seed)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for call in calls:
        name = "store" if ".audit.db" in call.path else Path(call.path).name
        groups[call.kind, name].append(call.number)
    shuffled = [rng.sample(numbers, len(numbers)) for _, numbers in sorted(groups.items())]
    chosen: list[int] = []
    while len(chosen) < min(count, len(calls)):
        for numbers in shuffled:
            if numbers and len(chosen) < count:
                chosen.append(numbers.pop())
    return sorted(chosen)
