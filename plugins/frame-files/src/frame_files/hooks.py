"""What this package offers to frame; each class is imported when a pipeline names it."""

from collections.abc import Sequence

from frame.plugin import hookimpl


@hookimpl
def frame_sources() -> Sequence[str]:
    return [
        "frame_files.csv_source:CsvSource",
        "frame_files.jsonl_source:JsonlSource",
        "frame_files.parquet_source:ParquetSource",
    ]


@hookimpl
def frame_sinks() -> Sequence[str]:
    return [
        "frame_files.csv_sink:CsvSink",
        "frame_files.jsonl_sink:JsonlSink",
        "frame_files.parquet_sink:ParquetSink",
    ]
