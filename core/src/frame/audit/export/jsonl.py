"""An export as JSON Lines: all in one file, which is enough to verify it."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from frame.audit.export.chain_lines import Chain, first_line
from frame.audit.export.lines import line
from frame.audit.export.manifest import Contents, manifest_line
from frame.audit.export.reading import readable
from frame.audit.export.source import RunRecord
from frame.audit.signing import PrivateKey

BUFFER = 1 << 20


def write(record: RunRecord, file: BinaryIO, key: PrivateKey | None = None) -> None:
    """Write the run to `file`, signed if there is a `key`."""
    contents, chain = Contents(), Chain(record)
    sha256, pending, size = hashlib.sha256(), [], 0
    for each in _lines(record, contents, chain):
        pending.append(each)
        size += len(each)
        if size >= BUFFER:
            joined = b"".join(pending)
            sha256.update(joined)
            file.write(joined)
            pending, size = [], 0
    joined = b"".join(pending)
    sha256.update(joined)
    file.write(joined)
    file.write(manifest_line(record, contents, chain, {"sha256": sha256.hexdigest()}, key))


def _lines(record: RunRecord, contents: Contents, chain: Chain) -> Iterator[bytes]:
    yield first_line(record)
    contents.counts["run"] += 1
    for kind, records in readable(record):
        for each in contents.counted(kind.name, records):
            yield line(kind.name, each)
    contents.lines = contents.counts.total()
    yield from contents.counted_chain(chain)
