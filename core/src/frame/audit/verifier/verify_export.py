#!/usr/bin/env python3
"""Check an export of frame with nothing but Python: docs/reference/export-format.md says what, and why.

    python3 -I verify_export.py EXPORT --key frame.key.pub [--receipt RUN_ID.receipt]

Ends with 0 if the export is what was signed, agrees with itself and extends the receipt; with 7 if not, and then it
names the first wrong line. Take this program and the key from somebody whom you trust, not from the export.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Point = tuple[int, int, int, int]
KINDS = (
    "run node edge chunk row token token_parent visit route call batch batch_member batch_output sink_write "
    "artifact outcome error payload event block manifest"
).split()
PATHS = {word[0]: word[2:] for word in (
    "a:abandoned b:batched c:error_discarded d:default_flow e:error_routed f:forked g:gate_routed "
    "i:invalid_at_source k:gate_discarded l:late_at_merge m:merged n:merge_incomplete r:dropped s:sink_rejected "
    "u:unhandled v:visit_limit x:expanded").split()}  # fmt: skip
LETTERS = {path: letter for letter, path in PATHS.items()}
ENDS = dict(dropped="r", abandoned="a", merge_failed="n", merge_late="l", expanded="x", merged="m")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def written(record: Record, without: str = "") -> bytes:
    rest = {name: value for name, value in record.items() if name not in ("record", without)}
    return f'{{"record":"{record["record"]}",{canonical(rest)[1:]}'.encode()


# --- Ed25519 (RFC 8032, 5.1): a point is (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a: Point, b: Point) -> Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return (f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P


def times(scalar: int, point: Point) -> Point:
    total = times(scalar >> 1, add(point, point)) if scalar else (0, 1, 1, 0)
    return add(total, point) if scalar & 1 else total


def decoded(encoded: bytes) -> Point:
    y, sign = int.from_bytes(encoded, "little") & (2**255 - 1), encoded[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("no point of the curve")
    x = P - x if x % 2 != sign else x
    return x, y, 1, x * y % P


def is_signature(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is one of `message` by the Ed25519 `key`."""
    s, k = int.from_bytes(signature[32:], "little"), hashlib.sha512(signature[:32] + key + message).digest()
    if len(signature) != 64 or s >= L:
        return False
    (x, y, _, t), base = decoded(key), decoded(bytes([88]) + bytes([102]) * 31)
    x, y, z, _ = add(times(s, base), times(int.from_bytes(k, "little") % L, (P - x, y, 1, P - t)))
    x, y = x * pow(z, -1, P) % P, y * pow(z, -1, P) % P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def signer(note: str, keys: Iterable[str]) -> str:
    """Which of `keys` has signed `note` (C2SP signed-note). Raises ValueError if none has."""
    text, _, signatures = note.rpartition("\n\n")
    for name, key_id, encoded in [key.removesuffix("\n").split("+", 2) for key in keys]:
        key = base64.b64decode(encoded, validate=True)[1:]
        if sha256(f"{name}\n\x01".encode() + key)[:4].hex() != key_id:
            raise ValueError(f"the given key {name} is no public key")
        for line in [each.split(" ") for each in signatures.split("\n")[:-1]]:
            data = base64.b64decode(line[2], validate=True)
            if (line[0], line[1], data[:4].hex()) == ("\u2014", name, key_id):
                if not is_signature(key, f"{text}\n".encode(), data[4:]):
                    raise ValueError(f"the signature by {name} is wrong")
                return f"{name} {key_id}"
    raise ValueError("there is no signature by a given key")


def tree(hashes: Sequence[bytes]) -> bytes:
    """The root of the Merkle tree over `hashes` (RFC 6962, 2.1)."""
    level = list(hashes) or [sha256(b"")]
    while len(level) > 1:
        above = [sha256(b"\x01" + level[at] + level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = above + level[len(above) * 2 :]
    return level[0]


def tokens_of(segment: Record) -> list[int]:
    size, width, text = segment["size"], segment["token_width"], segment["tokens"]
    steps = [int(text[at : at + width]) for at in range(0, size * width, width)] if width else range(size)
    return [segment["first_token"] + step for step in steps]


class Export:
    def __init__(self, path: Path) -> None:
        self.path, self.number, self.left, self.born = path, 0, KINDS, 0
        self.sha256, self.counts, self.withheld = hashlib.sha256(), Counter[str](), Counter[str]()
        self.run, self.manifest, self.block, self.rows = Record(), Record(), Record(), self.read_rows()
        self.hashes, self.tops, self.leaves = list[bytes](), list[bytes](), list[tuple[str, bytes]]()
        self.facts, self.discards = defaultdict[str, list[Record]](list), set[tuple[int, int]]()
        self.batches, self.intents = defaultdict[Any, list[int]](list), defaultdict[Any, list[Any]](list)
        self.letters = bytearray()  # one a token: small from its outcome record, capital when a fact agrees

    def read_rows(self) -> Generator[Record, None, None]:
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if raw.startswith(b'{"record":"row",'):
                    yield {**json.loads(raw), "line": number}

    def read(self) -> None:
        with self.path.open("rb") as file:
            for self.number, raw in enumerate(file, 1):
                record: Record = json.loads(raw) if raw.endswith(b"\n") else {"record": ""}
                kind = record["record"]
                if raw != written(record) + b"\n" or self.manifest or (kind == "run") != (self.number == 1):
                    raise ValueError("cut off? " * (not kind) + "it is out of place, or not canonical form")
                self.left = self.left[self.left.index(kind) :] if kind != "fact" else self.left
                self.line(kind, record)
                if not self.manifest:
                    self.sha256.update(raw)
                    self.counts[kind] += 1

    def line(self, kind: str, record: Record) -> None:
        data = base64.b64decode(record.get("data_base64", "")) or record.get("data", "").encode()
        if kind in ("row", "payload") and "withheld" in record:
            self.withheld[record["withheld"]] += 1
        elif kind in ("row", "payload") and sha256(data).hex() != record.get("digest", sha256(data).hex()):
            raise ValueError("its data has another digest than the one beside it")
        if kind in ("block", "manifest") and self.block:
            self.close(len(self.hashes), self.facts)
        if kind == "token":
            self.letters.append(0)
        elif kind == "outcome":
            if self.letters[record["token"]]:
                raise ValueError(f"token {record['token']} has an outcome already")
            self.letters[record["token"]] = ord(LETTERS[record["path"]])
        elif kind == "fact":
            self.fact(record["table"], record["values"])
        elif kind in ("run", "block", "manifest"):
            setattr(self, kind, record)

    def fact(self, table: str, values: list[Any]) -> None:
        self.facts[table].append(dict(zip(self.run["columns"][table], values, strict=True)))
        if table == "segment_digests":
            data = bytes.fromhex(values[-1])
            groups = [sha256(b"\x00" + data[at : at + 1024]) for at in range(0, len(data), 1024)]
            values = [*values[:-1], tree(groups).hex()]
        leaf = canonical([table, self.run["run_id"], *values]).encode()
        self.leaves.append((table, sha256(b"\x00" + leaf)))

    def close(self, n: int, facts: dict[str, list[Record]]) -> None:
        """Make block `n` again from its facts, and follow what they say."""
        counts = Counter(table for table, _ in self.leaves)
        root, previous = tree([leaf for _, leaf in self.leaves]).hex(), self.hashes[-1] if n else bytes(32)
        text = canonical([1, self.run["run_id"], n, counts, len(self.leaves), root]).encode()
        made = dict(n=n, counts=canonical(counts), leaves=len(self.leaves), root=root)
        made |= dict(previous=previous.hex(), hash=sha256(b"\x02" + text + previous).hex())
        for name in [each for each in made if made[each] != self.block[each]]:
            raise ValueError(f"block {n} says {name} {self.block[name]!r}, and its facts make {made[name]!r}")
        self.facts, self.leaves = defaultdict(list), []
        self.hashes.append(sha256(b"\x02" + text + previous))
        self.tops.append(sha256(b"\x00" + self.hashes[-1]))
        self.discards |= {(f["node"], f["clause"]) for f in facts["error_clauses"] if f["target"] is None}
        for segment in facts["segments"]:
            self.segment(segment["kind"], segment, tokens_of(segment))
        refused = {(f["node"], f["intent"], f["token"]) for f in facts["rejections"]}
        for key in [(f["node"], f["intent"]) for f in facts["confirmations"]]:
            self.end(end for end in self.intents.pop(key) if (*key, end[0]) not in refused)
        self.end((f["token"], "s") for f in facts["rejections"] if f["fallback"] is None)
        self.compare(facts["segments"], {(f["position"], f["part"]): f for f in facts["segment_digests"]})

    def segment(self, kind: str, s: Record, tokens: list[int]) -> None:
        new = kind in ("rows_read", "row_invalid")
        first, count = (s["first_token"], s["size"]) if new else (s["first_child"], s["children"] or 0)
        if count and first != self.born:
            raise ValueError(f"token {first} comes into being where {self.born} is next")
        self.born += count
        if kind == "sink_intended":
            codes = LETTERS[s["path"]] * s["size"] if s["path"] else s["path_codes"]
            self.intents[s["node"], s["intent"]] += zip(tokens, codes, strict=True)
        elif kind == "buffered":
            self.batches[s["batch"]] += tokens
        else:
            lost = "u" if s["clause"] is None else "c" if (s["node"], s["clause"]) in self.discards else ""
            ends = dict(ENDS, failed=lost, batch_failed=lost, row_invalid="i" if s["target"] is None else "")
            ends["batch_flushed"] = "b" if s["mode"] == "transform" else ""
            ends["routed"] = {"discard": "k", "fork": "f"}.get(s["mode"], "")
            over = kind in ("batch_flushed", "batch_failed") and not s["part"]
            tokens = self.batches.pop(s["batch"], []) if over else tokens
            letter = "v" if s["reached_limit"] else ends.get(kind, "")
            self.end((token, letter) for token in tokens if letter)

    def end(self, ends: Iterable[tuple[int, str]]) -> None:
        for token, letter in ends:
            if self.letters[token] != ord(letter):
                said = PATHS.get(chr(self.letters[token]).lower(), "nothing")
                raise ValueError(f"token {token} ends {PATHS[letter]} here; its outcome says {said}")
            self.letters[token] = ord(letter.upper())

    def compare(self, segments: list[Record], digests: dict[Any, Record]) -> None:
        read = {}
        for s in [each for each in segments if each["first_row"] is not None]:
            joined, valid = digests[s["position"], s["part"]]["digests"], s["kind"] == "rows_read"
            for at, token in enumerate(tokens_of(s)):
                read[s["first_row"] + at] = (token, joined[64 * at : 64 * at + 64], valid)
        for number in sorted(read):
            row = defaultdict(str, next(self.rows, {}))
            if (row["row"], row["token"], row["digest"], row["valid"]) != (number, *read[number]):
                raise ValueError(f"row {number} is one thing here, and line {row['line']} says another")

    def finish(self) -> None:
        """Compare the manifest with what was read."""
        if not (self.hashes and self.manifest):
            raise ValueError("it has no chain or no manifest: was it cut off, or is its run older than that?")
        said, ended = self.manifest, self.run["status"] in ("completed", "completed_with_failures", "empty")
        made = dict(format="frame-export", version=1, run_id=self.run["run_id"], lines=self.number - 1)
        made |= dict(sha256=self.sha256.hexdigest(), withheld=self.withheld, blocks=len(self.hashes))
        made |= dict(head=self.hashes[-1].hex(), tree_root=tree(self.tops).hex(), counts=self.counts)
        for name in [each for each in made if made[each] != said.get(each)]:
            raise ValueError(f"it says {name} {said.get(name)!r}, and that is {made[name]!r}")
        if next(self.rows, None) or self.born != len(self.letters):
            raise ValueError("there are rows or tokens that no fact speaks of")
        for token, letter in enumerate(self.letters):
            if letter > ord("Z") or (not letter and ended):
                raise ValueError(f"the outcome of token {token} is missing, or no fact gives it")

    def signer(self, keys: list[str]) -> str:
        digest = base64.b64encode(sha256(written(self.manifest, without="signature"))).decode()
        note = self.manifest.get("signature", "")
        if note.rpartition("\n\n")[0] != f"frame/export/{self.run['run_id']}\n{self.number - 1}\n{digest}":
            raise ValueError("it has no signature that is one of this manifest")
        return signer(note, keys)

    def extends(self, note: str) -> str:
        """What `note`, a checkpoint or a receipt, speaks of. Raises ValueError if these are other blocks."""
        origin, size, root, head = note.split("\n")[:4]
        if origin != f"frame/{self.run['run_id']}" or not 0 < int(size) <= len(self.hashes):
            raise ValueError(f"it speaks of {size} blocks of {origin}, and here are {len(self.hashes)}")
        made = base64.b64encode(tree(self.tops[: int(size)])).decode(), self.hashes[int(size) - 1].hex()
        if (root, head) != (made[0], f"head {made[1]}"):
            raise ValueError(f"it was made over other blocks than the first {size} here")
        return f"{size} of {len(self.hashes)} blocks"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check an export of frame.")
    parser.add_argument("export", type=Path, help="the file that frame export wrote")
    parser.add_argument("--key", type=Path, action="append", default=[], help="a public key that you trust")
    parser.add_argument("--receipt", type=Path, help="a receipt of the run that somebody has kept")
    asked, place = parser.parse_args(), ""
    if sys.version_info < (3, 10):
        parser.error("this program needs Python 3.10 or later")
    try:
        keys = [each.read_text("utf-8") for each in asked.key]
        receipt, export = asked.receipt and asked.receipt.read_text("utf-8"), Export(asked.export)
        asked.export.open("rb").close()
        if any(key.count("+") < 2 or len(key.split()) > 1 for key in keys):
            raise OSError("--key is to be a public key, written as NAME+KEYID+BASE64")
    except (OSError, UnicodeDecodeError) as error:
        parser.error(str(error))
    try:
        export.read()
        place = "manifest"
        export.finish()
        found = [f"signed by {export.signer(keys)}" if keys else "signatures NOT CHECKED: no --key"]
        for place, note in (("checkpoint", export.manifest.get("checkpoint")), ("receipt", receipt)):
            by = f", signed by {signer(note, keys)}" if note and keys and "\n\n" in note else ""
            found.append(f"{place}: {export.extends(note)}{by}" if note else f"no {place}")
    except Exception as error:
        print(f"WRONG {asked.export}, {place or f'line {export.number}'}: {type(error).__name__}: {error}")
        return 7
    print(f"RIGHT {asked.export}: run {export.run['run_id']}", *found, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
