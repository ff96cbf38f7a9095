"""A sink of a stranger's."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frame.plugin import Artifact, Context, Delivery, Determinism, PluginConfig, Rejected, Sink
from frame.rows import Row


class Diary(Sink):
    """Append rows to a text file, one a line, `name=value` pairs separated by spaces."""

    name = "diary"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.FILE

    class Config(PluginConfig):
        path: str

    def open(self, position: Any) -> None:
        self._file = Path(self.config.path).open("ab")  # noqa: SIM115 - it stays open until close()
        self._file.truncate(position or 0)

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        for row in rows:
            self._file.write(" ".join(f"{name}={value}" for name, value in row.items()).encode() + b"\n")
        return []

    def position(self) -> int:
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def finish(self, context: Context) -> Artifact:
        content = Path(self.config.path).read_bytes()
        return Artifact(self.config.path, len(content), hashlib.sha256(content).digest())

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
