"""Payload bytes are kept in blocks that are small enough to open for one item."""

import pytest
from frame.audit import database as store
from frame.audit import payloads, queries, schema
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.errors import AuditError
from frame.events import Chunk, PayloadKind, Payloads, RowsRead


@pytest.mark.parametrize("items", [[], [b""], [b"a", b"", b"bc"], [bytes([n % 256]) * n for n in range(300)]])
def test_a_block_gives_back_its_items(items: list[bytes]) -> None:
    size, data = payloads.compress(items)

    assert size == sum(map(len, items))
    assert payloads.decompress(len(items), data) == items


def test_a_damaged_block_is_an_audit_error() -> None:
    _, data = payloads.compress([b"abc" * 100])

    with pytest.raises(AuditError, match="payload block"):
        payloads.decompress(1, data[:-4])
    with pytest.raises(AuditError, match="lengths say"):
        payloads.decompress(2, data)


@pytest.mark.parametrize(
    ("items", "sizes"),
    [
        ([b"x"] * 6_000, [2_500, 2_500, 1_000]),
        ([b"x" * 400_000] * 5, [2, 2, 1]),
        ([b"x" * 3_000_000, b"y"], [1, 1]),
    ],
    ids=["many items", "much data", "one huge item"],
)
def test_blocks_stay_small(store_url: str, items: list[bytes], sizes: list[int]) -> None:
    with store.open(store_url) as database:
        opening = RunOpening("one", "any", b"{}", [NodeOpening(0, "in", "source")], [], started_us=0)
        recorder = Recorder(database).begin(opening)
        tokens = range(len(items))
        read = RowsRead(0, tokens, bytes(32 * len(items)))

        recorder.commit(Chunk(0, 0, [read], [Payloads(PayloadKind.ROWS, 0, tokens, items)]))

        with database.reading() as connection:
            blocks = schema.payload_blocks.select().order_by(schema.payload_blocks.c.part)
            assert [block.size for block in connection.execute(blocks)] == sizes
            last = len(items) - 1
            assert queries.payload_of(connection, 1, PayloadKind.ROWS, last) == items[last]
