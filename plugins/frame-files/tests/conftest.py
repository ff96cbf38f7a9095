"""Drives sources and sinks the way the engine does, without the engine."""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from frame.plugin import Artifact, InvalidRow, Rejected
from frame.rows import freeze
from frame_files.csv_sink import CsvSink
from frame_files.csv_source import CsvSource
from frame_files.jsonl_sink import JsonlSink
from frame_files.jsonl_source import JsonlSource
from frame_files.parquet_sink import ParquetSink
from frame_files.parquet_source import ParquetSource

_TO_CLOSE: list[Any] = []
SOURCES = {"csv": CsvSource, "jsonl": JsonlSource, "parquet": ParquetSource}
SINKS = {"csv": CsvSink, "jsonl": JsonlSink, "parquet": ParquetSink}


def context(node: str = "node") -> Any:
    return SimpleNamespace(
        run_id="run",
        node=node,
        token=None,
        attempt=0,
        logger=logging.getLogger(node),
        random=random.Random(0),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


def make_source(kind: str, path: Any, **options: Any) -> Any:
    """A source that has not been started."""
    plugin = SOURCES[kind]
    return plugin(plugin.Config(path=str(path), **options))


def started(kind: str, path: Any, **options: Any) -> Any:
    source = make_source(kind, path, **options)
    _TO_CLOSE.append(source)
    source.start(context("source"))
    return source


def read(kind: str, path: Any, **options: Any) -> list[Any]:
    """Everything that the source gives."""
    source = started(kind, path, **options)
    try:
        return list(source.read())
    finally:
        source.close()


def invalids(items: Sequence[Any]) -> list[tuple[str, bytes]]:
    """Place and raw bytes of the invalid rows."""
    return [(item.place, item.raw) for item in items if isinstance(item, InvalidRow)]


def rows_of(items: Sequence[Any]) -> list[Any]:
    return [item for item in items if not isinstance(item, InvalidRow)]


def make_sink(kind: str, path: Any, **options: Any) -> Any:
    """A sink that has been started and not opened."""
    plugin = SINKS[kind]
    sink = plugin(plugin.Config(path=str(path), **options))
    _TO_CLOSE.append(sink)
    sink.start(context("sink"))
    return sink


def opened(kind: str, path: Any, position: Any = None, **options: Any) -> Any:
    sink = make_sink(kind, path, **options)
    sink.open(position)
    return sink


def put(sink: Any, rows: Sequence[Any], key: str = "key") -> list[Rejected]:
    return list(sink.write([freeze(row) for row in rows], key))


def written(kind: str, path: Any, *batches: Sequence[Any], **options: Any) -> Artifact:
    """What a whole run of a sink comes to."""
    sink = opened(kind, path, **options)
    try:
        for number, rows in enumerate(batches):
            put(sink, rows, str(number))
            sink.position()
        artifact = sink.finish(context("sink"))
        assert isinstance(artifact, Artifact)
        return artifact
    finally:
        sink.close()


@pytest.fixture(autouse=True)
def _close_everything() -> Iterator[None]:
    """Closes every plugin that a test has made, as the engine would."""
    yield
    while _TO_CLOSE:
        _TO_CLOSE.pop().close()


@pytest.fixture(scope="session")
def drive() -> SimpleNamespace:
    """The functions of this file, for the tests."""
    functions: Sequence[Callable[..., Any]] = (
        context,
        make_source,
        started,
        read,
        invalids,
        rows_of,
        make_sink,
        opened,
        put,
        written,
    )
    return SimpleNamespace(**{function.__name__: function for function in functions})
