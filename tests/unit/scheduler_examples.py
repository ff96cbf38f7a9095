"""An aggregation for examples, and its place in a pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

from frame.plugin import Aggregation, Determinism, PluginConfig
from frame.rows import Row


class Gathered(Aggregation):
    """One row with the ids of all members; or, `each`, every member with the size of its batch."""

    name = "gathered"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        each: bool = False
        fails: bool = False

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self.members: list[Row] = []

    def accept(self, row: Row) -> None:
        if row["id"] == "refused":
            raise ValueError("not this one")
        self.members.append(row)

    def flush(self) -> Sequence[Mapping[str, Any]]:
        if self.config.fails:
            raise RuntimeError("cannot")
        members, self.members = self.members, []
        if self.config.each:
            return [{**member, "size": len(members)} for member in members]
        return [{"ids": [member["id"] for member in members]}]


def gather(name: str = "all", to: str = "out", mode: str = "transform", **keys: Any) -> dict[str, Any]:
    options = {"each": mode == "passthrough", "fails": keys.pop("fails", False)}
    return {
        "name": name,
        "aggregate": {"plugin": Gathered, "options": options, "mode": mode},
        "to": to,
        **keys,
    }
