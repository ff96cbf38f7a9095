"""A sink that cannot recognise a repeat."""

import json
import os
from collections.abc import Sequence
from typing import Any

from frame.plugin import Delivery, Determinism, PipelinePath, PluginConfig, Rejected, Sink
from frame.rows import Row


class Append(Sink):
    """Adds a line a row to a file, each with the key of its write."""

    name = "append"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.AT_LEAST_ONCE

    class Config(PluginConfig):
        path: PipelinePath

    def open(self, position: Any) -> None:
        self._descriptor = os.open(self.config.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        folder = os.open(os.path.dirname(self.config.path), os.O_RDONLY)  # noqa: PTH120
        os.fsync(folder)
        os.close(folder)
        size = os.fstat(self._descriptor).st_size
        with open(self.config.path, "rb") as file:  # noqa: PTH123
            file.seek(max(0, size - 1))
            if file.read() not in (b"", b"\n"):  # a line that a crash has torn
                os.write(self._descriptor, b"\n")

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        lines = [json.dumps([key.rpartition("/")[2], dict(row)], sort_keys=True) + "\n" for row in rows]
        data = "".join(lines).encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
        return []

    def position(self) -> Any:
        os.fsync(self._descriptor)
        return None

    def close(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)
            del self._descriptor
