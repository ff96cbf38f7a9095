"""Arrow batches as rows: every value as frame's rows have it, exactly, or an invalid row."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from frame.plugin import InvalidRow


def rows_of(batch: Any, file: str, first: int) -> Iterator[Mapping[str, Any] | InvalidRow]:
    """The rows of a record batch; the first one is row `first` (from 0) of `file`."""
    import pyarrow as pa

    try:
        columns = {
            name: _column(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        if batch.num_rows > 1:
            for number in range(batch.num_rows):
                yield from rows_of(batch.slice(number, 1), file, first + number)
            return
        raw = json.dumps(_texts(batch), ensure_ascii=False).encode()
        yield InvalidRow(raw, f"has a value that no row can hold: {error}", f"{file}:row {first + 1}")
        return
    names = tuple(columns)
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(names, values, strict=True))


def _column(column: Any) -> list[Any]:
    """The values of one column. Raises ArrowException or ValueError for one that has no exact form."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _column(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        return [_aware(value) for value in column.cast(pa.timestamp("us", kind.tz)).to_pylist()]
    if pa.types.is_time(kind):
        return list(column.cast(pa.time64("us")).to_pylist())
    if pa.types.is_duration(kind):
        return list(column.cast(pa.duration("us")).to_pylist())
    if pa.types.is_float16(kind):
        return list(column.cast(pa.float32()).to_pylist())
    values = column.to_pylist(maps_as_pydicts="strict")
    return [_nested(value) for value in values] if pa.types.is_nested(kind) else list(values)


def _nested(value: Any) -> Any:
    match value:
        case dict():
            if not all(isinstance(name, str) for name in value):
                raise ValueError("a map with keys that are not text")
            return {name: _nested(inner) for name, inner in value.items()}
        case list():
            return [_nested(inner) for inner in value]
        case datetime():
            return _aware(value)
    return value


def _aware(value: datetime | None) -> datetime | None:
    """`value` in UTC; one without a time zone is taken for UTC."""
    if value is None:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _texts(batch: Any) -> dict[str, str]:
    """What stands in a batch of one row, as Arrow writes it for people."""
    columns = zip(batch.schema.names, batch.columns, strict=True)
    return {name: column.to_string().strip("[]\n ") for name, column in columns}
