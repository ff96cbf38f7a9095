"""Records as Parquet, by pyarrow, which is imported here and nowhere else in the core."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from frame.audit.export.folder import portions
from frame.audit.export.kinds import Kind, Record, Type
from frame.errors import UsageError

SUFFIX = "parquet"
_PORTION = 5_000
"""Rows a row group: as many are in memory at a time."""


def check() -> None:
    """Raises UsageError, saying what to install, if Parquet cannot be written here."""
    try:
        import pyarrow.parquet  # noqa: F401 - 0.2 s that only this format has to take
    except ImportError as error:
        raise UsageError(
            "Parquet is written by pyarrow, which is not installed: `pip install 'frame-core[parquet]'`, "
            "or choose --format csv"
        ) from error


def write(path: Path, kind: Kind, records: Iterable[Record]) -> dict[str, Any]:
    """Write the records; there is nothing to say about how."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {Type.INT: pa.int64(), Type.TEXT: pa.string(), Type.BOOL: pa.bool_()}
    schema = pa.schema([(name, types[type_]) for name, type_ in kind.columns.items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for portion in portions(records, _PORTION):
            columns = [[each.get(name) for each in portion] for name in kind.columns]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=_PORTION)
    return {}
