"""The aggregation `group_stats`."""

from collections.abc import Mapping, Sequence
from typing import Any

from frame.plugin import Aggregation, Context, Determinism, PluginConfig, Schema
from frame.rows import Row

from frame_std.declared import PURE
from frame_std.fields import wanting
from frame_std.groups import Groups, StatsConfig, provided


class GroupStats(Aggregation):
    """Tell count, sum, mean, extremes, deviation and quantiles of number fields, by groups.

    >>> from frame.rows import freeze
    >>> stats = GroupStats(GroupStats.Config(by="carrier", of="delay", stats=["count", "mean", "max"]))
    >>> for carrier, delay in (("UA", 5), ("AA", 9), ("UA", None), ("UA", 10)):
    ...     stats.accept(freeze({"carrier": carrier, "delay": delay}))
    >>> for row in stats.flush():
    ...     print(row)
    {'carrier': 'AA', 'rows': 1, 'delay_count': 1, 'delay_mean': 9.0, 'delay_max': 9}
    {'carrier': 'UA', 'rows': 3, 'delay_count': 2, 'delay_mean': 7.5, 'delay_max': 10}

    One row a group, in the order of the keys (nulls, booleans, numbers, text, times); 1, 1.0, "1" and true are
    different keys. The order of the rows in the batch changes nothing. Sums are exact and rounded once; quantiles are
    exact, linear between neighbours. Without stddev and quantiles memory depends on the number of groups alone; these
    two keep every value (8 bytes for a float, about 32 for an int).
    """

    name = "group_stats"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(StatsConfig):
        pass

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._node = self.name
        self._groups = Groups(self.config)

    def requires(self) -> Schema:
        return wanting([*self.config.by, *self.config.of])

    def provides(self, incoming: Schema) -> Schema:
        return provided(self.config, incoming, {})

    def start(self, context: Context) -> None:
        self._node = context.node

    def accept(self, row: Row) -> None:
        self._groups.add(row, self._node)

    def flush(self) -> Sequence[Mapping[str, Any]]:
        rows = self._groups.rows()
        self._groups.clear()
        return rows

    def close(self) -> None:
        self._groups.clear()
