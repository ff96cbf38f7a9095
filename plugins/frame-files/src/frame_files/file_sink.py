"""What the sinks of text formats share: options, the order of write, sync and publish, standard output."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from frame.plugin import (
    Artifact,
    Context,
    Delivery,
    Determinism,
    PluginConfig,
    Rejected,
    Sink,
    beside_pipeline,
)
from frame.rows import Row
from pydantic import AfterValidator, Field, SecretStr, field_validator

from frame_files.compression import compressor
from frame_files.places import STANDARD, checked_target
from frame_files.publish import open_again
from frame_files.standard_output import StandardOutput
from frame_files.streams import Broken, opened
from frame_files.targets import OnExisting, Target, appending, exists_already, target_of

_HEAD_BYTES = 1024 * 1024
TargetPath = Annotated[str, AfterValidator(checked_target), AfterValidator(beside_pipeline)]


class FileSinkConfig(PluginConfig):
    """Which file is written, and what becomes of one that is there."""

    path: TargetPath = Field(
        description="The file, or a URL that fsspec can write. Missing folders are made. `..` is refused: write an "
        "absolute path."
    )
    on_existing: OnExisting = Field(
        default=OnExisting.FAIL,
        description="A file that is there already: `fail` stops before anything is written, `overwrite` replaces it "
        "when the run has ended well, `append` replaces it by itself and the new rows, also at the end.",
    )
    spool_folder: TargetPath = Field(
        default=".frame/spool", description="Where a file is written before it is uploaded to a URL."
    )
    storage: dict[str, SecretStr] = Field(
        default={}, description="Options for the fsspec file system of a URL, such as `key` and `secret`."
    )


class TextSinkConfig(FileSinkConfig):
    """Which text file is written."""

    path: TargetPath = Field(
        description="The file, `-` for standard output, or a URL that fsspec can write. `.gz` and `.zst` are "
        "compressed. Missing folders are made. `..` is refused: write an absolute path."
    )

    @field_validator("path")
    @classmethod
    def _can_be_compressed(cls, path: str) -> str:
        if path.endswith(".zip"):
            raise ValueError(f"{path!r}: a zip archive cannot be written row by row; use .gz or .zst")
        return path


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows as bytes; `memory` is what the sink has to know for the next ones."""

    data: bytes
    rows: int
    rejected: list[Rejected] = field(default_factory=list)
    memory: Mapping[str, Any] = field(default_factory=dict)


class FileSink(Sink):
    """Rows into a file that appears, whole, when the run has ended well."""

    determinism = Determinism.IO_WRITE
    delivery = Delivery.FILE
    config: TextSinkConfig

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        if self.config.path == STANDARD:
            self.delivery = Delivery.AT_LEAST_ONCE  # type: ignore[misc] # what has left the process cannot be taken back
        self._node = self.name
        self._target: Target | StandardOutput | None = None
        self._compress = compressor(self.config.path)
        self._rows = 0
        self._base: Mapping[str, Any] | None = None
        self._memory: Mapping[str, Any] = {}

    def encode(self, rows: Sequence[Row], memory: Mapping[str, Any]) -> Encoded:
        """The rows as bytes; `memory` is what the write before has left."""
        raise NotImplementedError

    def preamble(self, memory: Mapping[str, Any]) -> bytes:
        """What a file has that no row was written to."""
        return b""

    def remembered(self, present: bytes) -> Mapping[str, Any]:
        """The memory of a sink that goes on from a file with this beginning. Raises ValueError."""
        return {}

    def check(self) -> None:
        """The file can be written, and there is none that may not be touched."""
        target = self._made()
        target.check()
        if self.config.on_existing is OnExisting.FAIL and target.exists():
            raise exists_already(self._node, target.uri)

    def start(self, context: Context) -> None:
        self._node = context.node
        self._made().check()

    def _made(self) -> Target | StandardOutput:
        if self._target is None and self.config.path == STANDARD:
            self._target = StandardOutput(sys.stdout.buffer)
        elif self._target is None:
            storage = {name: value.get_secret_value() for name, value in self.config.storage.items()}
            self._target = target_of(self.config.path, self._node, self.config.spool_folder, storage)
        assert self._target is not None
        return self._target

    def open(self, position: Any) -> None:
        """Begin anew, or go on after `position`. An existing target is refused here, before anything is written.

        Not in `start`: a run that was stopped after it had published resumes with its own file in place.
        """
        target = self._made()
        if position is not None:
            target.recover()
            target.part.resume(position["bytes"], position["sha256"])
            self._rows, self._base, self._memory = position["rows"], position["base"], position["memory"]
            return
        self._rows, self._base, self._memory = 0, None, {}
        on_existing = self.config.on_existing
        exists = target.exists()
        if exists and on_existing is OnExisting.FAIL:
            raise exists_already(self._node, target.uri)
        target.part.begin()
        if exists and on_existing is OnExisting.APPEND:
            self._go_on(target)

    def _go_on(self, target: Target | StandardOutput) -> None:
        target.copy_present()
        self._base = {"bytes": target.part.size, "sha256": target.part.sha256.hex()}
        try:
            head, last = self._ends(target.part.path)
            self._memory = self.remembered(head)
        except (ValueError, Broken) as error:
            raise appending(self._node, target.uri, error) from error
        if last not in b"\r\n":
            self._append(b"\n")

    def _ends(self, path: str) -> tuple[bytes, bytes]:
        """The first megabyte of the text in the file at `path`, and its last byte."""
        head, last = b"", b""
        with open_again(path) as file:
            stream, _ = opened(file, self.config.path, "utf-8", sys.maxsize)
            while data := stream.read(_HEAD_BYTES):
                head, last = head + data if len(head) < _HEAD_BYTES else head, data[-1:]
        return head, last

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        if not rows:
            return []
        encoded = self.encode(rows, self._memory)
        self._append(encoded.data)
        self._memory = encoded.memory
        self._rows += encoded.rows
        return encoded.rejected

    def _append(self, data: bytes) -> None:
        if data:
            self._made().part.write(self._compress(data) if self._compress else data)

    def position(self) -> Any:
        """Bytes, rows and SHA-256 of what is on disk now, and what the next write has to know."""
        part = self._made().part
        part.sync()
        return {
            "bytes": part.size,
            "rows": self._rows,
            "sha256": part.sha256.hex(),
            "base": self._base,
            "memory": self._memory,
        }

    def finish(self, context: Context) -> Artifact:
        target = self._made()
        part = target.part
        if part.size == 0:
            preamble = self.preamble(self._memory)
            part.write(self._compress(preamble) if self._compress else preamble)
        target.publish(self.config.on_existing, self._base)
        return Artifact(target.uri, part.size, part.sha256, self._rows)

    def close(self) -> None:
        if self._target is not None:
            self._target.close()
