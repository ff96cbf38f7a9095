"""The transform `dedupe`."""

from dataclasses import replace
from typing import Any

from frame.plugin import Context, Determinism, Drop, PluginConfig, Schema, Transform, TransformResult
from frame.rows import Row
from pydantic import Field

from frame_std.declared import PURE
from frame_std.fields import FieldNames, missing, reader, wanting
from frame_std.keys import Key, key_of


class Dedupe(Transform):
    """Keep the first row of each key and drop the later ones.

    >>> from frame.rows import freeze
    >>> from types import SimpleNamespace
    >>> dedupe = Dedupe(Dedupe.Config(keys=["id"]))
    >>> dedupe.process(freeze({"id": 1, "n": "first"}), SimpleNamespace(token=0))
    {'id': 1, 'n': 'first'}
    >>> dedupe.process(freeze({"id": 1, "n": "second"}), SimpleNamespace(token=1))
    Drop(reason="duplicate of an earlier row in 'id'")

    1, 1.0, "1" and true are different keys; null is a key. The answer depends on the rows before, which a second
    call with the same row does not see: it is declared non-deterministic, and every answer is recorded. What was
    seen lives in memory, for one process: a resumed run does not know keys from before the interruption. A
    row that is processed again (a retry, a loop) is no duplicate of itself. Keep `concurrency` at 1.
    """

    name = "dedupe"
    determinism = Determinism.NON_DETERMINISTIC
    capabilities = replace(PURE, stateful=True, thread_safe=False)

    class Config(PluginConfig):
        keys: FieldNames = Field(
            default=(), description="The fields that make two rows the same; default: all fields."
        )
        window: int | None = Field(
            default=None,
            ge=1,
            description="Remember only this many keys, the newest; default: all of them (about 200 bytes each).",
        )

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._read = reader(self.config.keys)
        self._first: dict[Key, int | None] = {}
        listed = ", ".join(repr(name) for name in self.config.keys) or "all fields"
        self._drop = Drop(f"duplicate of an earlier row in {listed}")

    def requires(self) -> Schema:
        return wanting(self.config.keys)

    def provides(self, incoming: Schema) -> Schema:
        return incoming

    def process(self, row: Row, context: Context) -> TransformResult:
        key = self._key(row, context)
        if key in self._first:
            return row if self._first[key] == context.token else self._drop
        self._first[key] = context.token
        if self.config.window is not None and len(self._first) > self.config.window:
            del self._first[next(iter(self._first))]
        return row

    def close(self) -> None:
        self._first.clear()

    def _key(self, row: Row, context: Context) -> Key:
        if not self.config.keys:
            return key_of(row)
        try:
            values: tuple[Any, ...] = self._read(row)
        except KeyError:
            missing(row, self.config.keys, context.node)
        return tuple(map(key_of, values))
