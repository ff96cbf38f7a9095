"""Rows and bytes against their hashes (H1, H4), commit by commit.

The digest of every row that is on its way is kept; what is stored of the row, and what was handed to a sink, must
have it. Rows in between are not stored: they can be computed again, and their digests are leaves of the chain.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row

from frame.audit import schema
from frame.audit.conservation import compact
from frame.audit.decoding import block_keys
from frame.audit.encoding import DIGEST
from frame.audit.payloads import decompress
from frame.audit.verify.journeys import Broken
from frame.audit.verify.stored import Commit
from frame.canonical import digest, digests
from frame.events import (
    Abandoned,
    BatchFailed,
    BatchFlushed,
    Buffered,
    Carried,
    Dropped,
    Event,
    Expanded,
    Failed,
    Merged,
    MergeFailed,
    MergeLate,
    Path,
    PayloadKind,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    SinkIntended,
    Tokens,
    Visited,
)

UNCHANGED = frozenset({Path.DEFAULT_FLOW, Path.GATE_ROUTED})
"""Tokens that end by these are written as they are; on other ways a field with the error joins the row."""

Digests = dict[int, bytes]


def _cut(joined: bytes) -> Iterator[bytes]:
    return (joined[at : at + DIGEST] for at in range(0, len(joined), DIGEST))


class Contents:
    """The digests of the rows that are on their way through a run."""

    def __init__(self, discards: frozenset[tuple[int, int]], renaming: frozenset[int] = frozenset()) -> None:
        """`renaming`: sinks that are given rows with other field names than the ones on their way."""
        self.absent = 0
        """Payload blocks whose bytes are gone."""
        self._discards, self._renaming = discards, renaming
        self._carried: Digests = {}
        self._members: dict[int, list[Tokens]] = {}
        self._read: Digests = {}
        self._made: dict[int, Digests] = {}
        self._accepted: dict[int, Digests] = {}
        self._written: dict[tuple[int, int], tuple[SinkIntended, list[bytes | None]]] = {}
        self._kept_of: frozenset[int] = frozenset()
        self._members_of: frozenset[int] = frozenset()

    def apply(self, commit: Commit, events: Iterable[Event]) -> None:
        """Take in the events of a commit, then hold its payloads against them. Raises Broken or AuditError."""
        blocks = commit.of(schema.payload_blocks)
        self._kept_of = frozenset(row.node for row in blocks if row.kind == PayloadKind.OUTPUTS)
        self._members_of = frozenset(row.node for row in blocks if row.kind == PayloadKind.MEMBERS)
        self._read, self._made, self._accepted, self._written = {}, {}, {}, {}
        for event in events:
            effect = _EFFECTS.get(type(event))
            if effect is not None:
                effect(self, event)
        outbox: dict[tuple[int, int], list[bytes]] = {}
        gone = {(row.node, row.intent) for row, data in zip(blocks, commit.data, strict=True) if data is None}
        for row, data in zip(blocks, commit.data, strict=True):
            if data is None:
                self.absent += 1
                continue
            items = decompress(row.size, _intact(row, data))
            if sum(map(len, items)) != row.raw_bytes:
                raise Broken("H1", _of_block(row, "holds another number of bytes than is recorded"))
            if row.kind == PayloadKind.OUTBOX:
                if (row.node, row.intent) in gone:
                    continue
                outbox.setdefault((row.node, row.intent), []).extend(items)
            else:
                self._check(row, items)
        for key, forms in outbox.items():
            self._check_write(key, forms)

    # --- What is stored -------------------------------------------------------------------------

    def _check(self, row: Row[Any], items: Sequence[bytes]) -> None:
        keys = block_keys(row)
        if row.kind == PayloadKind.ROWS:
            self._compare(row, items, keys, self._read)
        elif row.kind == PayloadKind.OUTPUTS:
            self._compare(row, items, keys, self._made.get(row.node, {}))
        elif row.kind == PayloadKind.MEMBERS:
            self._compare(row, items, keys, self._accepted.get(row.node, {}))
        elif row.kind == PayloadKind.CALLS:
            for key, item in zip(keys, items, strict=True):
                if digest(item) != key:
                    raise Broken("H1", _of_block(row, "holds a request or answer that has another hash"))

    def _compare(self, row: Row[Any], items: Sequence[bytes], keys: Sequence[Any], known: Digests) -> None:
        expected = [known.get(key, b"") for key in keys]
        if b"".join(expected) == digests(items):
            return
        for key, item, recorded in zip(keys, items, expected, strict=True):
            if digest(item) != recorded:
                said = "has another hash than the visit recorded" if recorded else "belongs to no visit here"
                raise Broken("H1", _of_block(row, f"what it keeps of token {key} {said}"), key)

    def _check_write(self, key: tuple[int, int], forms: list[bytes]) -> None:
        event, carried = self._written.get(key, (None, []))
        if event is None:
            raise Broken("H1", f"rows of write {key[1]} are kept, and the write was not announced here")
        if hashlib.sha256(b"".join([form + b"\n" for form in forms])).digest() != event.content_sha256:
            said = (
                f"the rows of write {event.intent} to node {event.node} have another hash than was announced"
            )
            raise Broken("H1", said, self._first_that_differs(event, forms, carried))
        token = self._first_that_differs(event, forms, carried)
        if token is not None:
            said = f"write {event.intent} has another row for token {token} than came to the sink"
            raise Broken("H4", said, token)

    def _first_that_differs(
        self, event: SinkIntended, forms: Sequence[bytes], carried: Sequence[bytes | None]
    ) -> int | None:
        """The first token whose row is not the one that it carried to the sink."""
        if len(forms) != len(event.tokens) or event.node in self._renaming:
            return None
        at = 0
        for path, count in event.paths:
            if path in UNCHANGED:
                here = slice(at, at + count)
                if b"".join(one or b"" for one in carried[here]) != digests(forms[here]):
                    for token, form, one in zip(event.tokens[here], forms[here], carried[here], strict=True):
                        if one is not None and digest(form) != one:
                            return token
            at += count
        return None

    # --- What happens to rows -------------------------------------------------------------------

    def _make(self, node: int, tokens: Tokens, joined: bytes) -> Digests:
        if len(joined) != DIGEST * len(tokens):
            raise Broken("H4", f"{len(joined) // DIGEST} hashes stand for {len(tokens)} rows at node {node}")
        made = dict(zip(tokens, _cut(joined), strict=True))
        self._carried.update(made)
        if node in self._kept_of:
            self._made.setdefault(node, {}).update(made)
        return made

    def end(self, tokens: Tokens) -> None:
        """`tokens` carry nothing on."""
        carried = self._carried
        for token in tokens:
            carried.pop(token, None)

    def rows_read(self, event: RowsRead | Carried) -> None:
        self._read |= self._make(0, event.tokens, event.digests)

    def row_invalid(self, event: RowInvalid) -> None:
        self._read[event.token] = event.digest

    def visited(self, event: Visited) -> None:
        if event.digests is not None:
            self._make(event.node, event.tokens, event.digests)
        elif event.node in self._kept_of:
            carried = {token: self._carried.get(token, b"") for token in event.tokens}
            self._made.setdefault(event.node, {}).update(carried)

    def failed(self, event: Failed) -> None:
        if event.clause is None or event.limit or (event.node, event.clause) in self._discards:
            self.end((event.token,))

    def expanded(self, event: Expanded) -> None:
        self.end((event.parent,))
        self._make(event.node, event.children, event.digests)

    def routed(self, event: Routed) -> None:
        if event.mode is RouteMode.FORK and not event.limit:
            fan = len(event.children) // max(1, len(event.tokens))
            for at, token in enumerate(event.tokens):
                carried = self._carried.get(token)
                if carried is not None:
                    first = event.children.start + at * fan
                    self._carried.update(dict.fromkeys(range(first, first + fan), carried))
        if event.mode in (RouteMode.FORK, RouteMode.DISCARD) or event.limit:
            self.end(event.tokens)

    def merged(self, event: Merged) -> None:
        self.end(event.parents)
        self._make(event.node, event.children, event.digests)

    def buffered(self, event: Buffered) -> None:
        if event.node in self._members_of:
            accepted = {token: self._carried.get(token, b"") for token in event.tokens}
            self._accepted.setdefault(event.node, {}).update(accepted)
        # Who comes out of the batch has another row: what went in need not be remembered for as long.
        self._members.setdefault(event.batch, []).append(compact(event.tokens))
        self.end(event.tokens)

    def flushed(self, event: BatchFlushed) -> None:
        members = self._members.pop(event.batch, [])
        if event.outputs or not event.digests:
            self._make(event.node, event.outputs, event.digests)
        else:
            self._make(event.node, [token for tokens in members for token in tokens], event.digests)

    def batch_failed(self, event: BatchFailed) -> None:
        self._members.pop(event.batch, None)

    def intended(self, event: SinkIntended) -> None:
        pop = self._carried.pop
        self._written[event.node, event.intent] = event, [pop(token, None) for token in event.tokens]


def _of_block(row: Row[Any], what: str) -> str:
    return f"payload block {row.number}.{row.part} of node {row.node} ({row.kind}): {what}"


def _intact(row: Row[Any], data: bytes) -> bytes:
    if len(data) != row.stored_bytes or digest(data) != row.data_sha256:
        raise Broken("H1", _of_block(row, "its bytes have another hash than was recorded"))
    return data


_EFFECTS: dict[type, Callable[[Contents, Any], None]] = {
    RowsRead: Contents.rows_read,
    Carried: Contents.rows_read,
    RowInvalid: Contents.row_invalid,
    Visited: Contents.visited,
    Failed: Contents.failed,
    Dropped: lambda contents, event: contents.end(event.tokens),
    Expanded: Contents.expanded,
    Routed: Contents.routed,
    Merged: Contents.merged,
    MergeFailed: lambda contents, event: contents.end(event.tokens),
    MergeLate: lambda contents, event: contents.end((event.token,)),
    Buffered: Contents.buffered,
    BatchFlushed: Contents.flushed,
    BatchFailed: Contents.batch_failed,
    SinkIntended: Contents.intended,
    Abandoned: lambda contents, event: contents.end(event.tokens),
}
