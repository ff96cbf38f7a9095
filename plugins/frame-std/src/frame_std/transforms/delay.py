"""The transform `delay`."""

import asyncio
from datetime import timedelta

from frame.plugin import Context, Determinism, PluginConfig, Schema, Transform
from frame.rows import Row
from pydantic import Field

from frame_std.declared import PURE
from frame_std.durations import Duration


class Delay(Transform):
    """Hold each row back for a while and pass it on unchanged: a slow step for demonstrations and load tests.

    >>> import asyncio
    >>> from frame.rows import freeze
    >>> delay = Delay(Delay.Config(duration="1ms"))
    >>> asyncio.run(delay.process(freeze({"id": 1}), context=None))
    {'id': 1}

    Rows wait side by side when the node's `concurrency` allows it.
    """

    name = "delay"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(PluginConfig):
        duration: Duration = Field(
            ge=timedelta(0),
            le=timedelta(days=1),
            description="How long each row waits, as in `50ms`; up to a day.",
        )

    config: Config

    def provides(self, incoming: Schema) -> Schema:
        return incoming

    async def process(self, row: Row, context: Context) -> Row:  # type: ignore[override]  # awaited by the engine
        await asyncio.sleep(self.config.duration.total_seconds())
        return row
