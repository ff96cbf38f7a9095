"""An export as a folder: a file for each kind of record, the chain in one of its own, and a manifest."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain as joined
from pathlib import Path
from typing import Any

from frame.audit.export.chain_lines import Chain, first_line
from frame.audit.export.kinds import Kind, Record
from frame.audit.export.manifest import Contents, manifest_line
from frame.audit.export.publishing import MANIFEST
from frame.audit.export.reading import readable
from frame.audit.export.source import RunRecord
from frame.audit.signing import PrivateKey

CHAIN = "chain.jsonl"

Write = Callable[[Path, Kind, Iterable[Record]], dict[str, Any]]
"""Writes the records of a kind to a file, and gives what the manifest has to say about how."""


def write(record: RunRecord, folder: Path, suffix: str, sheet: Write, key: PrivateKey | None = None) -> None:
    """Fill the empty `folder` with the run; the files of records are named KIND.`suffix` and written by `sheet`."""
    contents, chain = Contents(), Chain(record)
    said: dict[str, Any] = {}
    for kind, records in readable(record):
        first = next(records, None)
        if first is not None:
            counted = contents.counted(kind.name, joined([first], records))
            for name, number in sheet(folder / f"{kind.name}.{suffix}", kind, counted).items():
                said[name] = said.get(name, 0) + number
    _write_chain(record, folder / CHAIN, contents, chain)
    files = {path.name: file_facts(path) for path in sorted(folder.iterdir())}
    line = manifest_line(record, contents, chain, {"files": files, **said}, key)
    (folder / MANIFEST).write_bytes(line)


def _write_chain(record: RunRecord, path: Path, contents: Contents, chain: Chain) -> None:
    with path.open("wb") as file:
        contents.counts["run"] += 1
        contents.lines = 1
        file.write(first_line(record))
        file.writelines(contents.counted_chain(chain))


def file_facts(path: Path) -> dict[str, str | int]:
    """What a manifest says about a file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": sha256, "size": path.stat().st_size}


def portions(records: Iterable[Record], most: int) -> Iterator[list[Record]]:
    """The records, `most` at a time."""
    portion: list[Record] = []
    for each in records:
        portion.append(each)
        if len(portion) == most:
            yield portion
            portion = []
    if portion:
        yield portion
