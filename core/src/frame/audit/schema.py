"""The physical tables of the record. Auditors read the views (`views.py`) that unpack them.

A commit of a run is one row of `chunks`. Its events are stored in the order in which they were decided:
(run, chunk, position) is an event's key. An event that speaks of many tokens is one row of `segments` (more
`part`s when it is long) with the tokens packed (`packing.py`); what it says about single tokens beyond that has
rows of its own (`errors`, `rejections`, `calls`).

Nothing is changed or deleted once it is written; triggers see to that. Only `heads` and `run_leases` change:
they hold no fact, only who may write next.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData()


def _column(name: str, kind: type[TypeEngine[Any]], *, null: bool = False, comment: str = "") -> Column[Any]:
    return Column(name, kind, nullable=null, comment=comment or None)


def _of_run() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["run"], ["run_headers.run"])


def _of_chunk() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["run", "chunk"], ["chunks.run", "chunks.chunk"])


def _of_node(column: str = "node") -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["run", column], ["nodes.run", "nodes.node"])


def _event_key() -> tuple[Column[Any], ...]:
    return (
        _column("run", Integer),
        _column("chunk", Integer),
        _column("position", Integer, comment="place of the event in its chunk, from 0"),
    )


migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    _column("name", Text),
    _column("applied_us", BigInteger),
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
    Column("run", Integer, primary_key=True, comment="the run's number in this store"),
    _column("run_id", Text, comment="UUIDv7, for people"),
    _column("pipeline", Text),
    _column("config", LargeBinary, comment="canonical form of the pipeline file, secrets left out"),
    _column("config_sha256", LargeBinary),
    _column("graph_sha256", LargeBinary, comment="of the canonical form of nodes and edges"),
    _column("settings", Text, comment="canonical JSON"),
    _column("seed", BigInteger),
    _column("frame_version", Text),
    _column("python_version", Text),
    _column("host", Text),
    _column("pid", Integer),
    _column("started_us", BigInteger),
    UniqueConstraint("run_id"),
    comment="one row a run, written before its first plugin is called",
)

nodes = Table(
    "nodes",
    metadata,
    _column("run", Integer),
    _column("node", Integer, comment="its number in the graph, the source is 0"),
    _column("name", Text),
    _column("kind", Text),
    _column("plugin", Text, null=True, comment="null: an expression gate or a coalesce"),
    _column("package", Text, null=True),
    _column("distribution", Text, null=True),
    _column("version", Text, null=True),
    _column("record_sha256", Text, null=True, comment="of the distribution's RECORD file"),
    _column("api", Integer, null=True),
    _column("determinism", Text, null=True),
    _column("options", Text, comment="canonical JSON, secrets left out"),
    PrimaryKeyConstraint("run", "node"),
    _of_run(),
    sqlite_with_rowid=False,
    comment="the places of the graph and which code stood there",
)

edges = Table(
    "edges",
    metadata,
    _column("run", Integer),
    _column("edge", Integer),
    _column("origin", Integer),
    _column("target", Integer),
    _column("label", Text),
    _column("mode", Text),
    PrimaryKeyConstraint("run", "edge"),
    _of_node("origin"),
    _of_node("target"),
    sqlite_with_rowid=False,
    comment="the ways from node to node",
)

error_clauses = Table(
    "error_clauses",
    metadata,
    _column("run", Integer),
    _column("node", Integer),
    _column("clause", Integer),
    _column("target", Integer, null=True, comment="null: discard"),
    PrimaryKeyConstraint("run", "node", "clause"),
    _of_node(),
    _of_node("target"),
    sqlite_with_rowid=False,
    comment="where each on_error clause of a node leads",
)

run_changes = Table(
    "run_changes",
    metadata,
    _column("run", Integer),
    _column("number", Integer),
    _column("block", Integer, comment="number of the commit within the run"),
    _column("kind", Text, comment="started, resumed or status"),
    _column("status", Text),
    _column("at_us", BigInteger),
    _column("detail", Text, comment="canonical JSON: counters, host, pid, epoch"),
    PrimaryKeyConstraint("run", "number"),
    UniqueConstraint("run", "block"),
    _of_run(),
    sqlite_with_rowid=False,
    comment="a run's status is that of its newest row here",
)

heads = Table(
    "heads",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),
    _column("n", Integer, comment="commits so far"),
    _column("epoch", Integer, comment="how often the run has changed hands"),
    _of_run(),
    comment="compare-and-swap by every commit, so that a stale writer cannot commit (mutable)",
)

run_leases = Table(
    "run_leases",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),
    _column("epoch", Integer),
    _column("host", Text),
    _column("pid", Integer),
    _column("expires_us", BigInteger),
    _of_run(),
    comment="which process works on a run, and until when it is believed to live (mutable)",
)

chunks = Table(
    "chunks",
    metadata,
    _column("run", Integer),
    _column("chunk", Integer),
    _column("block", Integer, comment="number of the commit within the run"),
    _column("opened_us", BigInteger),
    _column("events", Integer),
    _column("payload_blocks", Integer),
    _column(
        "first_token", BigInteger, null=True, comment="smallest token that came into being in this chunk"
    ),
    _column("source_position", Text, null=True, comment="canonical JSON; null: no rows were read"),
    PrimaryKeyConstraint("run", "chunk"),
    UniqueConstraint("run", "block"),
    _of_run(),
    comment="the commits of a run",
)
Index("chunks_by_token", chunks.c.run, chunks.c.first_token)

segments = Table(
    "segments",
    metadata,
    *_event_key(),
    _column("part", Integer, comment="a long event has several, from 0"),
    _column("kind", Text, comment="the event"),
    _column("node", Integer, null=True),
    _column("status", Text, null=True, comment="how the attempt ended; null: no visit"),
    _column("visit", Integer, null=True, comment="all tokens' visit number, or the smallest"),
    _column("attempt", Integer, null=True),
    _column("size", Integer, comment="tokens"),
    _column("first_token", BigInteger, null=True, comment="the smallest token"),
    _column("high_token", BigInteger, null=True, comment="the largest token"),
    _column("old_tokens", SmallInteger, comment="1: some token is older than this chunk"),
    _column("token_width", Integer, comment="0: consecutive from first_token"),
    _column("visit_width", Integer, comment="0: all tokens have the same"),
    _column("started_us", BigInteger, null=True),
    _column("duration_us", BigInteger, null=True),
    _column("label", Text, null=True, comment="route label, drop reason, trigger, merge reason, place"),
    _column("mode", Text, null=True, comment="of a route; passthrough or transform of a batch"),
    _column("reached_limit", SmallInteger, null=True),
    _column("clause", Integer, null=True, comment="on_error clause that caught it"),
    _column("target", Integer, null=True, comment="sink of an invalid row"),
    _column("batch", Integer, null=True),
    _column("members", Integer, null=True),
    _column("opened_us", BigInteger, null=True, comment="when the batch was opened"),
    _column("intent", Integer, null=True),
    _column("path", Text, null=True, comment="of an intended write, when all tokens share it"),
    _column("first_row", BigInteger, null=True),
    _column("fan", Integer, null=True, comment="children a token (fork), parents a child (merge)"),
    _column("first_child", BigInteger, null=True),
    _column("children", Integer, null=True),
    _column("first_group", BigInteger, null=True),
    _column("group_width", Integer, null=True),
    _column("groups", Text, null=True),
    _column("path_codes", Text, null=True, comment="a letter a token, when paths differ"),
    _column("visits", Text, null=True),
    _column("tokens", Text, null=True),
    PrimaryKeyConstraint("run", "chunk", "position", "part"),
    _of_chunk(),
    _of_node(),
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
    *_event_key(),
    _column("part", Integer),
    _column("digests", LargeBinary, comment="32 bytes a token; of the children where there are some"),
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
    *_event_key(),
    _column("type", Text),
    _column("message", Text),
    _column("attempts", Integer),
    _column("retryable", SmallInteger),
    _column("traceback", Text, null=True),
    PrimaryKeyConstraint("run", "chunk", "position"),
    _of_chunk(),
    comment="what went wrong in the events that failed",
)

intents = Table(
    "intents",
    metadata,
    *_event_key(),
    _column("node", Integer),
    _column("intent", Integer),
    _column("rows", Integer),
    _column("paths", Text, comment="run-length: a letter and how many"),
    _column("content_sha256", LargeBinary),
    _column("write_key", Text),
    PrimaryKeyConstraint("run", "node", "intent"),
    _of_chunk(),
    _of_node(),
    sqlite_with_rowid=False,
    comment="what is about to be written to a sink",
)

confirmations = Table(
    "confirmations",
    metadata,
    *_event_key(),
    _column("node", Integer),
    _column("intent", Integer),
    _column("sink_position", Text, null=True, comment="canonical JSON"),
    _column("started_us", BigInteger),
    _column("duration_us", BigInteger),
    _column("rejected", Integer),
    PrimaryKeyConstraint("run", "node", "intent"),
    ForeignKeyConstraint(["run", "node", "intent"], ["intents.run", "intents.node", "intents.intent"]),
    _of_chunk(),
    sqlite_with_rowid=False,
    comment="writes that are done and durable",
)

rejections = Table(
    "rejections",
    metadata,
    _column("run", Integer),
    _column("node", Integer),
    _column("intent", Integer),
    _column("number", Integer),
    _column("token", BigInteger),
    _column("reason", Text),
    _column("fallback", Integer, null=True, comment="the sink that takes the row"),
    PrimaryKeyConstraint("run", "node", "intent", "number"),
    UniqueConstraint("run", "node", "intent", "token"),
    ForeignKeyConstraint(
        ["run", "node", "intent"], ["confirmations.run", "confirmations.node", "confirmations.intent"]
    ),
    _of_node("fallback"),
    sqlite_with_rowid=False,
    comment="rows that a sink refused",
)
Index("rejections_by_token", rejections.c.run, rejections.c.token)

artifacts = Table(
    "artifacts",
    metadata,
    *_event_key(),
    _column("node", Integer),
    _column("uri", Text),
    _column("size_bytes", BigInteger, null=True),
    _column("sha256", LargeBinary, null=True),
    _column("rows", BigInteger, null=True),
    PrimaryKeyConstraint("run", "chunk", "position"),
    _of_chunk(),
    _of_node(),
    sqlite_with_rowid=False,
    comment="what sinks have published",
)

calls = Table(
    "calls",
    metadata,
    *_event_key(),
    _column("node", Integer),
    _column("visit", Integer),
    _column("token", BigInteger, null=True),
    _column("attempt", Integer),
    _column("kind", Text),
    _column("number", Integer, comment="the n-th call of this request in this visit"),
    _column("request_sha256", LargeBinary),
    _column("answer_sha256", LargeBinary, null=True),
    _column("status", Text),
    _column("started_us", BigInteger),
    _column("duration_us", BigInteger),
    PrimaryKeyConstraint("run", "chunk", "position"),
    _of_chunk(),
    _of_node(),
    sqlite_with_rowid=False,
    comment="requests to the outside world, with what came back",
)
Index("calls_by_token", calls.c.run, calls.c.token)

notes = Table(
    "notes",
    metadata,
    *_event_key(),
    _column("kind", Text),
    _column("at_us", BigInteger),
    _column("node", Integer, null=True),
    _column("detail", Text, comment="canonical JSON"),
    PrimaryKeyConstraint("run", "chunk", "position"),
    _of_chunk(),
    _of_node(),
    sqlite_with_rowid=False,
    comment="things about a run as a whole",
)

payload_blocks = Table(
    "payload_blocks",
    metadata,
    _column("run", Integer),
    _column("chunk", Integer),
    _column("number", Integer, comment="place among the chunk's payloads"),
    _column("part", Integer),
    _column("kind", Text),
    _column("node", Integer),
    _column("visit", Integer),
    _column("intent", Integer),
    _column("size", Integer, comment="items"),
    _column("first_token", BigInteger, null=True),
    _column("high_token", BigInteger, null=True),
    _column("old_tokens", SmallInteger, comment="1: some token is older than this chunk"),
    _column("token_width", Integer),
    _column("raw_bytes", BigInteger),
    _column("tokens", Text, null=True),
    _column("digests", LargeBinary, null=True, comment="keys of calls, 32 bytes each"),
    _column("data", LargeBinary, comment="zstandard: 4-byte little-endian lengths, then the items"),
    PrimaryKeyConstraint("run", "chunk", "number", "part"),
    _of_chunk(),
    _of_node(),
    comment="the bytes themselves, compressed",
)
Index(
    "payload_blocks_of_old_tokens",
    payload_blocks.c.run,
    payload_blocks.c.high_token,
    payload_blocks.c.first_token,
    sqlite_where=text("old_tokens = 1"),
    postgresql_where=text("old_tokens = 1"),
)

payload_digests = Table(
    "payload_digests",
    metadata,
    _column("run", Integer),
    _column("digest", LargeBinary),
    _column("chunk", Integer),
    _column("number", Integer),
    _column("part", Integer),
    _column("item", Integer),
    PrimaryKeyConstraint("run", "digest"),
    ForeignKeyConstraint(
        ["run", "chunk", "number", "part"],
        ["payload_blocks.run", "payload_blocks.chunk", "payload_blocks.number", "payload_blocks.part"],
    ),
    sqlite_with_rowid=False,
    comment="where the bytes with this SHA-256 are (requests and answers of calls)",
)

MUTABLE = frozenset({"heads", "run_leases"})
FACTS = tuple(table for table in metadata.sorted_tables if table.name not in MUTABLE)
