"""Transforms that do what a row tells them, and one that asks a service."""

from http.client import HTTPException
from typing import Any

from frame.errors import RetryableError
from frame.plugin import Context, Determinism, Drop, Expand, Fail, PluginConfig, Transform
from frame.rows import Row

from crash_plugins.service import Service


class Twist(Transform):
    """What the field `what` says: keep, drop, expand, fail, or retry (which works at the third attempt)."""

    name = "twist"
    determinism = Determinism.DETERMINISTIC
    expands = True

    def process(self, row: Row, context: Context) -> Any:
        match row["what"]:
            case "drop":
                return Drop("it said so")
            case "expand":
                return Expand([{**row, "part": part} for part in range(3)])
            case "fail":
                return Fail("it said so")
            case "retry" if context.attempt < 2:
                raise RetryableError(f"attempt {context.attempt}")
        return {**row, "part": 9}


class Wobble(Transform):
    """As `twist`, but never more than one row."""

    name = "wobble"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> Any:
        match row["what"]:
            case "drop" if row["n"] > 20:
                return Drop("it said so")
            case "fail":
                return Fail("it said so")
            case "retry" if context.attempt < 2:
                raise RetryableError(f"attempt {context.attempt}")
        return {**row, "wobbled": True}


class Count(Transform):
    """Adds one to the field `rounds`."""

    name = "count"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> Any:
        return {**row, "rounds": row.get("rounds", 0) + 1}


class Ask(Transform):
    """Adds what the service answers about `n`."""

    name = "ask"
    determinism = Determinism.EXTERNAL_CALL

    class Config(PluginConfig):
        url: str

    def start(self, context: Context) -> None:
        self._service = Service(self.config.url)

    def process(self, row: Row, context: Context) -> Any:
        try:
            answer = context.call("http", {"n": row["n"]}, lambda request: self._service.post("ask", request))
        except (OSError, HTTPException) as error:
            raise RetryableError(str(error)) from error
        return {**row, "answer": answer["answer"]}
