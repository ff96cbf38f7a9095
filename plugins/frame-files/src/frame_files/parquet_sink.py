"""Rows into a Parquet file.

A Parquet file cannot be cut back: its index stands at its end. So rows are first kept in a spool file,
PATH.rows.part, as one Arrow IPC stream a write; that file can be cut back to any write. When the run has ended
well the spool is converted into PATH.part, which is made durable and renamed to PATH, and then removed. A crash
during the conversion repeats it; one after the rename finds the finished file.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from frame.errors import Refused
from frame.plugin import (
    Artifact,
    Context,
    Delivery,
    Determinism,
    PluginConfig,
    Rejected,
    Sink,
    parse_field_type,
)
from frame.rows import Row
from pydantic import Field, field_validator

from frame_files.arrow_files import Appending, as_stream, batch_of, batches_in, rows_in, schema_of, streams_in
from frame_files.file_sink import FileSinkConfig
from frame_files.parquet_types import arrow_type, converted, kind_named, kind_of_arrow, kinds_of
from frame_files.places import STANDARD, is_url
from frame_files.publish import PartFile, sha256_of
from frame_files.targets import LocalTarget, OnExisting, appending, exists_already


class ParquetSink(Sink):
    """Rows into a Parquet file with typed columns.

    The columns are the fields of the first row, or those of `fields`; a column's type is that of its first
    value (text, if it has none). A row that lacks a field has null there. A row with another field, a value of
    another type, or one that does not fit exactly (an integer beyond 64 bits) is rejected. Nested values are
    JSON text unless `fields` declares a list. The file appears as PATH when the run has ended well.
    """

    name = "parquet"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.FILE

    class Config(FileSinkConfig):
        """How the Parquet file is written."""

        fields: dict[str, str] | None = Field(
            default=None,
            description='Columns and their types, as in a schema: `{id: int, tags: "list[str]"}`.',
        )
        row_group_rows: int = Field(default=100_000, ge=1, description="Rows in one row group.")
        compression: str = Field(
            default="snappy",
            pattern="^(snappy|zstd|gzip|none)$",
            description="`snappy`, `zstd`, `gzip` or `none`.",
        )

        @field_validator("fields")
        @classmethod
        def _are_types(cls, fields: dict[str, str] | None) -> dict[str, str] | None:
            for kind in (fields or {}).values():
                parse_field_type(kind)
            if fields == {}:
                raise ValueError("names no column")
            return fields

        @field_validator("path")
        @classmethod
        def _is_a_local_file(cls, path: str) -> str:
            if path == STANDARD or (is_url(path) and not path.startswith("file://")):
                raise ValueError(f"{path!r}: a Parquet file is written to a local path")
            return path

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._node = self.name
        self._target: LocalTarget | None = None
        self._spool: PartFile | None = None
        self._rows = 0
        self._base: Mapping[str, Any] | None = None
        self._kinds: dict[str, str | None] = {}
        self._published: Any = None
        """The position that the run was resumed at, if it had published before it stopped."""

    def check(self) -> None:
        """The file can be written, and there is none that may not be touched."""
        target, _ = self._made()
        target.check()
        if self.config.on_existing is OnExisting.FAIL and target.exists():
            raise exists_already(self._node, target.uri)

    def start(self, context: Context) -> None:
        self._node = context.node
        self._made()[0].check()

    def _made(self) -> tuple[LocalTarget, PartFile]:
        target = self._target = self._target or LocalTarget(self.config.path, self._node)
        spool = self._spool = self._spool or PartFile(target.part.target + ".rows")
        return target, spool

    def open(self, position: Any) -> None:
        """Begin anew, or go on after `position`. An existing target is refused here, before anything is written."""
        target, spool = self._made()
        self._published = None
        if position is not None:
            self._rows, self._base, self._kinds = (
                position["rows"],
                position["base"],
                dict(position["columns"]),
            )
            if self._is_published(target, spool, position):
                self._published = position
            else:
                spool.resume(position["bytes"], position["sha256"])
            return
        self._rows, self._base, self._kinds = 0, None, dict(self.config.fields or {})
        exists = target.exists()
        if exists and self.config.on_existing is OnExisting.FAIL:
            raise exists_already(self._node, target.uri)
        if exists and self.config.on_existing is OnExisting.APPEND:
            self._go_on(target)
        spool.begin()

    def _go_on(self, target: LocalTarget) -> None:
        try:
            schema = schema_of(target.part.target)
            self._kinds = {field.name: kind_of_arrow(field.type) for field in schema}
        except ValueError as error:
            raise appending(self._node, target.uri, error) from error
        size, sha256 = sha256_of(target.part.target)
        self._base = {"bytes": size, "sha256": sha256, "rows": rows_in(target.part.target)}

    def _is_published(self, target: LocalTarget, spool: PartFile, position: Mapping[str, Any]) -> bool:
        """Whether the run was stopped after it had published. Raises Refused if what stands there is not its file."""
        # A spool that does not go as far as the position was begun from the published file, and cut short.
        spooled = os.path.lexists(spool.path) and Path(spool.path).stat().st_size >= position["bytes"]
        if not target.exists() or (spooled and not self._base):
            return False
        size, sha256 = sha256_of(target.part.target)
        if self._base and (size, sha256) == (self._base["bytes"], self._base["sha256"]):
            return False
        if (rows := rows_in(target.part.target)) < self._expected():
            raise Refused(
                f"{target.part.target} has {rows} rows, fewer than the {self._expected()} that this run has left "
                "there: it was replaced. Restore it, or run anew"
            )
        return True

    def _expected(self) -> int:
        return int(self._rows + (self._base["rows"] if self._base else 0))

    def _take_back(self, target: LocalTarget, spool: PartFile) -> None:
        """Spool the rows of the published file again, up to the position."""
        left = self._expected()
        spool.begin()
        self._base, self._published = None, None
        target.part.was_published = True
        for batch in batches_in(target.part.target, self.config.row_group_rows):
            spool.write(as_stream(batch.slice(0, left)))
            left -= min(left, batch.num_rows)

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        if not rows:
            return []
        if self._published is not None:
            self._take_back(*self._made())  # what was published was not the end
        known = self._kinds or dict.fromkeys(rows[0])
        kinds = kinds_of([row for row in rows if row.keys() <= known.keys()], known)
        taken, rejected = converted(rows, kinds)
        if taken:
            self._made()[1].write(as_stream(batch_of(list(taken.values()), kinds)))
            self._kinds = kinds
            self._rows += len(taken)
        return rejected

    def position(self) -> Any:
        """Bytes, rows and SHA-256 of the spool file, and the columns."""
        if self._published is not None:
            return self._published
        spool = self._made()[1]
        spool.sync()
        return {
            "bytes": spool.size,
            "rows": self._rows,
            "sha256": spool.sha256.hex(),
            "base": self._base,
            "columns": [
                [name, kind] for name, kind in self._kinds.items()
            ],  # the record sorts the keys of objects
        }

    def finish(self, context: Context) -> Artifact:
        target, spool = self._made()
        if self._published is not None and rows_in(target.part.target) > self._expected():
            self._take_back(target, spool)
        if self._published is not None:
            spool.remove()
            size, sha256 = sha256_of(target.part.target)
            return Artifact(target.uri, size, bytes.fromhex(sha256), self._rows)
        spool.sync()
        spool.check_owned()
        part = target.part
        was_published = part.was_published
        part.begin(in_place_of_another=True)  # who has the spool has this, too
        self._convert(spool, part, target)
        part.was_published = was_published or self._goes_on_from(target)
        target.publish(self.config.on_existing, self._base)
        spool.remove()
        return Artifact(target.uri, part.size, part.sha256, self._rows)

    def _goes_on_from(self, target: LocalTarget) -> bool:
        """Whether the rows that stand there are the first of those written, as when a run is carried on in another."""
        if self._base or not target.exists():
            return False
        target.part.sync()
        there, written = (
            (row for batch in batches_in(path, self.config.row_group_rows) for row in batch.to_pylist())
            for path in (target.part.target, target.part.path)
        )
        return all(row == next(written, None) for row in there)

    def _convert(self, spool: PartFile, part: PartFile, target: LocalTarget) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema(
            [(name, arrow_type(kind_named(kind or "str"))) for name, kind in self._kinds.items()]
        )
        compression = None if self.config.compression == "none" else self.config.compression
        sink = pa.PythonFile(Appending(part), "w")
        with pq.ParquetWriter(sink, schema, compression=compression, write_page_checksum=True) as writer:
            for table in self._groups(spool, schema, target.part.target):
                writer.write_table(table)

    def _groups(self, spool: PartFile, schema: Any, path: str) -> Iterator[Any]:
        """Tables of the size of a row group: the rows of the file that is appended to, then those of the spool."""
        import pyarrow as pa

        waiting: list[Any] = []
        count = 0
        present = batches_in(path, self.config.row_group_rows) if self._base else iter(())
        for batches in (present, streams_in(spool.path)):
            for batch in batches:
                waiting.append(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
                count += batch.num_rows
                if count >= self.config.row_group_rows:
                    yield pa.concat_tables(waiting).combine_chunks()
                    waiting, count = [], 0
        if waiting:
            yield pa.concat_tables(waiting).combine_chunks()

    def close(self) -> None:
        if self._target:
            self._target.close()
        if self._spool:
            self._spool.close()
