"""An export made from its description alone: docs/reference/export-format.md."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frame.audit import merkle
from frame.audit.signing import PrivateKey

RUN_ID = "0192f5c8-0000-7000-8000-000000000001"
COLUMNS = {
    "run_headers": ["run_id", "pipeline"],
    "chunks": ["chunk", "block"],
    "error_clauses": ["node", "clause", "target"],
    "run_changes": ["number", "status"],
    "segments": [
        *("chunk", "position", "part", "kind", "node", "size", "first_token", "token_width", "label", "mode"),
        *("reached_limit", "clause", "target", "batch", "intent", "path", "first_row", "first_child"),
        *("children", "path_codes", "tokens"),
    ],
    "confirmations": ["chunk", "node", "intent"],
    "segment_digests": ["chunk", "position", "part", "digests"],
    "rejections": ["node", "intent", "number", "token", "reason", "fallback"],
}
Fact = tuple[str, dict[str, Any]]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def line(record: str, **fields: Any) -> str:
    return f'{{"record":"{record}",{text_of(fields)[1:]}\n'


def segment(position: int, kind: str, first: int | None, size: int = 1, **fields: Any) -> Fact:
    given = {"chunk": 0, "position": position, "part": 0, "kind": kind, "first_token": first, "size": size}
    return "segments", {**dict.fromkeys(COLUMNS["segments"]), "token_width": 0, **given, **fields}


def data_of(row: int) -> str:
    return text_of({"id": row, "name": "Ünal\n"})


def digest_of(row: int) -> str:
    return sha256(data_of(row).encode()).hex()


def digests(position: int, rows: list[int]) -> Fact:
    joined = "".join(map(digest_of, rows))
    return "segment_digests", {"chunk": 0, "position": position, "part": 0, "digests": joined}


def outcomes(**paths: str) -> list[tuple[str, dict[str, Any]]]:
    return [("outcome", {"token": int(token[1:]), "path": path}) for token, path in paths.items()]


@dataclass
class ByHand:
    """Four rows: one is written, one is rejected by the sink, one discarded by a gate, one invalid."""

    status: str = "completed_with_failures"
    readable: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    blocks: list[list[Fact]] = field(default_factory=list)
    checkpointed: int | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = [{"row": n, "token": n, "valid": n < 3, "digest": digest_of(n)} for n in range(4)]
        with_data = [{**row, "data": data_of(n)} for n, row in enumerate(rows[:3])]
        readable = [("row", each) for each in [*with_data, {**rows[3], "withheld": "not_kept"}]]
        readable += [("token", {"token": n}) for n in range(4)]
        readable += outcomes(
            t0="default_flow", t1="sink_rejected", t2="gate_discarded", t3="invalid_at_source"
        )
        self.readable = self.readable or readable
        self.blocks = self.blocks or [
            [("run_headers", {"run_id": RUN_ID, "pipeline": "by hand"})],
            [
                ("chunks", {"chunk": 0, "block": 1}),
                segment(0, "rows_read", 0, 3, first_row=0),
                segment(1, "row_invalid", 3, first_row=3),
                segment(2, "routed", 2, mode="discard", reached_limit=0, label="no"),
                segment(3, "sink_intended", 0, 2, node=1, intent=0, path="default_flow"),
                digests(0, [0, 1, 2]),
                digests(1, [3]),
            ],
            [
                ("chunks", {"chunk": 1, "block": 2}),
                ("confirmations", {"chunk": 1, "node": 1, "intent": 0}),
                (
                    "rejections",
                    {"node": 1, "intent": 0, "number": 0, "token": 1, "reason": "", "fallback": None},
                ),
            ],
            [("run_changes", {"number": 1, "status": self.status})],
        ]

    def lines(
        self, key: PrivateKey | None = None, lie: Callable[[list[str]], None] = lambda lines: None
    ) -> list[str]:
        """`lie` may change the lines before the manifest is made and signed."""
        first = {"format": "frame-export", "version": 1, "run_id": RUN_ID, "status": self.status}
        written = [line("run", columns=COLUMNS, **first)]
        written += [line(record, **fields) for record, fields in self.readable]
        hashes: list[bytes] = []
        for n, facts in enumerate(self.blocks):
            block, hashed = self._block(n, facts, hashes[-1] if hashes else bytes(32))
            hashes.append(hashed)
            written += [
                block,
                *(line("fact", table=table, values=list(row.values())) for table, row in facts),
            ]
        lie(written)
        return [*written, self._manifest(written, hashes, key)]

    def write(self, path: Path, key: PrivateKey | None = None) -> Path:
        path.write_text("".join(self.lines(key)), encoding="utf-8", newline="")
        return path

    def hashes(self) -> list[bytes]:
        return [
            bytes.fromhex(each["hash"]) for each in map(json.loads, self.lines()) if each["record"] == "block"
        ]

    def checkpoint(self, size: int, key: PrivateKey | None = None) -> str:
        hashes = self.hashes()[:size]
        root = base64.b64encode(merkle.root([merkle.leaf(each) for each in hashes])).decode()
        said = f"frame/{RUN_ID}\n{size}\n{root}\nhead {hashes[-1].hex()}\ntime 2026-11-21T00:00:00Z\n"
        return str(key.sign(said)) if key else said

    def _block(self, n: int, facts: list[Fact], previous: bytes) -> tuple[str, bytes]:
        leaves = []
        for table, row in facts:
            values = list(row.values())
            if table == "segment_digests":
                joined = bytes.fromhex(values[-1])
                parts = [merkle.leaf(joined[at : at + 1024]) for at in range(0, len(joined), 1024)]
                values[-1] = merkle.root(parts).hex()
            leaves.append(merkle.leaf(text_of([table, RUN_ID, *values]).encode()))
        counts, root = Counter(table for table, _ in facts), merkle.root(leaves).hex()
        said = text_of([1, RUN_ID, n, counts, len(leaves), root]).encode()
        hashed = sha256(b"\x02" + said + previous)
        about = {"n": n, "counts": text_of(counts), "leaves": len(leaves), "root": root}
        return line("block", **about, previous=previous.hex(), hash=hashed.hex()), hashed

    def _manifest(self, written: list[str], hashes: list[bytes], key: PrivateKey | None) -> str:
        said: dict[str, Any] = {
            "format": "frame-export",
            "version": 1,
            "run_id": RUN_ID,
            "lines": len(written),
            "sha256": sha256("".join(written).encode()).hex(),
            "counts": Counter(re.findall(r'"record":"(\w+)"', "".join(written))),
            "blocks": len(hashes),
            "head": hashes[-1].hex(),
            "tree_root": merkle.root([merkle.leaf(each) for each in hashes]).hex(),
            "withheld": Counter(each["withheld"] for _, each in self.readable if "withheld" in each),
            **self.manifest,
        }
        if key is None:
            return line("manifest", **said)
        said["key"] = str(key.public)
        digest = base64.b64encode(sha256(line("manifest", **said)[:-1].encode())).decode()
        said["signature"] = str(key.sign(f"frame/export/{RUN_ID}\n{len(written)}\n{digest}\n"))
        return line("manifest", **said)
