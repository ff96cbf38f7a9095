"""A transform of a stranger's."""

from typing import Any

from frame.plugin import Context, Determinism, PluginConfig, Transform
from frame.rows import Row
from pydantic import Field


class Shout(Transform):
    """Write a field in capitals.

    Once for each exclamation mark asked for.
    """

    name = "shout"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        field: str = Field(description="The field to shout.")
        marks: int = Field(1, ge=0, description="How many exclamation marks follow.")

    def process(self, row: Row, context: Context) -> dict[str, Any]:
        return {**row, self.config.field: row[self.config.field].upper() + "!" * self.config.marks}
