"""Checking an inclusion proof, without a database: from the row up to the signed checkpoint, step by step.

Nothing that a proof says is believed because it says so. A stored row is believed once its path has led to the root
in the checkpoint; then what it says decides whether the proof shows what it claims.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from frame.audit import chain, merkle, schema
from frame.audit.decoding import tokens_of
from frame.audit.notes import Note, parse
from frame.audit.proofs import FORMAT, VERSION
from frame.audit.receipts import Statement, read_text
from frame.canonical import canonical, digest

_TABLES = {str(table.name): table for table in chain.TABLES}
_CHILDREN = ("expanded", "merged", "batch_flushed")


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof shows. `about` says it in words; `note` is the checkpoint that all of it leads up to."""

    run_id: str
    about: str
    data: bytes | None
    said: Statement
    note: Note


def check_proof(proof: Any) -> Proven:
    """What `proof` shows. Raises ValueError if it shows nothing, or whatever a malformed one leads to."""
    if (proof["format"], proof["version"]) != (FORMAT, VERSION):
        raise ValueError(f"it is no {FORMAT} of version {VERSION}")
    note = parse(proof["checkpoint"])
    said = read_text(note.text)
    if said.run_id != proof["run_id"]:
        raise ValueError(f"its checkpoint is one of run {said.run_id}")
    facts = _facts(proof, said)
    data = _data(proof)
    located = _digest(proof, facts)
    about = _told(proof, facts, located)
    return Proven(said.run_id, about, data, said, note)


def _data(proof: Any) -> bytes | None:
    if "withheld" in proof:
        return None
    data = base64.b64decode(proof["data_base64"]) if "data_base64" in proof else proof["data"].encode()
    if digest(data).hex() != proof["digest"]:
        raise ValueError("the data has another digest than the one that is proven")
    return bytes(data)


def _facts(proof: Any, said: Statement) -> list[SimpleNamespace]:
    """The stored rows, now that each has led to the checkpoint."""
    blocks = {block["n"]: block for block in proof["blocks"]}
    facts = []
    for fact in proof["facts"]:
        table, block = _TABLES[fact["table"]], blocks[fact["block"]]
        leaf = merkle.leaf(canonical([fact["table"], proof["run_id"], *fact["values"]]))
        root = merkle.root_from_path(leaf, fact["index"], block["leaves"], _hashes(fact["path"]))
        _check_block(proof["run_id"], block, root, said)
        columns = [column.name for column in table.columns][1:]
        facts.append(
            SimpleNamespace(
                table=fact["table"], commit=block["n"], **dict(zip(columns, fact["values"], strict=True))
            )
        )
    return facts


def _check_block(run_id: str, block: Any, root: bytes, said: Statement) -> None:
    counts, previous = chain.counts_of(block["counts"]), bytes.fromhex(block["previous"])
    hashed = chain.block_hash(run_id, block["n"], counts, block["leaves"], root, previous)
    leaf = chain.tree_leaf(hashed)
    if merkle.root_from_path(leaf, block["n"], said.blocks, _hashes(block["path"])) != said.tree_root:
        raise ValueError(f"a stored row of block {block['n']} does not lead to the root of the checkpoint")


def _hashes(path: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in path]


def _digest(proof: Any, facts: list[SimpleNamespace]) -> SimpleNamespace:
    """The segment that the proven digest was hashed for."""
    (stored,) = (fact for fact in facts if fact.table == schema.segment_digests.name)
    key = stored.chunk, stored.position, stored.part
    (segment,) = (fact for fact in _segments(facts) if (fact.chunk, fact.position, fact.part) == key)
    size = segment.children if segment.kind in _CHILDREN else segment.size
    way, group = proof["digests"], bytes.fromhex(proof["digests"]["group"])
    place, within = way["place"], 32 * (way["place"] % chain.DIGESTS_A_LEAF)
    if not 0 <= place < size or group[within : within + 32].hex() != proof["digest"]:
        raise ValueError("the digest is not at its place")
    number, groups = place // chain.DIGESTS_A_LEAF, -(-size // chain.DIGESTS_A_LEAF)
    root = merkle.root_from_path(merkle.leaf(group), number, groups, _hashes(way["path"]))
    if root.hex() != stored.digests:
        raise ValueError("the digest does not lead to the root that its segment has")
    return segment


def _segments(facts: list[SimpleNamespace], *kinds: str) -> list[SimpleNamespace]:
    return [
        fact for fact in facts if fact.table == schema.segments.name and (not kinds or fact.kind in kinds)
    ]


def _told(proof: Any, facts: list[SimpleNamespace], located: SimpleNamespace) -> str:
    """In words, what the stored rows say of the digest. Raises ValueError if it is not what the proof claims."""
    hashed_for = _token_at(located, proof["digests"]["place"])
    if "row" in proof:
        row = None if located.first_row is None else located.first_row + proof["digests"]["place"]
        if (proof["row"], proof["token"]) != (row, hashed_for):
            raise ValueError(f"what is proven is source row {row}, token {hashed_for}")
        fits = "" if located.kind == "rows_read" else ", which did not fit the schema,"
        return f"source row {row}{fits} was read as token {hashed_for}"
    token = _forked(proof["token"], facts, hashed_for)
    return _written(proof, facts, token, located)


def _token_at(segment: SimpleNamespace, place: int) -> int:
    if segment.kind in _CHILDREN:
        return int(segment.first_child + place)
    return int(tokens_of(segment)[place])  # type: ignore[arg-type]


def _forked(token: int, facts: list[SimpleNamespace], hashed_for: int) -> int:
    """`token`, if it has the row of `hashed_for`: it is that token, or came from it by forks."""
    forks, at = _segments(facts, "routed"), token
    while at != hashed_for:
        parents = [
            tokens_of(fork)[(at - fork.first_child) // fork.fan]  # type: ignore[arg-type]
            for fork in forks
            if fork.fan and fork.first_child <= at < fork.first_child + fork.children
        ]
        if not parents or parents[0] >= at:
            raise ValueError(f"the digest is that of token {hashed_for}, and not of token {token}")
        at = parents[0]
    return token


def _written(proof: Any, facts: list[SimpleNamespace], token: int, located: SimpleNamespace) -> str:
    claimed = proof["sink"]
    write = claimed["node"], claimed["intent"]
    named = [fact.name for fact in facts if fact.table == schema.nodes.name and fact.node == write[0]]
    announced = [each for each in _segments(facts, "sink_intended") if (each.node, each.intent) == write]
    done = [fact for fact in facts if fact.table == schema.confirmations.name]
    done = [fact for fact in done if (fact.node, fact.intent) == write]
    refused = [fact for fact in facts if fact.table == schema.rejections.name]
    refused = [fact for fact in refused if (fact.node, fact.intent) == write]
    if named != [claimed["name"]] or not any(token in tokens_of(each) for each in announced):  # type: ignore[arg-type]
        raise ValueError(f"it does not show that token {token} was to be written to {claimed['name']!r}")
    if len(done) != 1 or {fact.number for fact in refused} != set(range(done[0].rejected)):
        raise ValueError("it does not show that the write was done, and what was refused of it")
    if token in {fact.token for fact in refused}:
        raise ValueError(f"the sink has refused token {token}")
    if any((located.chunk, located.position) > (each.chunk, each.position) for each in announced):
        raise ValueError("the digest was put down after the write")
    return (
        f"token {token}, whose row had this digest after commit {located.commit}, was taken by sink "
        f"{claimed['name']!r} in write {write[1]}"
    )
