"""What a run has read and written, as far as the record says: the outside ends of its lineage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from frame.audit import queries
from frame.audit.export.source import RunRecord


@dataclass(frozen=True, slots=True)
class Dataset:
    """Something outside of frame that node `node` read or wrote; what is not on record is None."""

    node: int
    uri: str
    rows: int | None
    size_bytes: int | None
    sha256: str | None

    @property
    def namespace(self) -> str:
        """Where it is, in the naming of OpenLineage: `file`, or scheme and host."""
        scheme, host, _ = self._parts
        return "file" if scheme == "file" else f"{scheme}://{host.rpartition('@')[2]}"

    @property
    def name(self) -> str:
        """Its name there."""
        scheme, host, path = self._parts
        if scheme == "file":
            return unquote(path) if "://" in self.uri else path
        return path or host.rpartition("@")[2]

    @property
    def _parts(self) -> tuple[str, str, str]:
        """Scheme, host and path. What is no URL is a path; what a redaction has left in a URL is no reason to fail."""
        scheme, divider, rest = self.uri.partition("://")
        if not divider:
            return "file", "", self.uri
        host, slash, path = rest.partition("/")
        return scheme, host, slash + path if scheme == "file" else path


def read_by(record: RunRecord) -> Iterator[Dataset]:
    """What nodes have said of the data that they read, by node; each once, as it was said last."""
    said: dict[tuple[int, str], dict[str, Any]] = {}
    for event in queries.run_events(record.connection, record.run):
        uri = event.detail.get("uri") or event.detail.get("path")
        if event.kind == "evidence" and event.node is not None and isinstance(uri, str):
            said[event.node, uri] = event.detail
    for (node, uri), detail in sorted(said.items()):
        yield Dataset(node, uri, detail.get("rows"), detail.get("size_bytes"), detail.get("sha256"))


def written_by(record: RunRecord) -> Iterator[Dataset]:
    """What sinks have published, in order."""
    for made in queries.artifacts_of(record.connection, record.run):
        sha256 = None if made.sha256 is None else made.sha256.hex()
        yield Dataset(made.node, made.uri, made.rows, made.size_bytes, sha256)
