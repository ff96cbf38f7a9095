"""How far a run can be done over by its record (BEHAVIOUR §7). A grade never rises."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from frame.plugin.protocols import Determinism

if TYPE_CHECKING:
    from frame.audit.purge import Purge
    from frame.audit.queries import NodeRecord

REPEATABLE = frozenset(
    {Determinism.DETERMINISTIC, Determinism.SEEDED, Determinism.IO_READ, Determinism.IO_WRITE}
)
"""What these make follows from their input and from files, whose hashes are on record."""


class Grade(StrEnum):
    """How far a run can be done over."""

    FULL = "full"
    """Every node can be made to do again what it did."""
    REPLAYABLE = "replayable"
    """What cannot be done again is on record: what the outside world answered, and what came of chance."""
    ATTRIBUTABLE = "attributable"
    """What happened to whom is on record, but not all the data that doing it over takes."""


@dataclass(frozen=True, slots=True)
class Graded:
    """A grade and what keeps it from being better, "" for nothing."""

    grade: Grade
    because: str = ""

    def __str__(self) -> str:
        return f"{self.grade.value}: {self.because}" if self.because else self.grade.value


def grade(nodes: "Iterable[NodeRecord]", settings: Mapping[str, Any], purge: "Purge | None" = None) -> Graded:
    """The grade of a run, by its nodes, its settings, and its purge if its data was purged.

    >>> grade([], {"payloads": "none"})
    Graded(grade=<Grade.ATTRIBUTABLE: 'attributable'>, because='it was told to keep no rows (payloads: none)')
    """
    if purge is not None:
        return Graded(Grade.ATTRIBUTABLE, f"its data was {purge}")
    if settings.get("payloads") in ("none", False):
        return Graded(Grade.ATTRIBUTABLE, "it was told to keep no rows (payloads: none)")
    others = [
        node
        for node in nodes
        if node.determinism is not None and Determinism(node.determinism) not in REPEATABLE
    ]
    if others:
        told = ", ".join(f"{node.name} ({str(node.determinism).replace('_', ' ')})" for node in others)
        return Graded(Grade.REPLAYABLE, f"what came of {told} is on record")
    return Graded(Grade.FULL)
