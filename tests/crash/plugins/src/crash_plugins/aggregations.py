"""Batches that become one row, and batches whose rows go on."""

from collections.abc import Mapping, Sequence
from typing import Any

from frame.plugin import Aggregation, Determinism, PluginConfig
from frame.rows import Row


class Total(Aggregation):
    """One row: how many rows there were, and the sum of their `n`."""

    name = "total"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._numbers: list[int] = []

    def accept(self, row: Row) -> None:
        self._numbers.append(row["n"])

    def flush(self) -> Sequence[Mapping[str, Any]]:
        numbers, self._numbers = self._numbers, []
        return [{"count": len(numbers), "sum": sum(numbers), "first": numbers[0]}]


class Rank(Aggregation):
    """The rows themselves, each with its place in the batch."""

    name = "rank"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._rows: list[Row] = []

    def accept(self, row: Row) -> None:
        self._rows.append(row)

    def flush(self) -> Sequence[Mapping[str, Any]]:
        rows, self._rows = self._rows, []
        return [{**row, "place": place} for place, row in enumerate(rows, 1)]
