"""The tables that make a change of the record visible: blocks, the log of the store, checkpoints, purges."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from frame.audit.columns import column, metadata, of_run

blocks = Table(
    "blocks",
    metadata,
    column("run", Integer),
    column("n", Integer, comment="number of the commit within the run"),
    column("counts", Text, comment="canonical JSON: table -> rows that the commit wrote there"),
    column("leaves", Integer),
    column("root", LargeBinary, comment="of the Merkle tree over the commit's rows (RFC 6962)"),
    column("previous", LargeBinary, comment="hash of the block before; zeros in the first"),
    column("hash", LargeBinary),
    column("marks", LargeBinary, comment="8 bytes of each leaf, in order: which row was changed, if one was"),
    PrimaryKeyConstraint("run", "n"),
    of_run(),
    sqlite_with_rowid=False,
    comment="one row a commit: a chain that every fact of the run hangs on",
)

store_log = Table(
    "store_log",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=False),
    column("kind", Text),
    column("at_us", BigInteger),
    column("detail", Text, comment="canonical JSON"),
    column("previous", LargeBinary, comment="hash of the record before; zeros in the first"),
    column("hash", LargeBinary),
    comment="what happened to the store as a whole: one chain that binds its runs together",
)

store_head = Table(
    "store_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    column("n", Integer, comment="records in store_log so far"),
    column("hash", LargeBinary, comment="of the newest of them"),
    comment="one row, locked by whoever writes to store_log or gives out a run number (mutable)",
)

checkpoints = Table(
    "checkpoints",
    metadata,
    column("run", Integer),
    column("blocks", Integer, comment="how many blocks it speaks of"),
    column("at_us", BigInteger),
    column("tree_root", LargeBinary, comment="of the Merkle tree over their hashes"),
    column("note", Text, comment="the signed note"),
    # The key first: SQLite 3.40 misreads other columns of such a table in its integrity check.
    PrimaryKeyConstraint("run", "blocks", "at_us"),
    of_run(),
    sqlite_with_rowid=False,
    comment="states of a run that somebody has signed",
)

purges = Table(
    "purges",
    metadata,
    column("run", Integer),
    column("log_n", Integer, comment="the record of store_log that says who, when and why"),
    column("at_us", BigInteger),
    PrimaryKeyConstraint("run", "log_n"),
    of_run(),
    ForeignKeyConstraint(["log_n"], ["store_log.n"]),
    sqlite_with_rowid=False,
    comment="runs whose payload bytes were removed; without a row here they cannot be",
)
