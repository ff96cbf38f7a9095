"""A sink behind HTTP that applies each key once."""

from collections.abc import Sequence
from typing import Any

from frame.plugin import Context, Delivery, Determinism, PluginConfig, Rejected, Sink
from frame.rows import Row

from crash_plugins.service import Service


class Post(Sink):
    """Each write is one request with an Idempotency-Key."""

    name = "post"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.IDEMPOTENT

    class Config(PluginConfig):
        url: str

    def start(self, context: Context) -> None:
        self._service = Service(self.config.url)

    def open(self, position: Any) -> None:
        """There is nothing to take back: the service knows the keys."""

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        self._service.post("deliver", [dict(row) for row in rows], key)
        return []
