"""What a replay finds: where a node makes something else now than it did when the run took place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from frame.canonical import canonical, restore


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field of a row: its value then and now, None where it was not there."""

    name: str
    recorded: Any
    made: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that came out otherwise. `token` is None for what concerns a batch or a whole write.

    `recorded`, `made`: what came out, in words. `fields`: what differs inside the row, if both rows are at hand.
    """

    node: int
    chunk: int
    token: int | None
    batch: int | None
    recorded: str
    made: str
    fields: tuple[FieldDifference, ...] = ()


@dataclass(slots=True)
class NodeTally:
    """What a replay did at one node. `compared`: visits (or writes, at a sink) that were done over; `taken`: those
    whose outcome was taken from the record; `unreached`: those whose rows are not known because of a difference
    before them."""

    compared: int = 0
    taken: int = 0
    unreached: int = 0
    differ: int = 0


def field_differences(recorded: bytes | None, made: bytes | None) -> tuple[FieldDifference, ...]:
    """The fields in which two rows differ, by their canonical forms; none if one of them is not at hand."""
    if recorded is None or made is None:
        return ()
    one, other = restore(recorded), restore(made)
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return ()
    return tuple(
        FieldDifference(name, one.get(name), other.get(name))
        for name in dict.fromkeys((*one, *other))
        if canonical(one.get(name)) != canonical(other.get(name)) or (name in one) != (name in other)
    )


@dataclass(slots=True)
class Findings:
    """All that a replay has found so far. `first`: the first `most` of `total` differences."""

    most: int
    total: int = 0
    first: list[Difference] = field(default_factory=list)
    nodes: dict[int, NodeTally] = field(default_factory=dict)

    def at(self, node: int) -> NodeTally:
        """The tally of a node."""
        return self.nodes.setdefault(node, NodeTally())

    @property
    def wants_more(self) -> bool:
        """Whether the next difference will be told in full."""
        return len(self.first) < self.most

    def add(self, difference: Difference) -> None:
        self.total += 1
        self.at(difference.node).differ += 1
        if self.wants_more:
            self.first.append(difference)
