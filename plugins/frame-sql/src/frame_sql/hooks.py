"""What this package offers to frame; each class is imported when a pipeline names it."""

from collections.abc import Sequence

from frame.plugin import hookimpl


@hookimpl
def frame_sources() -> Sequence[str]:
    return ["frame_sql.source:SqlSource"]


@hookimpl
def frame_transforms() -> Sequence[str]:
    return ["frame_sql.lookup:SqlLookup"]


@hookimpl
def frame_sinks() -> Sequence[str]:
    return ["frame_sql.sink:SqlSink"]
