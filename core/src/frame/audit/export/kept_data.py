"""The bytes that a run kept, as records have them: as text, in Base64, or withheld with the reason."""

import base64
from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, and_, false, or_, select

from frame.audit import schema
from frame.audit.decoding import block_keys
from frame.audit.export.kinds import Record
from frame.audit.export.source import RunRecord, Stored
from frame.audit.payloads import decompress
from frame.events import PayloadKind

NOT_KEPT, PURGED = "not_kept", "purged"
READABLE = (PayloadKind.OUTPUTS.value, PayloadKind.REASONS.value, PayloadKind.CALLS.value)

_b, _d = schema.payload_blocks.c, schema.payload_data.c
_ORDER = _b.chunk, _b.number, _b.part


def shown(data: bytes) -> Record:
    """Bytes as the fields of a record."""
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(data).decode("ascii")}


def _blocks(record: RunRecord, *where: ColumnElement[bool]) -> Iterator[Stored]:
    """Stored blocks, `data` is None where their bytes were purged."""
    same = [getattr(_b, key) == getattr(_d, key) for key in ("run", "chunk", "number", "part")]
    joined = schema.payload_blocks.join(schema.payload_data, and_(*same), isouter=True)
    wanted = select(*schema.payload_blocks.c, _d.data).select_from(joined)
    return record.stream(wanted.where(_b.run == record.run, *where).order_by(*_ORDER))


class Rows:
    """Source rows as they were kept, asked for chunk by chunk."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._chunk = -1
        self._data: dict[int, Record] = {}

    def of(self, chunk: int, token: int) -> Record:
        """The data of the row that became `token` in `chunk`, or why there is none."""
        if chunk != self._chunk:
            self._chunk, self._data = chunk, dict(self._read(chunk))
        return self._data.get(token, {"withheld": NOT_KEPT})

    def _read(self, chunk: int) -> Iterator[tuple[int, Record]]:
        for block in _blocks(self._record, _b.chunk == chunk, _b.kind == PayloadKind.ROWS.value):
            for token, fields in _items(block):
                assert isinstance(token, int)
                yield token, fields


def _items(block: Stored) -> Iterator[tuple[int | bytes, Record]]:
    keys: Sequence[int | bytes] = block_keys(block)
    if block.data is None:
        for key in keys:
            yield key, {"withheld": PURGED}
        return
    for key, item in zip(keys, decompress(block.size, block.data), strict=True):
        yield key, shown(item)


def _holds_carried_rows(record: RunRecord) -> ColumnElement[bool]:
    """Whether a block is of rows that came from another run: these have no source row here."""
    if record.origin_run_id is None:
        return false()
    s = schema.segments.c
    carried = select(s.kind).where(s.run == _b.run, s.chunk == _b.chunk, s.kind == "carried").exists()
    return and_(_b.kind == PayloadKind.ROWS.value, carried)


def payloads(record: RunRecord) -> Iterator[Record]:
    """One a value that was kept beyond the source rows, and beyond what the sinks were handed."""
    for block in _blocks(record, or_(_b.kind.in_(READABLE), _holds_carried_rows(record))):
        for place, (key, fields) in enumerate(_items(block)):
            whose = {"digest": key.hex()} if isinstance(key, bytes) else {"token": key}
            yield {
                "kind": block.kind,
                "node": record.name(block.node),
                "visit": block.visit,
                **whose,
                "chunk": block.chunk,
                "number": block.number,
                "part": block.part,
                "place": place,
                **fields,
            }
