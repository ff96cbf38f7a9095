"""What somebody does who may write to the whole store: change facts, and put everything in order that hangs on them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from frame.audit import chain, database, schema, store_log
from frame.audit.text import from_json, to_json
from frame.audit.verify.stored import commits
from sqlalchemy import Connection, insert, select, update


@contextmanager
def rewriting(path: Path, run_id: str) -> Iterator[tuple[sqlite3.Connection, int]]:
    """A connection that may change everything, and the run's number; chain and log are written anew afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        triggers = without_protection(connection)
        (run,) = connection.execute("SELECT run FROM run_headers WHERE run_id = ?", [run_id]).fetchone()
        yield connection, run
        connection.execute("DELETE FROM blocks WHERE run = ?", [run])
    with database.open(f"sqlite:///{path}") as store, store.writing() as writing:
        _write_log_anew(writing, run_id, _write_chain_anew(writing, run, run_id))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for trigger in triggers:
            connection.execute(trigger)


def without_protection(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in found:
        connection.execute(f"DROP TRIGGER {name}")
    return [sql for _, sql in found]


def _write_chain_anew(writing: Connection, run: int, run_id: str) -> list[str]:
    """Make blocks over the rows as they are now; their hashes."""
    hashes, previous = [], chain.FIRST
    for commit in list(commits(writing, run, [])):
        rows = {
            table: [tuple(row[: len(table.columns)]) for row in found] for table, found in commit.rows.items()
        }
        made = chain.block(run_id, commit.block, rows, previous)
        writing.execute(insert(schema.blocks).values(made.row(run)))
        hashes.append(made.hash.hex())
        previous = made.hash
    writing.execute(update(schema.heads).where(schema.heads.c.run == run).values(hash=previous))
    return hashes


def _write_log_anew(writing: Connection, run_id: str, hashes: list[str]) -> None:
    """Let the log say what the run says now."""
    log, previous = schema.store_log, store_log.FIRST
    for record in writing.execute(select(log).order_by(log.c.n)).all():
        detail = from_json(record.detail)
        if detail.get("run_id") == run_id:
            detail["hash"] = hashes[detail["block"]]
        text = to_json(detail)
        hashed = store_log.record_hash(record.n, record.kind, record.at_us, text, previous)
        writing.execute(
            update(log).where(log.c.n == record.n).values(detail=text, previous=previous, hash=hashed)
        )
        previous = hashed
    writing.execute(update(schema.store_head).values(hash=previous))
