"""What the visit of a token came to, in one form for what is on record and for what is made now."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from frame.canonical import digest
from frame.engine.kept_bytes import DIGEST
from frame.events import (
    AttemptFailed,
    BatchAttemptFailed,
    Dropped,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    Routed,
    Visited,
    VisitStatus,
)
from frame.scheduler.work import Accepted, Evaluated, Processed, TokenFailed

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a visit ended: in `row`, `rows`, `drop`, `label`, `member` or `failure`, and what tells two apart.

    `attempt`: the number of the attempt that ended it. `before`: the errors of attempts that failed.
    """

    kind: str
    what: bytes | str
    attempt: int = 0
    before: tuple[str, ...] = ()
    reason: bytes = b""

    def __str__(self) -> str:
        what = self.what.hex() if isinstance(self.what, bytes) else self.what
        text = {
            "row": f"a row with hash {what}",
            "rows": f"{len(self.what) // DIGEST} rows",
            "drop": f"Drop({what!r})",
            "label": f"label {what!r}",
            "member": "a member of the batch",
        }.get(self.kind, what)
        if self.kind == "rows":
            text += f" with hashes that hash to {digest(bytes(self.what)).hex()}"  # type: ignore[arg-type]
        if self.reason:
            text += f" with reason {self.reason.decode('utf-8', 'replace')}"
        if self.kind == "failure":
            return text
        return f"{text} at attempt {self.attempt}, after {'; '.join(self.before)}" if self.before else text


def failure(error: ErrorInfo) -> str:
    """An error as it is compared: addresses in memory are no difference."""
    return _ADDRESS.sub("0x...", f"{error.type}: {error.message}")


def pieces(digests: bytes) -> Iterator[bytes]:
    """The digests of a joined sequence, one by one."""
    return (digests[at : at + DIGEST] for at in range(0, len(digests), DIGEST))


# --- On record ------------------------------------------------------------------------------------


class Recorded:
    """The visits of one piece of work as they are on record.

    `outcomes`: of the tokens whose visit is over. `first`: the attempt that a token's visit began with here, for
    one that was begun by an earlier process, or whose earlier attempts cannot be made again.
    """

    def __init__(
        self, events: Sequence[Event], forms: Mapping[int, bytes], reasons: Mapping[int, bytes]
    ) -> None:
        self._forms, self._reasons = forms, reasons
        self._attempts: dict[int, list[AttemptFailed]] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.final: dict[int, Event] = {}
        self.first: dict[int, int] = {}
        self.lost: set[int] = set()
        """Tokens whose visit failed in a way that cannot be brought about: a timeout, a breaker, a crash."""
        for event in events:
            self._take_in(event)

    def _take_in(self, event: Event) -> None:
        match event:
            case AttemptFailed():
                self._attempts.setdefault(event.token, []).append(event)
            case Visited():
                made = (
                    pieces(event.digests) if event.digests is not None else map(self._unchanged, event.tokens)
                )
                for token, what in zip(event.tokens, made, strict=True):
                    self._end(event, token, "row", what, event.attempt)
            case Expanded():
                self._end(event, event.parent, "rows", event.digests, event.attempt)
            case Dropped():
                for token in event.tokens:
                    self._end(event, token, "drop", event.reason, event.attempt)
            case Routed():
                for token in event.tokens:
                    self._end(event, token, "label", event.label, event.attempt)
            case Failed():
                self._end(event, event.token, "failure", failure(event.error), None)

    def _unchanged(self, token: int) -> bytes:
        form = self._forms.get(token)
        return b"" if form is None else digest(form)

    def _end(self, event: Event, token: int, kind: str, what: bytes | str, attempt: int | None) -> None:
        failed = self._attempts.get(token, [])
        clean = all(each.status is VisitStatus.FAILED for each in failed)
        self.final[token] = event
        if attempt is None:
            attempt = failed[-1].attempt if failed else 0
            if not clean:
                self.lost.add(token)
        if not clean:
            failed = []
        first = failed[0].attempt if failed else attempt
        if first:
            self.first[token] = first
        before = tuple(failure(each.error) for each in failed)
        self.outcomes[token] = Outcome(kind, what, attempt, before, self._reasons.get(token, b""))


# --- Now ------------------------------------------------------------------------------------------


def made_now(
    answer: Processed | Evaluated | Accepted, forms: Mapping[int, bytes], reasons: Mapping[int, bytes]
) -> dict[int, Outcome]:
    """What the visits of one piece of work come to now. `forms`: what the tokens carried before."""
    before: dict[int, tuple[str, ...]] = {}
    last: dict[int, int] = {}
    for each in answer.attempts:
        before[each.token] = (*before.get(each.token, ()), failure(each.error))
        last[each.token] = each.attempt
    made: dict[int, Outcome] = {}

    def end(token: int, kind: str, what: bytes | str) -> None:
        attempt = answer.attempts_of.get(token, 0)
        made[token] = Outcome(kind, what, attempt, before.get(token, ()), reasons.get(token, b""))

    for token, kind, what in _ends(answer, forms):
        end(token, kind, what)
    for failed in answer.failed:
        made[failed.token] = _failed(failed, last.get(failed.token, 0), before)
    return made


def _failed(failed: TokenFailed, attempt: int, before: Mapping[int, tuple[str, ...]]) -> Outcome:
    return Outcome("failure", failure(failed.error), attempt, before.get(failed.token, ()))


def _ends(
    answer: Processed | Evaluated | Accepted, forms: Mapping[int, bytes]
) -> Iterator[tuple[int, str, bytes | str]]:
    match answer:
        case Processed():
            digests: Iterable[bytes] = (digest(forms[token]) for token in answer.done)
            if answer.digests is not None:
                digests = pieces(answer.digests)
            for token, what in zip(answer.done, digests, strict=True):
                yield token, "row", what
            for parent, _, joined in answer.expanded:
                yield parent, "rows", joined
            for token, reason in answer.dropped:
                yield token, "drop", reason
        case Evaluated():
            for token, label in zip(answer.tokens, answer.labels, strict=True):
                yield token, "label", label
        case Accepted():
            for token in answer.tokens:
                yield token, "member", ""


def attempts_of(events: Iterable[Event]) -> tuple[str, ...]:
    """The errors of the attempts to flush a batch."""
    return tuple(failure(each.error) for each in events if isinstance(each, BatchAttemptFailed))
