"""What the tests of the standard plugins share: a context to call them with."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest


@dataclass
class Call:
    """A plugin call's context: the node is called `here`."""

    token: int | None = 0
    attempt: int = 0
    run_id: str = "run"
    node: str = "here"
    random: Random = field(default_factory=lambda: Random(0))
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("here"))

    def now(self) -> datetime:
        return datetime(2013, 1, 1, tzinfo=UTC)

    def call(self, kind: str, request: Any, send: Callable[[Any], Any]) -> Any:
        return send(request)

    def secret(self, name: str) -> str:
        raise KeyError(name)


@pytest.fixture
def context() -> Call:
    return Call()


@pytest.fixture
def at() -> type[Call]:
    """Makes a context, as in `at(token=7)`."""
    return Call
