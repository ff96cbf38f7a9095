"""Drives the plugins the way the engine does, on a file of SQLite and on a real PostgreSQL."""

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from frame.plugin import Rejected
from frame.rows import freeze
from frame_sql.lookup import SqlLookup
from frame_sql.sink import SqlSink
from frame_sql.source import SqlSource

from tests.postgresql_server import Server


@dataclass
class Db:
    """A database: `url`, and what a test does to it behind the plugins' backs."""

    url: str
    sqlite: bool
    plugins: list[Any] = field(default_factory=list)

    def connect(self) -> Any:
        if self.sqlite:
            return closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None))
        return psycopg.connect(self.url, autocommit=True)

    def run(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return [tuple(row) for row in connection.execute(statement).fetchall()]

    def source(self, **options: Any) -> SqlSource:
        """A source that has been started."""
        source = SqlSource(SqlSource.Config(url=self.url, **options))
        self.plugins.append(source)
        source.start(context("source"))
        return source

    def sink(self, position: Any = None, **options: Any) -> SqlSink:
        """A sink that has been started and opened."""
        sink = SqlSink(SqlSink.Config(url=self.url, **options))
        self.plugins.append(sink)
        sink.start(context("sink"))
        sink.open(position)
        return sink

    def lookup(self, **options: Any) -> SqlLookup:
        lookup = SqlLookup(SqlLookup.Config(url=self.url, **options))
        self.plugins.append(lookup)
        lookup.start(context("lookup"))
        return lookup

    def write(self, rows: Sequence[Any], write_key: str = "key", **options: Any) -> list[Rejected]:
        """What one write of a sink of its own refuses."""
        sink = self.sink(**options)
        try:
            return list(sink.write([freeze(row) for row in rows], write_key))
        finally:
            sink.close()

    def read(self, **options: Any) -> list[Any]:
        """Everything that a source gives."""
        return list(self.source(**options).read())


def context(node: str = "node") -> Any:
    return SimpleNamespace(
        run_id="run", node=node, token=None, attempt=0, logger=logging.getLogger(node), call=call
    )


def call(kind: str, request: Any, send: Any) -> Any:
    return send(request)


def frame(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, run in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "frame", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server, the same for all tests of a process."""
    server = Server()
    try:
        server.create()
        yield server
    finally:
        server.close()


@pytest.fixture
def sqlite_db(tmp_path: Path) -> Iterator[Db]:
    path = tmp_path / "data.db"
    path.touch()
    yield from closing_plugins(Db(f"sqlite:///{path}", sqlite=True))


@pytest.fixture
def postgresql_db(server: Server) -> Iterator[Db]:
    with server.database("data") as url:
        yield from closing_plugins(Db(url, sqlite=False))


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Db:
    """A database without tables, once of each kind."""
    found: Db = request.getfixturevalue(f"{request.param}_db")
    return found


def closing_plugins(db: Db) -> Iterator[Db]:
    yield db
    for plugin in db.plugins:
        plugin.close()


@pytest.fixture(scope="session")
def drive() -> SimpleNamespace:
    """The functions of this file, for the tests."""
    functions: Sequence[Any] = (context, call, frame)
    return SimpleNamespace(**{function.__name__: function for function in functions})
