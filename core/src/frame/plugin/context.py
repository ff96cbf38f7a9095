"""What a plugin may ask of the run that it is part of."""

import logging
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol


class Context(Protocol):
    """Handed to every call. What is taken through it (time, chance, answers of others) is recorded and replayed."""

    @property
    def run_id(self) -> str:
        """The run, as people see it."""
        ...

    @property
    def node(self) -> str:
        """The name of the node that this plugin serves."""
        ...

    @property
    def token(self) -> int | None:
        """The token in hand; None in start, finish and flush."""
        ...

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 0."""
        ...

    @property
    def logger(self) -> logging.Logger:
        """A logger named after the node."""
        ...

    @property
    def random(self) -> random.Random:
        """A generator seeded from the run's seed, the node and the token: the same at every replay."""
        ...

    def now(self) -> datetime:
        """The time, in UTC; recorded."""
        ...

    def call(self, kind: str, request: Any, send: Callable[[Any], Any]) -> Any:
        """What `send(request)` returns, recorded with its request, status and latency.

        `kind` names the sort of call, as in "http" or "llm". `request` and the answer are JSON values (or
        bytes). When a run is replayed, `send` is not called and the recorded answer is returned.
        """
        ...

    def secret(self, name: str) -> str:
        """The value of the secret option `name` of this node."""
        ...
