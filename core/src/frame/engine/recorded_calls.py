"""Calls of the outside world, answered from the record: a plugin that runs again reaches nobody."""

import builtins
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from frame import errors
from frame.canonical import canonical, digest, restore
from frame.engine.context import NodeContext, RunFacts
from frame.errors import Refused
from frame.events import Called, Event, PayloadKind, Payloads

Place = tuple[int, int | None, int, int]
"""Node, token, visit and attempt of a call."""


class NoAnswer(Refused):
    """A plugin that runs again makes a call of which the record has no answer."""

    def __init__(self, node: str, kind: str, token: int | None) -> None:
        super().__init__(node, kind, token)
        self.node, self.kind, self.token = node, kind, token

    def __str__(self) -> str:
        whose = "" if self.token is None else f" for token {self.token}"
        return f"node {self.node!r} makes a call ({self.kind}){whose} of which the record has no answer"


class Answers:
    """What the external calls of one chunk brought back, each to be given out once, in the order of the calls."""

    def __init__(self, events: Iterable[Event] = (), payloads: Iterable[Payloads] = ()) -> None:
        self._calls: dict[Place, list[Called]] = defaultdict(list)
        self._bodies: dict[object, bytes] = {}
        for event in events:
            if isinstance(event, Called):
                self._calls[event.node, event.token, event.visit, event.attempt].append(event)
        for block in payloads:
            if block.kind is PayloadKind.CALLS:
                self._bodies.update(zip(block.keys, block.items, strict=True))

    def take(self, place: Place, kind: str, request_sha256: bytes) -> Called | None:
        """The next call of this request at `place`, None if there was no further one."""
        calls = self._calls.get(place, [])
        for index, call in enumerate(calls):
            if (call.kind, call.request_sha256) == (kind, request_sha256):
                return calls.pop(index)
        return None

    def body(self, sha256: bytes | None) -> bytes | None:
        """The bytes of an answer, None if they are not at hand."""
        return None if sha256 is None else self._bodies.get(sha256)

    def left(self, place: Place) -> Sequence[Called]:
        """Calls that were made at `place` and that nobody has asked for."""
        return self._calls.get(place, ())


class RecordedContext(NodeContext):
    """A context whose calls are answered from the record.

    `missing`: by token, the first call that has no answer there. A plugin may catch what its call raises, so this
    is what tells.
    """

    def __init__(
        self, facts: RunFacts, number: int, node: str, secrets: Callable[[str], str], answers: Answers
    ) -> None:
        super().__init__(facts, number, node, secrets)
        self._answers = answers
        self.missing: dict[int | None, NoAnswer] = {}

    def fork(self, token: int, visit: int, attempt: int) -> "RecordedContext":
        """A context of its own for one call; what is missing is noted in this one."""
        context = RecordedContext(self._facts, self._number, self.node, self._secrets, self._answers)
        context.token, context.visit, context.attempt = token, visit, attempt
        context.missing = self.missing
        return context

    def call(self, kind: str, request: Any, send: Callable[[Any], Any]) -> Any:
        redact = self._facts.redactor.text
        wanted = digest(redact(canonical(request).decode()).encode())
        place = self._number, self.token, self.visit, self.attempt
        call = self._answers.take(place, redact(str(kind)), wanted)
        if call is not None and call.status != "ok":
            raised = _as_recorded(call.status)
            if raised is not None:
                raise raised
        body = None if call is None else self._answers.body(call.answer_sha256)
        if body is None:
            missing = NoAnswer(self.node, str(kind), self.token)
            self.missing.setdefault(self.token, missing)
            raise missing
        return restore(body)


def _as_recorded(name: str) -> Exception | None:
    """An exception like the one that a call ended with, if it is a kind that everybody knows."""
    kind = getattr(builtins, name, None) or getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        return kind("as on record")
    except TypeError:
        return None
