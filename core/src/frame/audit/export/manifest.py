"""The end of an export: what it holds, where the chain stands, and who stands for it."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from frame.audit import schema
from frame.audit.export.chain_lines import FORMAT, VERSION, Chain
from frame.audit.export.kinds import Record
from frame.audit.export.lines import nested_line
from frame.audit.export.source import RunRecord
from frame.audit.signing import PrivateKey


@dataclass
class Contents:
    """What has been written so far. `lines` are those of the file that has the chain in it."""

    counts: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    lines: int = 0

    def counted(self, kind: str, records: Iterable[Record]) -> Iterator[Record]:
        """`records` as they are, counted one by one."""
        for record in records:
            self.counts[kind] += 1
            reason = record.get("withheld")
            if reason is not None:
                self.withheld[str(reason)] += 1
            yield record

    def counted_chain(self, chain: Chain) -> Iterator[bytes]:
        """The lines of `chain`, counted."""
        yield from chain.lines()
        self.counts += Counter(block=chain.blocks, fact=chain.facts)
        self.lines += chain.blocks + chain.facts


def manifest_line(
    record: RunRecord, contents: Contents, chain: Chain, content: dict[str, Any], key: PrivateKey | None
) -> bytes:
    """The manifest. `content`: its field `sha256`, or `files`."""
    said: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "run_id": record.run_id,
        "lines": contents.lines,
        **content,
        "counts": dict(contents.counts),
        "blocks": chain.blocks,
        "head": None if chain.head is None else chain.head.hex(),
        "tree_root": chain.tree_root.hex(),
        "withheld": dict(contents.withheld),
        "checkpoint": newest_checkpoint(record),
        "key": None if key is None else str(key.public),
    }
    unsigned = nested_line("manifest", said)
    if key is None:
        return unsigned
    return nested_line("manifest", {**said, "signature": str(key.sign(_text(record, contents, unsigned)))})


def _text(record: RunRecord, contents: Contents, unsigned: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(unsigned[:-1]).digest()).decode("ascii")
    return f"frame/export/{record.run_id}\n{contents.lines}\n{digest}\n"


def newest_checkpoint(record: RunRecord) -> str | None:
    """The signed note of the newest checkpoint that the store has of the run."""
    c = schema.checkpoints.c
    newest = select(c.note).where(c.run == record.run).order_by(c.blocks.desc(), c.at_us.desc(), c.note)
    note: str | None = record.connection.scalar(newest.limit(1))
    return note
