"""Bytes that were kept with a chunk, found by token and held against the digests on record."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from frame.canonical import canonical, digest, restore
from frame.engine.recorded_calls import Answers
from frame.errors import AuditError, NotCanonical, Refused
from frame.events import Chunk, PayloadKind, RowInvalid, Tokens
from frame.rows import Row, freeze
from frame.shapes import Shapes, shaped

DIGEST = 32

Place = tuple[PayloadKind, int, int]
"""What bytes of a chunk are: their kind, the node, and the visit, or of an outbox the intent."""

SOURCE_ROWS: Place = (PayloadKind.ROWS, 0, 0)


class Kept:
    """The bytes that were kept with one chunk."""

    def __init__(self, chunk: Chunk) -> None:
        self._number = chunk.number
        self._items: dict[Place, dict[int, bytes]] = defaultdict(dict)
        self._shapes: dict[Place, dict[int, bytes]] = defaultdict(dict)
        self._blocks: dict[Place, list[Sequence[int]]] = defaultdict(list)
        self._by_digest: dict[bytes, bytes] | None = None
        self.answers = Answers([chunk])
        for block in chunk.payloads:
            if block.kind is PayloadKind.CALLS:
                continue
            place = block.kind, block.node, block.intent or block.visit
            self._items[place].update(zip(block.keys, block.items, strict=True))  # type: ignore[arg-type]
            shapes = (shape for count, shape in block.shapes for _ in range(count))
            self._shapes[place].update(zip(block.keys, shapes, strict=False))  # type: ignore[arg-type]
            self._blocks[place].append(block.keys)  # type: ignore[arg-type]

    def item(self, place: Place, token: int, name: str) -> bytes:
        """The bytes that were kept of a token at node `name`. Raises Refused if they are gone."""
        item = self._items.get(place, {}).get(token)
        if item is None:
            raise Refused(
                f"what token {token} was at node {name!r} is needed and no longer on record "
                f"({place[0].value} of chunk {self._number}): it has been purged, or the run kept no payloads"
            )
        return item

    def shape(self, place: Place, token: int) -> Shapes:
        """The order in which the fields of a token's row stood."""
        shape = self._shapes.get(place, {}).get(token)
        return () if shape is None else ((1, shape),)

    def rows(self, place: Place, tokens: Sequence[int], forms: Sequence[bytes]) -> list[Row]:
        """The rows of `tokens`, whose canonical forms are `forms`."""
        of = zip(tokens, forms, strict=True)
        return [shaped([restore(form)], self.shape(place, token))[0] for token, form in of]

    def keys(self, place: Place, token: int) -> Sequence[int]:
        """The tokens of the block that has `token`, in order; just this one if there is no such block."""
        return next((keys for keys in self._blocks.get(place, ()) if token in keys), (token,))

    def all(self, place: Place) -> Mapping[int, bytes]:
        """Everything that was kept of one kind at one place, by token."""
        return self._items.get(place, {})

    def with_digest(self, wanted: bytes) -> bytes | None:
        """The row that has this digest, whoever carried it; None if it was not kept with this chunk."""
        if self._by_digest is None:
            kept = (item for items in self._items.values() for item in items.values())
            self._by_digest = {digest(item): item for item in kept}
        return self._by_digest.get(wanted)

    def damaged(self, token: int) -> AuditError:
        """The error of bytes that are not what their digest says."""
        return AuditError(
            f"chunk {self._number}", f"what is kept of token {token} is not what its digest says it is"
        )


def invalid_row(event: RowInvalid, kept: bytes, shape: Shapes = ()) -> Row:
    """The row that an invalid source row went to its sink with, by what is kept of it."""
    if not event.place:
        try:
            row = restore(kept)
        except NotCanonical:
            row = None
        if isinstance(row, Mapping) and canonical(row) == kept:
            return shaped([row], shape)[0]
    return freeze({"_raw": kept.decode("utf-8", errors="backslashreplace")})


def picked(recorded: bytes, of: Tokens, tokens: Sequence[int]) -> Iterator[bytes]:
    """The digests of some `tokens` among those `of` all tokens of an event."""
    places: Iterable[int]
    if isinstance(of, range):
        places = map(of.index, tokens)
    else:
        place_of = {token: place for place, token in enumerate(of)}
        places = (place_of[token] for token in tokens)
    return (recorded[DIGEST * place : DIGEST * place + DIGEST] for place in places)
