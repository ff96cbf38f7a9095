"""The gate `sample`."""

import hashlib
from dataclasses import replace

from frame.errors import WrongType
from frame.plugin import Context, Determinism, Gate, GateResult, PluginConfig, Schema
from frame.rows import Row
from pydantic import Field

from frame_std.declared import NO_EFFECTS, PURE
from frame_std.fields import FieldName, missing, type_name, wanting
from frame_std.text import as_text

_RANGE = 2**64


class Sample(Gate):
    """Route a share of the rows to `in` and the others to `out`, the same ones at every replay.

    >>> from frame.rows import freeze
    >>> sample = Sample(Sample.Config(rate=0.5, key="customer"))
    >>> [sample.evaluate(freeze({"customer": customer}), context=None) for customer in ("Ann", "Bob", "Ann", "Bob")]
    ['in', 'out', 'in', 'out']

    Without `key` chance decides row by row, seeded by the run. With `key` the SHA-256 of the key's text decides: all
    rows of one key go one way, in every run, and those that a small rate takes a larger one takes, too.
    """

    name = "sample"
    determinism = Determinism.SEEDED
    capabilities = replace(PURE, effects=replace(NO_EFFECTS, random=True))

    class Config(PluginConfig):
        rate: float = Field(ge=0, le=1, description="The share of rows that goes to `in`, from 0 to 1.")
        key: FieldName | None = Field(
            default=None, description="Decide by this field's value; default: by chance, row by row."
        )
        salt: str = Field(
            default="", description="With `key`: another text makes another, independent sample."
        )

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._below = round(self.config.rate * _RANGE)

    def labels(self) -> frozenset[str]:
        return frozenset({"in", "out"})

    def requires(self) -> Schema:
        return wanting([] if self.config.key is None else [self.config.key])

    def evaluate(self, row: Row, context: Context) -> GateResult:
        key = self.config.key
        drawn = context.random.getrandbits(64) if key is None else self._hashed(row, key, context)
        return "in" if drawn < self._below else "out"

    def _hashed(self, row: Row, key: str, context: Context) -> int:
        if key not in row:
            missing(row, [key], context.node)
        text = as_text(row[key])
        if text is None:
            raise WrongType(key, "a single value, to be a key", type_name(row[key]))
        digest = hashlib.sha256(f"{self.config.salt}\0{text}".encode()).digest()
        return int.from_bytes(digest[:8], "big")
