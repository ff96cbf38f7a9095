"""Inclusion proofs: what the record says of one row, provable without the record.

A proof holds the row, the few stored rows that speak of it, and for each of them the hashes that lead from it up to a
checkpoint of its run (`chain.py`): a digest to the root over its segment, a stored row to the root of its block, a
block to the root of the tree over all blocks. `proof_check.py` goes the same way without a database.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from frame.audit import chain, merkle, schema
from frame.audit.batches import read_batch
from frame.audit.decoding import tokens_of
from frame.audit.export.chain_lines import facts_of
from frame.audit.export.source import RunRecord
from frame.audit.kept import payload_of
from frame.audit.notes import parse
from frame.audit.receipts import read_text, statement_of
from frame.audit.stories import Step, digest_in, read_story, token_of_row
from frame.canonical import digest
from frame.errors import AuditError, Refused, UsageError
from frame.events import PayloadKind

FORMAT, VERSION = "frame-proof", 1
Stored = Row[Any]
_BEYOND = 1 << 62


@dataclass(frozen=True, slots=True)
class Located:
    """Where the digest of a token's row stands: at `place` of what `segment` hashed.

    `forks`: the segments by which the token got the row from the token that it was hashed for, the last one first.
    """

    segment: Stored
    place: int
    forks: tuple[Stored, ...] = ()


@dataclass
class _Evidence:
    """The stored rows that a proof stands on, with their blocks."""

    record: RunRecord
    wanted: dict[int, list[tuple[Table, dict[str, Any]]]] = field(default_factory=dict)

    def add(self, table: Table, row: Stored, *key: str) -> None:
        """Let the proof hold `row`, which the columns `key` tell from the others of its chunk."""
        block = self.block_of(getattr(row, "chunk", None))
        self.wanted.setdefault(block, []).append((table, {name: getattr(row, name) for name in key}))

    def block_of(self, chunk: int | None) -> int:
        """The number of the block that a chunk was written with, the first one for what the run was opened with."""
        if chunk is None:
            return 0
        c = schema.chunks.c
        of_chunk = select(c.block).where(c.run == self.record.run, c.chunk == chunk)
        return int(self.record.connection.execute(of_chunk).scalar_one())

    def facts(self) -> Iterator[dict[str, Any]]:
        """The rows, each with its path to the root of its block."""
        for n, wanted in sorted(self.wanted.items()):
            rows = list(facts_of(self.record, self.stored(n)))
            leaves = [chain.leaves(table, self.record.run_id, [row])[0] for table, row in rows]
            for index, (table, row) in enumerate(rows):
                if any(table is one and _agrees(row, key) for one, key in wanted):
                    yield {
                        "block": n,
                        "index": index,
                        "table": str(table.name),
                        "values": values_of(table, row),
                        "path": [each.hex() for each in merkle.path(leaves, index)],
                    }

    def stored(self, n: int) -> Stored:
        """The row of block `n`. Raises Refused if there is none, as in stores of older versions."""
        b = schema.blocks.c
        block = self.record.connection.execute(select(*b).where(b.run == self.record.run, b.n == n)).first()
        if block is None:
            raise Refused(
                f"run {self.record.run_id} was recorded before frame chained its commits: nothing can be proven of it"
            )
        return block

    def blocks(self, hashes: list[bytes]) -> Iterator[dict[str, Any]]:
        """The blocks, each with its path to the root of the tree over the blocks with these `hashes`."""
        leaves = [chain.tree_leaf(each) for each in hashes]
        for n in sorted(self.wanted):
            block = self.stored(n)
            yield {
                "n": n,
                "counts": block.counts,
                "leaves": block.leaves,
                "previous": block.previous.hex(),
                "path": [each.hex() for each in merkle.path(leaves, n)],
            }


def _agrees(row: Stored, key: dict[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in key.items())


def values_of(table: Table, row: Stored) -> list[Any]:
    """The values of a stored row as its leaf has them, without `run`."""
    stored: Sequence[Any] = row[1:]
    values = [value.hex() if isinstance(value, bytes) else value for value in stored]
    if table is schema.segment_digests:
        values[-1] = merkle.root(chain.digest_leaves(row[-1])).hex()
    return values


def prove_row(record: RunRecord, row: int) -> dict[str, Any]:
    """The proof of source row `row`. Raises UsageError if there is none, Refused if nothing can be proven."""
    token = token_of_row(record.connection, record.run, row)
    birth = read_story(record.connection, record.run, token).birth
    kept = payload_of(record.connection, record.run, PayloadKind.ROWS, token)
    located = Located(birth.segment, birth.place)
    return _proof(record, {"row": row, "token": token}, located, kept, _Evidence(record))


def prove_written(record: RunRecord, node: int, token: int) -> dict[str, Any]:
    """The proof that sink `node` took the row of `token`.

    Raises UsageError if it has not, Refused if nothing can be proven.
    """
    step = _write_of(record, node, token)
    evidence = _Evidence(record)
    _add_write(evidence, node, step)
    located = locate(record.connection, record.run, token, step.key)
    kept = payload_of(record.connection, record.run, PayloadKind.OUTBOX, token, node)
    name, intent = record.name(node), step.segment.intent
    about = {"token": token, "sink": {"name": name, "node": node, "intent": intent}}
    return _proof(record, about, located, kept, evidence)


def locate(
    connection: Connection, run: int, token: int, before: tuple[int, int, int] = (_BEYOND, 0, 0)
) -> Located:
    """Where the newest digest of a token's row stands that was put down before the event `before`."""
    story = read_story(connection, run, token)
    birth = story.birth
    if birth.kind == "fork":
        parent = _parent_of_fork(birth.segment, birth.place)
        key = birth.segment.chunk, birth.segment.position, birth.segment.part
        origin = locate(connection, run, parent, key)
        found = Located(origin.segment, origin.place, (birth.segment, *origin.forks))
    else:
        found = Located(birth.segment, birth.place)
    for step in story.steps:
        if step.key >= before:
            break
        if step.segment.kind == "buffered" and read_batch(connection, run, step.segment.batch).passthrough:
            raise Refused(
                f"token {token} went through a batch that handed its members on: a short proof cannot show that"
            )
        if step.segment.kind == "visited" and digest_in(connection, step.segment, step.place) is not None:
            found = Located(step.segment, step.place)
    return found


def _parent_of_fork(segment: Stored, place: int) -> int:
    return int(tokens_of(segment)[place // segment.fan])


def _write_of(record: RunRecord, node: int, token: int) -> Step:
    """The step that wrote a token to a sink, confirmed and not refused."""
    done, refused = schema.confirmations.c, schema.rejections.c
    for step in read_story(record.connection, record.run, token).steps:
        segment = step.segment
        if segment.kind != "sink_intended" or segment.node != node:
            continue
        mine = done.run == record.run, done.node == node, done.intent == segment.intent
        theirs = refused.run == record.run, refused.node == node, refused.intent == segment.intent
        confirmed = record.connection.execute(select(done.rejected).where(*mine)).first() is not None
        not_taken = select(refused.token).where(*theirs, refused.token == token)
        if confirmed and record.connection.execute(not_taken).first() is None:
            return step
    raise UsageError(f"sink {record.name(node)!r} has not taken token {token}, as far as is on record")


def _add_write(evidence: _Evidence, node: int, step: Step) -> None:
    """The write that took a token: announced, done, with all that was refused of it, and the name of its sink."""
    record, key = evidence.record, ("node", "intent")
    evidence.add(schema.segments, step.segment, "position", "part")
    done, nodes, refused = schema.confirmations, schema.nodes, schema.rejections
    mine = [table.c.run == record.run for table in (done, nodes)]
    write = mine[0], done.c.node == node, done.c.intent == step.segment.intent
    confirmation = record.connection.execute(select(done).where(*write)).one()
    evidence.add(done, confirmation, *key)
    evidence.add(
        nodes, record.connection.execute(select(nodes).where(mine[1], nodes.c.node == node)).one(), "node"
    )
    if confirmation.rejected:
        said = {name: getattr(confirmation, name) for name in key}
        evidence.wanted[evidence.block_of(confirmation.chunk)].append((refused, said))


def _proof(
    record: RunRecord, about: dict[str, Any], located: Located, kept: bytes | None, evidence: _Evidence
) -> dict[str, Any]:
    for segment in (located.segment, *located.forks):
        evidence.add(schema.segments, segment, "position", "part")
    evidence.add(schema.segment_digests, located.segment, "position", "part")
    hashes, note = _checkpoint(record, max(evidence.wanted))
    digests = _digest_path(record, located)
    return {
        "format": FORMAT,
        "version": VERSION,
        "run_id": record.run_id,
        **about,
        "digest": digests["digest"],
        **_shown(kept, digests.pop("digest")),
        "digests": digests,
        "facts": list(evidence.facts()),
        "blocks": list(evidence.blocks(hashes)),
        "checkpoint": note,
    }


def _shown(kept: bytes | None, expected: str) -> dict[str, str]:
    """The data, if it is what was hashed. (A row that goes to an error sink gets a field more on its way.)"""
    if kept is None or digest(kept).hex() != expected:
        return {"withheld": "not_kept"}
    try:
        return {"data": kept.decode()}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(kept).decode("ascii")}


def _digest_path(record: RunRecord, located: Located) -> dict[str, Any]:
    """The way from a digest to the root over its segment; those that share its leaf are there in full."""
    d, segment, place = schema.segment_digests.c, located.segment, located.place
    key = (
        d.run == record.run,
        d.chunk == segment.chunk,
        d.position == segment.position,
        d.part == segment.part,
    )
    stored = record.connection.scalar(select(d.digests).where(*key))
    if stored is None:
        raise AuditError(f"chunk {segment.chunk}, event {segment.position}", "has no digests")
    group, width = place // chain.DIGESTS_A_LEAF, 32 * chain.DIGESTS_A_LEAF
    return {
        "digest": stored[place * 32 : place * 32 + 32].hex(),
        "place": place,
        "group": stored[group * width : group * width + width].hex(),
        "path": [each.hex() for each in merkle.path(chain.digest_leaves(stored), group)],
    }


def _checkpoint(record: RunRecord, last: int) -> tuple[list[bytes], str]:
    """The newest signed checkpoint after block `last`, else an unsigned one of the run as it is; and its blocks."""
    b, c = schema.blocks.c, schema.checkpoints.c
    found = select(b.hash).where(b.run == record.run).order_by(b.n)
    hashes = [bytes(each) for each in record.connection.scalars(found)]
    newest = (
        select(c.note).where(c.run == record.run, c.blocks > last).order_by(c.blocks.desc(), c.at_us.desc())
    )
    note = record.connection.scalar(newest.limit(1))
    if note is not None:
        return hashes[: read_text(parse(note).text).blocks], note
    tree = merkle.Frontier(map(chain.tree_leaf, hashes))
    head = chain.Head(record.run_id, len(hashes), hashes[-1] if hashes else chain.FIRST, tree.root())
    return hashes, statement_of(head)
