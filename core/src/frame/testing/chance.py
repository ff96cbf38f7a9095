"""Plugins that do everything a plugin may do, each row's fate being decided by its content.

The same row at the same node always meets the same fate, so that a run can be repeated, cut into other chunks, or
compared with an interpreter of its own.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from frame.canonical import canonical_row
from frame.errors import RetryableError
from frame.plugin import (
    Aggregation,
    Context,
    Determinism,
    Drop,
    Expand,
    Fail,
    Gate,
    GateResult,
    PluginConfig,
    Transform,
    TransformResult,
)
from frame.rows import Row
from frame.testing.sinks import ListSink


def roll(salt: str, row: Mapping[str, Any]) -> float:
    """A number from 0 to 1 (excluded) that depends on `salt` and on all of `row`, and on nothing else."""
    digest = hashlib.sha256(salt.encode() + b"\n" + canonical_row(row)).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


class ChanceTransform(Transform):
    """Counts the row's steps in field `n`; by chance it drops the row, fails, or succeeds at a later attempt."""

    name = "chance"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        salt: str = ""
        drop: float = 0.05
        fail: float = 0.15
        late: float = 0.1
        keep: float = 0.2

    def needs_attempts(self, row: Row) -> int:
        """How many attempts this row takes, 0 if none succeeds."""
        return 2 + int(roll(f"{self.config.salt}/attempts", row) * 2)

    def process(self, row: Row, context: Context) -> TransformResult:
        return self.outcome(row, context.attempt)

    def outcome(self, row: Row, attempt: int) -> TransformResult:
        """What attempt number `attempt` comes to. Raises what `process` raises."""
        fate, config = roll(self.config.salt, row), self.config
        if fate < config.drop:
            return Drop(f"by chance {fate:.1f}")
        fate -= config.drop
        if fate < config.fail:
            return self._failure(fate / config.fail)
        fate -= config.fail
        if fate < config.late and attempt + 1 < self.needs_attempts(row):
            raise RetryableError("not yet")
        if 1 - fate < config.keep:
            return row
        return self.success(row)

    def _failure(self, how: float) -> TransformResult:
        if how < 0.3:
            return Fail("no")
        if how < 0.5:
            return Fail("not now", retryable=True)
        if how < 0.7:
            wrong: Any = [1, 2]
            return wrong  # type: ignore[no-any-return]
        if how < 0.8:
            return {"not": float("nan")}
        raise KeyError("a fault of the plugin")

    def success(self, row: Row) -> TransformResult:
        """What a row becomes when all goes well."""
        return {**row, "n": row.get("n", 0) + 1}


class ChanceExpansion(ChanceTransform):
    """The same, and good rows become none to three rows."""

    name = "chance_expansion"
    determinism = Determinism.DETERMINISTIC
    expands = True

    def success(self, row: Row) -> TransformResult:
        return Expand(
            [{**row, "n": row.get("n", 0) + 1, "part": part} for part in range(int(roll("expand", row) * 4))]
        )


class ChanceGate(Gate):
    """Gives one of `known` by chance, seldom one that has no route, and fails at times."""

    name = "chance_gate"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        salt: str = ""
        known: tuple[str, ...] = ("true", "false")
        fail: float = 0.1

    def evaluate(self, row: Row, context: Context) -> GateResult:
        fate = roll(self.config.salt, row)
        known: tuple[str, ...] = self.config.known
        if fate < self.config.fail:
            if fate < self.config.fail / 3:
                return Fail("cannot tell")
            if fate < self.config.fail * 2 / 3:
                return "nowhere"
            raise ValueError("a fault of the gate")
        return known[int((fate - self.config.fail) / (1 - self.config.fail) * len(known))]


class ChanceBatch(Aggregation):
    """Refuses some rows; flushes to none to two rows, or fails. `each`: to one row a member (passthrough)."""

    name = "chance_batch"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        salt: str = ""
        each: bool = False
        refuse: float = 0.1
        fail: float = 0.1

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._members: list[Row] = []

    def accept(self, row: Row) -> None:
        if roll(self.config.salt, row) < self.config.refuse:
            raise ValueError("refused by chance")
        self._members.append(row)

    def flush(self) -> Sequence[Mapping[str, Any]]:
        members, self._members = self._members, []
        return self.outputs(members)

    def outputs(self, members: Sequence[Row]) -> Sequence[Mapping[str, Any]]:
        """What a batch of `members`, in whatever order, comes to. Raises RuntimeError by chance."""
        whole = {"ids": sorted(str(member.get("id")) for member in members), "n": len(members)}
        if roll(self.config.salt, whole) < self.config.fail:
            raise RuntimeError("the batch fails by chance")
        if self.config.each:
            return [{**member, "size": len(members)} for member in members]
        return [{**whole, "id": f"{self.config.salt}{n}"} for n in range(int(roll("outputs", whole) * 3))]


class ChanceSink(ListSink):
    """Keeps rows, but refuses a share of them."""

    name = "chance_sink"

    def __init__(self, salt: str, refuse: float = 0.2) -> None:
        self.salt, self.refuse = salt, refuse
        super().__init__(rejects=self.reason)

    def reason(self, row: Row) -> str | None:
        """Why `row` is refused, None if it is not; whatever error it carries makes no difference."""
        plain = {name: value for name, value in row.items() if name != "_error"}
        return "by chance" if roll(self.salt, plain) < self.refuse else None
