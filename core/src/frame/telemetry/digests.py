"""The digest of the row that a token had when something happened to it, read from the events of one chunk."""

from collections.abc import Sequence

from frame.events import (
    BatchFlushed,
    Carried,
    Event,
    Expanded,
    Merged,
    Routed,
    RowInvalid,
    RowsRead,
    Tokens,
    Visited,
)

_BYTES = 32


def digest_before(events: Sequence[Event], index: int, token: int) -> bytes | None:
    """The digest of `token`'s row just before `events[index]`, or None where this chunk does not tell.

    It does not for tokens that came with an earlier chunk, and after a batch in passthrough mode.
    """
    for event in reversed(events[:index]):
        if isinstance(event, Routed) and token in event.children:
            token = _parent(event.tokens, event.children, token)
        if isinstance(event, BatchFlushed) and event.digests and not event.outputs:
            return None
        digest = _given(event, token)
        if digest is not None:
            return digest
    return None


def _given(event: Event, token: int) -> bytes | None:
    """The digest that `event` gives to `token`'s row, or None if it gives none."""
    tokens: Tokens = ()
    match event:
        case (
            RowsRead(tokens=tokens, digests=digests)
            | Carried(tokens=tokens, digests=digests)
            | Visited(tokens=tokens, digests=bytes(digests))
        ):
            pass
        case Expanded(children=tokens, digests=digests) | Merged(children=tokens, digests=digests):
            pass
        case BatchFlushed(outputs=tokens, digests=digests):
            pass
        case RowInvalid(token=invalid, digest=digests):
            tokens = (invalid,)
        case _:
            return None
    if token not in tokens:
        return None
    position = tokens.index(token)
    return digests[position * _BYTES : (position + 1) * _BYTES]


def _parent(parents: Tokens, children: range, token: int) -> int:
    width = len(children) // len(parents)
    return parents[children.index(token) // width]
