"""Calls of the outside world, answered from the record: a plugin that runs again reaches nobody."""

import builtins
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from frame import errors
from frame.canonical import restore
from frame.errors import Refused
from frame.events import Called, Chunk, PayloadKind

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
    """What external calls brought back, each to be given out once, in the order of the calls.

    `live`: nodes whose calls are made all the same. `missing`: by node and token, the first call that has no
    answer; a plugin may catch what its call raises, so this is what tells.
    """

    def __init__(self, chunks: Iterable[Chunk] = (), live: Collection[int] = ()) -> None:
        self._live = frozenset(live)
        self._calls: dict[Place, list[Called]] = defaultdict(list)
        self._bodies: dict[int | bytes, bytes] = {}
        self._callers: dict[tuple[int, int], set[int | None]] = defaultdict(set)
        self.missing: dict[tuple[int, int | None], NoAnswer] = {}
        for chunk in chunks:
            self.take_in(chunk)

    def take_in(self, chunk: Chunk) -> None:
        """The calls of `chunk` may be asked for, those before no more."""
        self._calls.clear()
        self._bodies.clear()
        self._callers.clear()
        self._learn(event for event in chunk.events if isinstance(event, Called))
        for block in chunk.payloads:
            if block.kind is PayloadKind.CALLS:
                self._bodies.update(zip(block.keys, block.items, strict=True))

    @classmethod
    def of(cls, calls: Iterable[Called], bodies: Mapping[bytes, bytes]) -> "Answers":
        """The answers to `calls`; `bodies`: bytes by their digest."""
        answers = cls()
        answers._learn(calls)
        answers._bodies.update(bodies.items())
        return answers

    def _learn(self, calls: Iterable[Called]) -> None:
        for call in calls:
            self._calls[call.node, call.token, call.visit, call.attempt].append(call)
            self._callers[call.node, call.visit].add(call.token)

    def speak_for(self, node: int) -> bool:
        """Whether calls of `node` are answered here, and not made."""
        return node not in self._live

    def give(self, node: str, place: Place, kind: str, request_sha256: bytes) -> Any:
        """What the next call of this request at `place` brought back; raises what it raised. Raises NoAnswer."""
        call = self._take(place, kind, request_sha256)
        if call is not None and call.status != "ok":
            raised = _as_recorded(call.status)
            if raised is not None:
                raise raised
        body = None if call is None or call.answer_sha256 is None else self._bodies.get(call.answer_sha256)
        if body is None:
            missing = NoAnswer(node, kind, place[1])
            self.missing.setdefault(place[:2], missing)
            raise missing
        return restore(body)

    def _take(self, place: Place, kind: str, request_sha256: bytes) -> Called | None:
        calls = self._calls.get(place, [])
        for index, call in enumerate(calls):
            if (call.kind, call.request_sha256) == (kind, request_sha256):
                return calls.pop(index)
        return None

    def callers(self, node: int, visit: int) -> set[int | None]:
        """The tokens for which `node` has made calls on this visit; None: for all of its rows at once."""
        return self._callers.get((node, visit), set())


def _as_recorded(name: str) -> Exception | None:
    """An exception like the one that a call ended with, if it is a kind that everybody knows."""
    kind = getattr(builtins, name, None) or getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        return kind("as on record")
    except TypeError:
        return None
