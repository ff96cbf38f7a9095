"""Arrow batches in files: streams of them one after the other, and Parquet."""

import contextlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from frame_files.parquet_types import arrow_type, kind_named
from frame_files.publish import PartFile, open_again


class Appending(io.RawIOBase):
    """A file object that appends to a part file."""

    def __init__(self, part: PartFile) -> None:
        self._part = part

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._part.write(bytes(data))
        return len(data)

    def tell(self) -> int:
        return self._part.size


def batch_of(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str | None]) -> Any:
    import pyarrow as pa

    schema = pa.schema([(name, arrow_type(kind_named(kind))) for name, kind in kinds.items()])
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def as_stream(batch: Any) -> bytes:
    import pyarrow as pa

    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(buffer.getvalue())


def streams_in(path: str) -> Iterator[Any]:
    """The batches of all Arrow streams that stand one after the other in the file at `path`."""
    import pyarrow as pa

    with open_again(path) as file:
        size = os.fstat(file.fileno()).st_size
        native = pa.PythonFile(file, "r")
        while native.tell() < size:
            with pa.ipc.open_stream(native) as stream:
                yield from stream


def schema_of(path: str) -> Any:
    import pyarrow.parquet as pq

    with open_again(path) as file:
        return pq.ParquetFile(file).schema_arrow


def rows_in(path: str) -> int:
    import pyarrow.parquet as pq

    with open_again(path) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)


def batches_in(path: str, size: int) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with open_again(path) as file, contextlib.closing(pq.ParquetFile(file)) as parquet:
        yield from parquet.iter_batches(batch_size=size)
