"""The tables of the bytes that are kept: whose they are and their hashes, and, to be purged alone, the bytes."""

from sqlalchemy import (
    BigInteger,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from frame.audit.columns import column, metadata, of_chunk, of_node, of_payload_block

payload_blocks = Table(
    "payload_blocks",
    metadata,
    column("run", Integer),
    column("chunk", Integer),
    column("number", Integer, comment="place among the chunk's payloads"),
    column("part", Integer),
    column("kind", Text),
    column("node", Integer),
    column("visit", Integer),
    column("intent", Integer),
    column("size", Integer, comment="items"),
    column("first_token", BigInteger, null=True),
    column("high_token", BigInteger, null=True),
    column("old_tokens", SmallInteger, comment="1: some token is older than this chunk"),
    column("token_width", Integer),
    column("raw_bytes", BigInteger, comment="of the items"),
    column("stored_bytes", BigInteger, comment="as they are in payload_data"),
    column("data_sha256", LargeBinary, comment="of the bytes in payload_data"),
    column("tokens", Text, null=True),
    column("digests", LargeBinary, null=True, comment="keys of calls, 32 bytes each"),
    PrimaryKeyConstraint("run", "chunk", "number", "part"),
    of_chunk(),
    of_node(),
    comment="whose bytes are kept, and their hash",
)
Index(
    "payload_blocks_of_old_tokens",
    payload_blocks.c.run,
    payload_blocks.c.high_token,
    payload_blocks.c.first_token,
    sqlite_where=text("old_tokens = 1"),
)

payload_data = Table(
    "payload_data",
    metadata,
    column("run", Integer),
    column("chunk", Integer),
    column("number", Integer),
    column("part", Integer),
    column("data", LargeBinary, comment="zstandard: 4-byte little-endian lengths, then the items"),
    PrimaryKeyConstraint("run", "chunk", "number", "part"),
    of_payload_block(),
    comment="the bytes themselves, compressed; absent when they were purged",
)

payload_digests = Table(
    "payload_digests",
    metadata,
    column("run", Integer),
    column("digest", LargeBinary),
    column("chunk", Integer),
    column("number", Integer),
    column("part", Integer),
    column("item", Integer),
    PrimaryKeyConstraint("run", "digest"),
    of_payload_block(),
    sqlite_with_rowid=False,
    comment="where the bytes with this SHA-256 are (requests and answers of calls)",
)
