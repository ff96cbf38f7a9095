"""Signed checkpoints that are stored with a run, against its chain, the log, and the keys that the log names."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from frame.audit import schema
from frame.audit.chain import FIRST, Head, tree_leaf
from frame.audit.merkle import EMPTY, Frontier
from frame.audit.notes import NotANote, Note, parse
from frame.audit.receipts import text_of
from frame.audit.signing import NotAKey, PublicKey, public_key
from frame.audit.verify.log import Log
from frame.audit.verify.report import Finding, RunReport

REWRITTEN = "the checkpoint or the chain was changed"


def check_checkpoints(connection: Connection, report: RunReport, log: Log) -> Iterator[Finding]:
    """Whether each checkpoint of the run speaks of its chain, is on the log, and is signed as it says."""
    stored = schema.checkpoints
    mine = select(stored).where(stored.c.run == report.run).order_by(stored.c.blocks, stored.c.at_us)
    rows = connection.execute(mine).all()
    heads = _heads(connection, report, {row.blocks for row in rows})
    found = [(report.run_id, row.blocks, row.tree_root.hex(), row.at_us) for row in rows]
    if found != [said for said in log.checkpoints if said[0] == report.run_id]:
        what = f"{len(found)} are stored, and they are not those that the log of the store names"
        yield Finding("anchor", what, REWRITTEN, "checkpoints", report.run_id)
    for row in rows:
        wrong = _wrong(row, heads.get(row.blocks), log)
        if wrong is None:
            report.signed_blocks = row.blocks
        else:
            what = f"the checkpoint after {row.blocks} commits {wrong}"
            yield Finding("anchor", what, REWRITTEN, "checkpoints", report.run_id, row.blocks - 1)


def _heads(connection: Connection, report: RunReport, wanted: set[int]) -> dict[int, Head]:
    """Where the chain stood after so many blocks, for the numbers that are `wanted`."""
    if not wanted:
        return {}
    blocks = schema.blocks
    hashes = select(blocks.c.hash).where(blocks.c.run == report.run).order_by(blocks.c.n)
    tree, heads = Frontier(), {0: Head(report.run_id, 0, FIRST, EMPTY)}
    for hashed in connection.scalars(hashes):
        tree.append(tree_leaf(hashed))
        if tree.size in wanted:
            heads[tree.size] = Head(report.run_id, tree.size, hashed, tree.root())
    return heads


def _wrong(row: Row[Any], head: Head | None, log: Log) -> str | None:
    if head is None or head.tree_root != row.tree_root:
        return "has another root than the chain"
    try:
        note = parse(row.note)
    except NotANote as why:
        return f"cannot be read: {why}"
    if note.text != text_of(head, row.at_us):
        return "says something else than the chain"
    signers = [str(key) for key in _keys(log) if key.has_signed(note)]
    if not signers:
        named = "the log names" if log.trusted is None else "was named"
        return f"is not signed by a key that {named}"
    record = log.signed.get((head.run_id, row.blocks, row.at_us), 0)
    if all(log.revoked.get(line, record) < record for line in signers):
        return f"is signed by a key that record {log.revoked[signers[0]]} of the log had revoked"
    return None if _is_whole(row.note, note) else "holds more than a note"


def _is_whole(written: str, note: Note) -> bool:
    return str(note) == written


def _keys(log: Log) -> Iterator[PublicKey]:
    if log.trusted is not None:
        yield from log.trusted.keys
        return
    for line in log.keys:
        try:
            yield public_key(line)
        except NotAKey:
            continue
