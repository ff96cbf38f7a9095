"""Rows of Parquet files."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from frame.errors import Refused, SourceError
from frame.plugin import Context, Determinism, InvalidRow, PluginConfig, Source
from pydantic import Field, field_validator

from frame_files.arrow_rows import rows_of
from frame_files.places import STANDARD, Input, is_url, listed, without_credentials, wrong
from frame_files.reading import PUT_BACK
from frame_files.text_source import FilesConfig

_STEP_BYTES = 1024 * 1024


class ParquetSource(Source):
    """Rows of Parquet files, with the types that the file gives them; a row group in memory at a time.

    Timestamps become datetimes in UTC; those without a time zone are taken for UTC. A value that a row cannot
    hold exactly (nanoseconds that are no whole microseconds, a map with keys that are not text) makes an invalid
    row.
    """

    name = "parquet"
    determinism = Determinism.IO_READ

    class Config(FilesConfig):
        """Which Parquet files are read, and what of them."""

        columns: list[str] | None = Field(default=None, description="The columns to read; default: all.")
        batch_rows: int = Field(default=5_000, ge=1, description="Rows that are decoded at a time.")

        @field_validator("path")
        @classmethod
        def _can_be_searched(cls, path: str) -> str:
            if path == STANDARD:
                raise ValueError(
                    "Parquet cannot be read from standard input: its index stands at the end of the file"
                )
            return path

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._node = self.name
        self._inputs: list[Input] | None = None
        self._number = 0
        self._row = 0
        self._rows = 0
        self._identity: dict[str, Any] = {}
        self._evidence: list[dict[str, Any]] = []
        self._open: Any = None

    def may_wait(self) -> bool:
        return is_url(self.config.path) and not self.config.path.startswith("file://")

    def check(self) -> None:
        """Every local file is there and has the columns."""
        for source in self._listed()[: 1 if self.may_wait() else None]:
            try:
                with source.open() as file:
                    self._check_columns(_parquet(file).schema_arrow.names)
            except (ValueError, OSError) as error:
                raise wrong(self._node, f"{source.name}: {error}") from error

    def start(self, context: Context) -> None:
        self._node = context.node
        self.check()

    def _listed(self) -> list[Input]:
        if self._inputs is None:
            storage = {name: value.get_secret_value() for name, value in self.config.storage.items()}
            self._inputs = listed(self.config.path, self._node, storage)
        return self._inputs

    def _check_columns(self, names: list[str]) -> None:
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"more than one column is named {', '.join(map(repr, doubled))}")
        if missing := [name for name in self.config.columns or () if name not in names]:
            raise ValueError(
                f"there is no column {', '.join(map(repr, missing))}; there are {', '.join(names)}"
            )

    def read(self) -> Iterator[Mapping[str, Any] | InvalidRow]:
        while self._number < len(self._listed()):
            source = self._listed()[self._number]
            with source.open() as self._open:
                self._identify(source)
                yield from self._rows_of(source)
            self._number, self._row, self._identity = self._number + 1, 0, {}

    def _identify(self, source: Input) -> None:
        """Hash the whole file, which is what its position stands on. Raises Refused if it is another one now."""
        sha256, size = hashlib.sha256(), 0
        while data := self._open.read(_STEP_BYTES):
            sha256.update(data)
            size += len(data)
        found = sha256.hexdigest()
        expected = self._identity.get("sha256", found)
        if found != expected:
            raise Refused(
                f"{source.uri} has changed since it was read: it had SHA-256 {expected} and has {found} now. {PUT_BACK}"
            )
        self._identity = {"uri": source.uri, "size_bytes": size, "sha256": expected, "mtime": source.mtime()}
        self._evidence = [*self._evidence, self._identity]

    def _rows_of(self, source: Input) -> Iterator[Mapping[str, Any] | InvalidRow]:
        self._open.seek(0)
        skip = self._row
        first = 0
        try:
            parquet = _parquet(self._open)
            self._check_columns(parquet.schema_arrow.names)
            for batch in parquet.iter_batches(self.config.batch_rows, columns=self.config.columns):
                if first + batch.num_rows > skip:
                    begin = max(skip - first, 0)
                    for item in rows_of(batch.slice(begin), source.name, first + begin):
                        self._row += 1
                        self._rows += 1
                        yield item
                first += batch.num_rows
        except (ValueError, OSError) as error:
            raise SourceError(self._node, f"{source.name}, after row {self._row}: {error}") from error

    def position(self) -> Any:
        """File and row after the row that was given last, with the hash of the file."""
        name = without_credentials(self._listed()[self._number].location) if self._identity else None
        return {
            "number": self._number,
            "file": name,
            "row": self._row,
            "rows": self._rows,
            "sha256": self._identity.get("sha256"),
        }

    def seek(self, position: Any) -> None:
        """Go on after `position`. Raises Refused, here or when reading begins, if the file is another one now."""
        if position is None:
            return
        inputs = self._listed()
        if position["number"] + (position["file"] is not None) > len(inputs):
            raise Refused(
                f"{self.config.path}: there are fewer files than before ({len(inputs)}). {PUT_BACK}"
            )
        self._number, self._row, self._rows = position["number"], position["row"], position["rows"]
        if position["file"] is not None:
            source = inputs[self._number]
            if without_credentials(source.location) != position["file"]:
                raise Refused(
                    f"{position['file']} was read before; in its place is {source.uri} now. {PUT_BACK}"
                )
            self._identity = {"sha256": position["sha256"]}
            with source.open() as self._open:
                self._identify(source)
            self._evidence = []

    def evidence(self) -> Mapping[str, Any]:
        """URI, size, SHA-256 and time of change of what was read, and the number of rows."""
        if len(self._evidence) == 1:
            return {**self._evidence[0], "rows": self._rows}
        return {"files": self._evidence, "rows": self._rows}

    def close(self) -> None:
        if self._open is not None:
            self._open.close()


def _parquet(file: Any) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, page_checksum_verification=True)
