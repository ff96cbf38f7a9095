"""The tables of a run as a whole: what it was opened with, what became of it, and who may write to it next."""

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from frame.audit.columns import column, metadata, of_node, of_run

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
