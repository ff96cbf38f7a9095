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

from frame.audit.columns import column, event_key, metadata, of_chunk, of_node, of_run
from frame.audit.schema_evidence import blocks, checkpoints, purges, store_head, store_log
from frame.audit.schema_payloads import payload_blocks, payload_data, payload_digests
from frame.audit.schema_runs import edges, error_clauses, heads, nodes, run_changes, run_headers, run_leases

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
)
Index(
    "segments_of_batches",
    segments.c.run,
    segments.c.batch,
    sqlite_where=text("batch IS NOT NULL"),
)
Index(
    "segments_of_intents",
    segments.c.run,
    segments.c.node,
    segments.c.intent,
    sqlite_where=text("intent IS NOT NULL"),
)
Index(
    "segments_of_rows",
    segments.c.run,
    segments.c.first_row,
    sqlite_where=text("first_row IS NOT NULL"),
)
Index(
    "segments_of_failures",
    segments.c.run,
    segments.c.first_token,
    # The last failure is asked for: without these two SQLite walks the whole run backwards to find it.
    segments.c.chunk,
    segments.c.position,
    sqlite_where=text("kind IN ('failed', 'row_invalid')"),
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

MUTABLE = frozenset({"heads", "run_leases", "store_head"})
FACTS = tuple(table for table in metadata.sorted_tables if table.name not in MUTABLE)
