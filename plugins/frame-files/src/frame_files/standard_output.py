"""Standard output as the target of a sink: nothing can be taken back, nothing is published."""

import hashlib
from collections.abc import Mapping
from typing import Any, BinaryIO

from frame_files.targets import OnExisting


class StandardOutput:
    """Standard output, counted and hashed. It is its own `part`."""

    uri = "stdout:"
    path = "stdout"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def part(self) -> "StandardOutput":
        return self

    @property
    def sha256(self) -> bytes:
        return self._sha256.digest()

    def check(self) -> None:
        """Standard output is always there."""

    def exists(self) -> bool:
        return False

    def recover(self) -> None:
        """Nothing can be recovered."""

    def copy_present(self) -> None:
        """Nothing is there before."""

    def begin(self) -> None:
        """Begin to count."""

    def resume(self, size: int, sha256: str) -> None:
        """Begin to count anew: what an earlier process wrote is gone, and cannot be taken back."""

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self.size += len(data)

    def sync(self) -> None:
        self._file.flush()

    def publish(self, on_existing: OnExisting, base: Mapping[str, Any] | None) -> None:
        self._file.flush()

    def close(self) -> None:
        """Standard output belongs to the process."""
