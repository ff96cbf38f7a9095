"""The physical tables of the record. Auditors read the views (`views.py`) that unpack them.

A commit of a run is one row of `chunks`. Its events are stored in the order in which they were decided:
(run, chunk, position) is an event's key. An event that speaks of many tokens is one row of `segments` (more
`part`s when it is long) with the tokens packed (`packing.py`); what it says about single tokens beyond that has
rows of its own (`errors`, `rejections`, `calls`).

Nothing is changed or deleted once it is written; triggers see to that. Only `heads`, `store_head` and `run_leases`
change: they hold no fact, only who may write next. And bytes in `payload_data` may go when `purges` names the run.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from frame.audit.columns import column, event_key, metadata, of_chunk, of_node, of_payload_block, of_run
from frame.audit.schema_evidence import blocks, checkpoints, purges, store_head, store_log

__all__ = [
    "FACTS",
    "MUTABLE",
    "artifacts",
    "blocks",
    "calls",
    "checkpoints",
    "chunks",
    "confirmations",
    "edges",
    "error_clauses",
    "errors",
    "heads",
    "intents",
    "metadata",
    "migrations",
    "nodes",
    "notes",
    "numbers",
    "payload_blocks",
    "payload_data",
    "payload_digests",
    "purges",
    "rejections",
    "run_changes",
    "run_headers",
    "run_leases",
    "segment_digests",
    "segments",
    "store_head",
    "store_log",
]

migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    column("name", Text),
    column("applied_us", BigInteger),
    comment="the schema versions that this store has gone through",
)

numbers = Table(
    "numbers",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=False),
    comment="0, 1, 2, ...: what the views unpack lists with",
)

run_headers = Table(
    "run_headers",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False, comment="the run's number in this store"),
    column("run_id", Text, comment="UUIDv7, for people"),
    column("pipeline", Text),
    column("config", LargeBinary, comment="canonical form of the pipeline file, secrets left out"),
    column("config_sha256", LargeBinary),
    column("graph_sha256", LargeBinary, comment="of the canonical form of nodes and edges"),
    column("settings", Text, comment="canonical JSON"),
    column("seed", BigInteger),
    column("frame_version", Text),
    column("python_version", Text),
    column("host", Text),
    column("pid", Integer),
    column("started_us", BigInteger),
    column("origin_run_id", Text, null=True, comment="the run whose tokens this one carries on"),
    column("origin_kind", Text, null=True, comment="why, as in dead_letters"),
    UniqueConstraint("run_id"),
    comment="one row a run, written before its first plugin is called",
)

nodes = Table(
    "nodes",
    metadata,
    column("run", Integer),
    column("node", Integer, comment="its number in the graph, the source is 0"),
    column("name", Text),
    column("kind", Text),
    column("plugin", Text, null=True, comment="null: an expression gate or a coalesce"),
    column("package", Text, null=True),
    column("distribution", Text, null=True),
    column("version", Text, null=True),
    column("record_sha256", Text, null=True, comment="of the distribution's RECORD file"),
    column("api", Integer, null=True),
    column("determinism", Text, null=True),
    column("options", Text, comment="canonical JSON, secrets left out"),
    column("delivery", Text, null=True, comment="of a sink: what becomes of a write that is repeated"),
    PrimaryKeyConstraint("run", "node"),
    of_run(),
    sqlite_with_rowid=False,
    comment="the places of the graph and which code stood there",
)

edges = Table(
    "edges",
    metadata,
    column("run", Integer),
    column("edge", Integer),
    column("origin", Integer),
    column("target", Integer),
    column("label", Text),
    column("mode", Text),
    PrimaryKeyConstraint("run", "edge"),
    of_node("origin"),
    of_node("target"),
    sqlite_with_rowid=False,
    comment="the ways from node to node",
)

error_clauses = Table(
    "error_clauses",
    metadata,
    column("run", Integer),
    column("node", Integer),
    column("clause", Integer),
    column("target", Integer, null=True, comment="null: discard"),
    PrimaryKeyConstraint("run", "node", "clause"),
    of_node(),
    of_node("target"),
    sqlite_with_rowid=False,
    comment="where each on_error clause of a node leads",
)

run_changes = Table(
    "run_changes",
    metadata,
    column("run", Integer),
    column("number", Integer),
    column("block", Integer, comment="number of the commit within the run"),
    column("kind", Text, comment="started, resumed or status"),
    column("status", Text),
    column("at_us", BigInteger),
    column("detail", Text, comment="canonical JSON: counters, host, pid, epoch"),
    PrimaryKeyConstraint("run", "number"),
    UniqueConstraint("run", "block"),
    of_run(),
    sqlite_with_rowid=False,
    comment="a run's status is that of its newest row here",
)

heads = Table(
    "heads",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),
    column("n", Integer, comment="commits so far"),
    column("epoch", Integer, comment="how often the run has changed hands"),
    column("hash", LargeBinary, comment="of the newest block"),
    of_run(),
    comment="compare-and-swap by every commit, so that a stale writer cannot commit (mutable)",
)

run_leases = Table(
    "run_leases",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),
    column("epoch", Integer),
    column("host", Text),
    column("pid", Integer),
    column("expires_us", BigInteger),
    of_run(),
    comment="which process works on a run, and until when it is believed to live (mutable)",
)

chunks = Table(
    "chunks",
    metadata,
    column("run", Integer),
    column("chunk", Integer),
    column("block", Integer, comment="number of the commit within the run"),
    column("opened_us", BigInteger),
    column("events", Integer),
    column("payload_blocks", Integer),
    column("first_token", BigInteger, null=True, comment="smallest token that came into being in this chunk"),
    column("source_position", Text, null=True, comment="canonical JSON; null: no rows were read"),
    PrimaryKeyConstraint("run", "chunk"),
    UniqueConstraint("run", "block"),
    of_run(),
    comment="the commits of a run",
)
Index("chunks_by_token", chunks.c.run, chunks.c.first_token)

segments = Table(
    "segments",
    metadata,
    *event_key(),
    column("part", Integer, comment="a long event has several, from 0"),
    column("kind", Text, comment="the event"),
    column("node", Integer, null=True),
    column("status", Text, null=True, comment="how the attempt ended; null: no visit"),
    column("visit", Integer, null=True, comment="all tokens' visit number, or the smallest"),
    column("attempt", Integer, null=True),
    column("size", Integer, comment="tokens"),
    column("first_token", BigInteger, null=True, comment="the smallest token"),
    column("high_token", BigInteger, null=True, comment="the largest token"),
    column("old_tokens", SmallInteger, comment="1: some token is older than this chunk"),
    column("token_width", Integer, comment="0: consecutive from first_token"),
    column("visit_width", Integer, comment="0: all tokens have the same"),
    column("started_us", BigInteger, null=True),
    column("duration_us", BigInteger, null=True),
    column("label", Text, null=True, comment="route label, drop reason, trigger, merge reason, place"),
    column("mode", Text, null=True, comment="of a route; passthrough or transform of a batch"),
    column("reached_limit", SmallInteger, null=True),
    column("clause", Integer, null=True, comment="on_error clause that caught it"),
    column("target", Integer, null=True, comment="sink of an invalid row"),
    column("batch", Integer, null=True),
    column("members", Integer, null=True),
    column("opened_us", BigInteger, null=True, comment="when the batch was opened"),
    column("intent", Integer, null=True),
    column("path", Text, null=True, comment="of an intended write, when all tokens share it"),
    column("first_row", BigInteger, null=True),
    column("fan", Integer, null=True, comment="children a token (fork), parents a child (merge)"),
    column("first_child", BigInteger, null=True),
    column("children", Integer, null=True),
    column("first_group", BigInteger, null=True),
    column("group_width", Integer, null=True),
    column("groups", Text, null=True),
    column("path_codes", Text, null=True, comment="a letter a token, when paths differ"),
    column("visits", Text, null=True),
    column("tokens", Text, null=True),
    PrimaryKeyConstraint("run", "chunk", "position", "part"),
    of_chunk(),
    of_node(),
    CheckConstraint("size >= 0"),
    comment="events and the tokens they speak of, packed",
)
Index(
    "segments_of_old_tokens",
    segments.c.run,
    segments.c.high_token,
    segments.c.first_token,
    sqlite_where=text("old_tokens = 1"),
    postgresql_where=text("old_tokens = 1"),
)
Index(
    "segments_of_batches",
    segments.c.run,
    segments.c.batch,
    sqlite_where=text("batch IS NOT NULL"),
    postgresql_where=text("batch IS NOT NULL"),
)
Index(
    "segments_of_intents",
    segments.c.run,
    segments.c.node,
    segments.c.intent,
    sqlite_where=text("intent IS NOT NULL"),
    postgresql_where=text("intent IS NOT NULL"),
)
Index(
    "segments_of_rows",
    segments.c.run,
    segments.c.first_row,
    sqlite_where=text("first_row IS NOT NULL"),
    postgresql_where=text("first_row IS NOT NULL"),
)
Index(
    "segments_of_failures",
    segments.c.run,
    segments.c.first_token,
    # The last failure is asked for: without these two SQLite walks the whole run backwards to find it.
    segments.c.chunk,
    segments.c.position,
    sqlite_where=text("kind IN ('failed', 'row_invalid')"),
    postgresql_where=text("kind IN ('failed', 'row_invalid')"),
)

segment_digests = Table(
    "segment_digests",
    metadata,
    *event_key(),
    column("part", Integer),
    column("digests", LargeBinary, comment="32 bytes a token; of the children where there are some"),
    PrimaryKeyConstraint("run", "chunk", "position", "part"),
    ForeignKeyConstraint(
        ["run", "chunk", "position", "part"],
        ["segments.run", "segments.chunk", "segments.position", "segments.part"],
    ),
    comment="SHA-256 of the rows that a segment's tokens carry after it",
)

errors = Table(
    "errors",
    metadata,
    *event_key(),
    column("type", Text),
    column("message", Text),
    column("attempts", Integer),
    column("retryable", SmallInteger),
    column("traceback", Text, null=True),
    PrimaryKeyConstraint("run", "chunk", "position"),
    of_chunk(),
    comment="what went wrong in the events that failed",
)

intents = Table(
    "intents",
    metadata,
    *event_key(),
    column("node", Integer),
    column("intent", Integer),
    column("rows", Integer),
    column("paths", Text, comment="run-length: a letter and how many"),
    column("content_sha256", LargeBinary),
    column("write_key", Text),
    PrimaryKeyConstraint("run", "node", "intent"),
    of_chunk(),
    of_node(),
    sqlite_with_rowid=False,
    comment="what is about to be written to a sink",
)

confirmations = Table(
    "confirmations",
    metadata,
    *event_key(),
    column("node", Integer),
    column("intent", Integer),
    column("sink_position", Text, null=True, comment="canonical JSON"),
    column("started_us", BigInteger),
    column("duration_us", BigInteger),
    column("rejected", Integer),
    PrimaryKeyConstraint("run", "node", "intent"),
    ForeignKeyConstraint(["run", "node", "intent"], ["intents.run", "intents.node", "intents.intent"]),
    of_chunk(),
    sqlite_with_rowid=False,
    comment="writes that are done and durable",
)

rejections = Table(
    "rejections",
    metadata,
    column("run", Integer),
    column("node", Integer),
    column("intent", Integer),
    column("number", Integer),
    column("token", BigInteger),
    column("reason", Text),
    column("fallback", Integer, null=True, comment="the sink that takes the row"),
    PrimaryKeyConstraint("run", "node", "intent", "number"),
    UniqueConstraint("run", "node", "intent", "token"),
    ForeignKeyConstraint(
        ["run", "node", "intent"], ["confirmations.run", "confirmations.node", "confirmations.intent"]
    ),
    of_node("fallback"),
    sqlite_with_rowid=False,
    comment="rows that a sink refused",
)
Index("rejections_by_token", rejections.c.run, rejections.c.token)

artifacts = Table(
    "artifacts",
    metadata,
    *event_key(),
    column("node", Integer),
    column("uri", Text),
    column("size_bytes", BigInteger, null=True),
    column("sha256", LargeBinary, null=True),
    column("rows", BigInteger, null=True),
    PrimaryKeyConstraint("run", "chunk", "position"),
    of_chunk(),
    of_node(),
    sqlite_with_rowid=False,
    comment="what sinks have published",
)

calls = Table(
    "calls",
    metadata,
    *event_key(),
    column("node", Integer),
    column("visit", Integer),
    column("token", BigInteger, null=True),
    column("attempt", Integer),
    column("kind", Text),
    column("number", Integer, comment="the n-th call of this request in this visit"),
    column("request_sha256", LargeBinary),
    column("answer_sha256", LargeBinary, null=True),
    column("status", Text),
    column("started_us", BigInteger),
    column("duration_us", BigInteger),
    PrimaryKeyConstraint("run", "chunk", "position"),
    of_chunk(),
    of_node(),
    sqlite_with_rowid=False,
    comment="requests to the outside world, with what came back",
)
Index("calls_by_token", calls.c.run, calls.c.token)

notes = Table(
    "notes",
    metadata,
    *event_key(),
    column("kind", Text),
    column("at_us", BigInteger),
    column("node", Integer, null=True),
    column("detail", Text, comment="canonical JSON"),
    PrimaryKeyConstraint("run", "chunk", "position"),
    of_chunk(),
    of_node(),
    sqlite_with_rowid=False,
    comment="things about a run as a whole",
)

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
    postgresql_where=text("old_tokens = 1"),
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

MUTABLE = frozenset({"heads", "run_leases", "store_head"})
FACTS = tuple(table for table in metadata.sorted_tables if table.name not in MUTABLE)
