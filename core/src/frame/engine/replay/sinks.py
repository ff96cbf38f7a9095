"""What sinks were given, put together again; no sink is opened."""

import hashlib
from collections.abc import Sequence
from itertools import groupby

from frame.engine.executors.sink import SinkExecutor
from frame.engine.replay.ground import Ground
from frame.events import ErrorInfo, PayloadKind, SinkConfirmed, SinkIntended
from frame.rows import Row
from frame.scheduler.tokens import visits_of
from frame.scheduler.work import Write

Given = tuple[Row, bytes]


class Sinks:
    """Holds what sinks were given against what they would be given now."""

    def __init__(self, ground: Ground) -> None:
        self._on = ground
        self._given: dict[int, dict[int, Given]] = {}

    def intended(self, event: SinkIntended) -> None:
        """A write was announced."""
        on, tally = self._on, self._on.findings.at(event.node)
        known = on.known(event.tokens)
        given = self._prepare(event, known)
        self._given[event.intent] = given
        if len(known) < len(event.tokens):
            tally.unreached += 1
            self._compare_rows(event, given)
            return
        tally.compared += 1
        made = hashlib.sha256(b"".join(given[token][1] + b"\n" for token in event.tokens)).digest()
        if made != event.content_sha256 and not self._compare_rows(event, given):
            recorded = f"a write with hash {event.content_sha256.hex()}"
            on.differs(event.node, recorded, f"a write with hash {made.hex()}")

    def _prepare(self, event: SinkIntended, known: Sequence[int]) -> dict[int, Given]:
        """The rows of the tokens that are known, as the sink would get them."""
        if not known:
            return {}
        wanted = set(known)
        paths = [path for path, count in event.paths for _ in range(count)]
        visits = visits_of(event.visits, len(event.tokens))
        some = [each for each in zip(event.tokens, visits, paths, strict=True) if each[0] in wanted]
        runs = tuple((path, len(list(group))) for path, group in groupby(path for _, _, path in some))
        tokens = [token for token, _, _ in some]
        write = Write(event.node, [visit for _, visit, _ in some], tokens, runs)
        rows, forms, _ = self._sink(event.node).prepare(write)
        return dict(zip(tokens, zip(rows, forms, strict=True), strict=True))

    def _compare_rows(self, event: SinkIntended, given: dict[int, Given]) -> bool:
        """Whether a row is not the one that was to be written, by the bytes in the outbox, as far as there are any."""
        on, found = self._on, False
        outbox = on.kept.all((PayloadKind.OUTBOX, event.node, event.intent))
        for token, (_, form) in given.items():
            kept = outbox.get(token)
            if kept is not None and kept != form:
                found = True
                told = "the row in the outbox", "another row"
                on.differs(event.node, *told, token=token, rows=lambda kept=kept, form=form: (kept, form))  # type: ignore[misc]
        for token in event.tokens:
            if token not in given and token in outbox:
                row = on.kept.rows((PayloadKind.OUTBOX, event.node, event.intent), [token], [outbox[token]])[
                    0
                ]
                given[token] = row, outbox[token]
        return found

    def confirmed(self, event: SinkConfirmed) -> None:
        """A write was done; rows that the sink refused go on, as they were given to it."""
        given = self._given.pop(event.intent, {})
        for token, reason, fallback in event.rejected:
            if fallback is None:
                continue
            if token in given:
                row, form = given[token]
                self._on.put((token,), (row,), (form,))
            self._on.inflight.errors[token] = event.node, ErrorInfo("SinkRejected", reason)

    def _sink(self, number: int) -> SinkExecutor:
        return self._on.assembly.sinks[number]
