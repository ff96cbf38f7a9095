"""Small plugins and pipelines to be explained, run for real and recorded in a file."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from frame.audit import database
from frame.engine.result import RunResult
from frame.errors import RetryableError
from frame.operations import explain, run
from frame.operations.explanation import Explanation, TokenStory, VisitStory
from frame.plugin import (
    Aggregation,
    Context,
    Determinism,
    Drop,
    Expand,
    Fail,
    Gate,
    InvalidRow,
    PluginConfig,
    Rejected,
    Route,
    Sink,
    Source,
    Transform,
)
from frame.plugin.registry import Registry
from frame.rows import Row
from pydantic import SecretStr


class Given(Source):
    """The rows that its options list; a row with `raw` cannot be read."""

    name = "given"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        rows: list[dict[str, Any]]

    def may_wait(self) -> bool:
        return False

    def read(self) -> Iterator[Mapping[str, Any] | InvalidRow]:
        for number, row in enumerate(self.config.rows):
            yield InvalidRow(row["raw"].encode(), "torn", f"list:{number}") if "raw" in row else row


class Double(Transform):
    """Adds `double`, twice `n`."""

    name = "double"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> Row:
        return {**row, "double": row["n"] * 2}  # type: ignore[return-value]


class Count(Transform):
    """Adds one to `n`."""

    name = "count"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> Row:
        return {**row, "n": row["n"] + 1}  # type: ignore[return-value]


class Stamp(Transform):
    """Adds the time and a number by chance, both taken through the context."""

    name = "stamp"
    determinism = Determinism.SEEDED

    def process(self, row: Row, context: Context) -> Row:
        return {**row, "at": context.now(), "chance": context.random.random()}  # type: ignore[return-value]


class Dice(Transform):
    """Adds a number that nobody can make again."""

    name = "dice"
    determinism = Determinism.NON_DETERMINISTIC
    thrown = 0

    def process(self, row: Row, context: Context) -> Row:
        Dice.thrown += 1
        return {**row, "thrown": Dice.thrown}  # type: ignore[return-value]


class Salt(Transform):
    """Adds the length of its secret."""

    name = "salt"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        salt: SecretStr

    def process(self, row: Row, context: Context) -> Row:
        return {**row, "salt": len(context.secret("salt"))}  # type: ignore[return-value]


class Flaky(Transform):
    """Fails the first two attempts of rows with an odd `n`, for good those with n = 13, and drops n = 0."""

    name = "flaky"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> Any:
        if row["n"] == 0:
            return Drop("nothing")
        if row["n"] == 13:
            return Fail("unlucky")
        if row["n"] % 2 and context.attempt < 2:
            raise RetryableError(f"attempt {context.attempt}")
        return {**row, "tried": context.attempt}


class Split(Transform):
    """Makes n rows of one."""

    name = "split"
    determinism = Determinism.DETERMINISTIC
    expands = True

    def process(self, row: Row, context: Context) -> Any:
        return Expand([{**row, "part": part} for part in range(row["n"])])


class Size(Gate):
    """Says whether `n` is small or big, and why."""

    name = "size"
    determinism = Determinism.DETERMINISTIC

    def labels(self) -> frozenset[str]:
        return frozenset({"small", "big"})

    def evaluate(self, row: Row, context: Context) -> Route:
        return Route("big" if row["n"] > 2 else "small", {"n": row["n"], "limit": 2})


class Total(Aggregation):
    """One row: the sum of `n`."""

    name = "total"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._rows: list[Row] = []

    def accept(self, row: Row) -> None:
        self._rows.append(row)

    def flush(self) -> Sequence[Mapping[str, Any]]:
        rows, self._rows = self._rows, []
        return [{"n": sum(row["n"] for row in rows), "rows": len(rows)}]


class Rank(Total):
    """Every member, with its place by `n`."""

    name = "rank"
    determinism = Determinism.DETERMINISTIC

    def flush(self) -> Sequence[Mapping[str, Any]]:
        rows, self._rows = self._rows, []
        ordered = sorted(row["n"] for row in rows)
        return [{**row, "rank": ordered.index(row["n"])} for row in rows]


class Shelf(Sink):
    """Takes rows and forgets them, but not those with `n` above `most`."""

    name = "shelf"
    determinism = Determinism.IO_WRITE

    class Config(PluginConfig):
        most: int = 10**9

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        return [Rejected(at, "too big") for at, row in enumerate(rows) if row.get("n", 0) > self.config.most]


PLUGINS = (Given, Double, Count, Stamp, Dice, Salt, Flaky, Split, Size, Total, Rank, Shelf)
SHELF = {"plugin": "shelf"}


@dataclass(frozen=True)
class Ran:
    """A run that can be asked about."""

    result: RunResult
    audit: str
    folder: Path

    def explain(self, **question: Any) -> Explanation:
        """The explanation, made with the plugins of this module."""
        return explain(
            question.pop("run", self.result.run_id),
            **{"audit": self.audit, "registry": Registry.of(PLUGINS)} | question,
        )

    def writing(self) -> database.Database:
        """The store, to tamper with."""
        return database.open(self.audit)


def ran(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]] = (),
    stop: threading.Event | None = None,
    **more: Any,
) -> Ran:
    """A pipeline of `nodes` that has run over `rows`. `more`: other keys of the pipeline file."""
    written = {
        "frame": 1,
        "name": "told",
        "source": {"plugin": "given", "options": {"rows": list(rows)}, **more.pop("source", {})},
        "nodes": list(nodes),
        "sinks": {"out": SHELF},
        **more,
    }
    file = folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump(written))
    audit = f"sqlite:///{folder / 'audit.db'}"
    return Ran(run(file, audit=audit, registry=Registry.of(PLUGINS), stop=stop), audit, folder)


def numbers(*values: int) -> list[dict[str, int]]:
    """Rows with a field `n`."""
    return [{"n": value} for value in values]


def of_token(explanation: Explanation, token: int) -> TokenStory:
    """The story of one of the tokens."""
    return next(story for story in explanation.stories if story.token == token)


def subject(explanation: Explanation) -> TokenStory:
    """The story of the token that was asked about."""
    return of_token(explanation, explanation.subject[0])


def brief(story: TokenStory) -> list[tuple[str, str]]:
    """Node and result of every visit."""
    return [(visit.node, visit.result) for visit in story.visits]


def visit_at(story: TokenStory, node: str) -> VisitStory:
    """The first visit to a node."""
    return next(visit for visit in story.visits if visit.node == node)


def tampered(told: Ran, *statements: str, given: Sequence[Any] = ()) -> None:
    """Change the record behind frame's back."""
    with sqlite3.connect(told.audit.removeprefix("sqlite:///")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement, given)
    connection.close()
