"""What the engine hands to a plugin as its context, and where it notes what was taken through it."""

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from frame.canonical import canonical, digest
from frame.clock import Clock, as_datetime
from frame.engine.recorded_calls import Answers
from frame.engine.redaction import Redactor
from frame.errors import UndeclaredEffect
from frame.events import Called
from frame.plugin.capabilities import Capabilities


@dataclass(slots=True)
class CallLog:
    """External calls of one piece of work, with their requests and answers by digest.

    `times`: how often a visit has made each request, in all of its attempts.
    """

    calls: list[Called] = field(default_factory=list)
    bodies: dict[bytes, bytes] = field(default_factory=dict)
    times: Counter[tuple[int | None, int, bytes]] = field(default_factory=Counter)

    def keep(self, body: bytes) -> bytes:
        """The digest under which `body` is kept."""
        key = digest(body)
        self.bodies[key] = body
        return key


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What all contexts of a run share. `answers`: what calls brought back when the run is done over."""

    run_id: str
    seed: int
    clock: Clock
    redactor: Redactor
    answers: Answers | None = None


class NodeContext:
    """The context of one node. `token`, `visit` and `attempt` are set before each call.

    What the plugin's `capabilities` say it does not use is refused (UndeclaredEffect); None: it does not say.
    One context serves one thread; calls that overlap get one each, made by `fork`.
    """

    def __init__(
        self,
        facts: RunFacts,
        number: int,
        node: str,
        secrets: Callable[[str], str],
        capabilities: Capabilities | None = None,
    ) -> None:
        self._facts, self._number, self._secrets, self._capabilities = facts, number, secrets, capabilities
        self.node = node
        self.token: int | None = None
        self.visit = 0
        self.attempt = 0
        self.log = CallLog()
        self._logger: logging.Logger | None = None
        self._random: tuple[tuple[int | None, int, int], random.Random] | None = None

    def fork(self, token: int, visit: int, attempt: int) -> "NodeContext":
        """A context of its own for one call."""
        context = NodeContext(self._facts, self._number, self.node, self._secrets, self._capabilities)
        context.token, context.visit, context.attempt = token, visit, attempt
        context.log = self.log
        return context

    @property
    def run_id(self) -> str:
        return self._facts.run_id

    @property
    def logger(self) -> logging.Logger:
        if self._logger is None:
            # Not one that the process shares, since it keeps this run's secrets out of the messages.
            self._logger = logging.Logger(f"frame.node.{self.node}")  # noqa: LOG001
            self._logger.parent = logging.getLogger("frame.node")
            self._logger.addFilter(self._without_secrets)
        return self._logger

    def _without_secrets(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._facts.redactor.text(record.getMessage()), ()
        if record.exc_info:
            shown = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, self._facts.redactor.text(shown)
        return True

    @property
    def random(self) -> random.Random:
        self._hold_to("context.random", "random")
        # Anew for each visit and attempt, so that it does not matter which rows are worked on together.
        drawn_for = self.token, self.visit, self.attempt
        if self._random is None or self._random[0] != drawn_for:
            seed = f"{self._facts.seed}/{self.node}/{self.token}"
            self._random = drawn_for, random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        return self._random[1]

    def now(self) -> datetime:
        self._hold_to("context.now()", "clock")
        moment: datetime = self._called("clock", None, lambda _: as_datetime(self._facts.clock.time_us()))
        return moment

    def secret(self, name: str) -> str:
        return self._secrets(name)

    def call(self, kind: str, request: Any, send: Callable[[Any], Any]) -> Any:
        self._hold_to(f"context.call({kind!r}, ...)", "network", "process")
        return self._called(kind, request, send)

    def _hold_to(self, asked: str, *effects: str) -> None:
        """Raises UndeclaredEffect unless one of `effects` is declared, or nothing is."""
        declared = self._capabilities and self._capabilities.effects
        if declared and not any(getattr(declared, effect) for effect in effects):
            raise UndeclaredEffect(self.node, asked, effects)

    def _called(self, kind: str, request: Any, send: Callable[[Any], Any]) -> Any:
        redact, answers = self._facts.redactor, self._facts.answers
        if answers is not None and answers.speak_for(self._number):
            wanted = digest(redact.text(canonical(request).decode()).encode())
            place = self._number, self.token, self.visit, self.attempt
            return answers.give(self.node, place, redact.text(str(kind)), wanted)
        log = self.log
        request_sha256 = log.keep(redact.text(canonical(request).decode()).encode())
        started_us = self._facts.clock.time_us()
        answer_sha256, status = None, "ok"
        try:
            answer = send(request)
            answer_sha256 = log.keep(redact.text(canonical(answer).decode()).encode())
        except BaseException as error:
            status = type(error).__name__
            raise
        finally:
            duration_us = self._facts.clock.time_us() - started_us
            key = self.token, self.visit, request_sha256
            called = (
                self._number,
                self.visit,
                self.token,
                self.attempt,
                redact.text(str(kind)),
                log.times[key],
            )
            log.times[key] += 1
            log.calls.append(Called(*called, request_sha256, answer_sha256, status, started_us, duration_us))
        return answer
