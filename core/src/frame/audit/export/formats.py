"""Which format is written how, and where its manifest stands."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from frame.audit.export import csv_sheet, folder, html, jsonl, openlineage, parquet_sheet, prov, publishing
from frame.audit.export.chain_lines import Chain
from frame.audit.export.folder import file_facts
from frame.audit.export.manifest import Contents, manifest_line
from frame.audit.export.source import RunRecord
from frame.audit.signing import PrivateKey


class Document(Protocol):
    """Writes one file for people or for another program."""

    def __call__(self, record: RunRecord, file: BinaryIO, key: PrivateKey | None = None) -> None: ...


_SHEETS: Mapping[str, folder.Write] = {
    csv_sheet.SUFFIX: csv_sheet.write,
    parquet_sheet.SUFFIX: parquet_sheet.write,
}
_DOCUMENTS: Mapping[str, Document] = {
    "html": html.write,
    "openlineage": openlineage.write,
    "prov": prov.write,
}
FORMATS = ("jsonl", *_SHEETS, *_DOCUMENTS)
_CHECKS: Mapping[str, Callable[[], None]] = {parquet_sheet.SUFFIX: parquet_sheet.check}


def manifest_beside(target: Path) -> Path:
    """Where the manifest of a document stands."""
    return target.with_name(f"{target.name}.manifest.json")


def check(name: str, target: Path, overwrite: bool) -> None:
    """Raises Refused or UsageError if a run could not be exported to `target` in the format `name`."""
    _CHECKS.get(name, lambda: None)()
    publishing.check(target, overwrite)
    if name in _DOCUMENTS:
        publishing.check(manifest_beside(target), overwrite)


def write(
    name: str, record: RunRecord, target: Path, key: PrivateKey | None = None, overwrite: bool = False
) -> None:
    """Export the run to `target`, whole or not at all. Raises Refused, ExportError, UsageError."""
    check(name, target, overwrite)
    if name == "jsonl":
        with publishing.new_file(target, overwrite) as file:
            jsonl.write(record, file, key)
    elif name in _SHEETS:
        with publishing.new_folder(target, overwrite) as path:
            folder.write(record, path, name, _SHEETS[name], key)
    else:
        _write_document(_DOCUMENTS[name], record, target, key, overwrite)


def _write_document(
    document: Document, record: RunRecord, target: Path, key: PrivateKey | None, overwrite: bool
) -> None:
    with ExitStack() as stack:
        # What is entered last is published first: a document is never found without its manifest.
        file = stack.enter_context(publishing.new_file(target, overwrite))
        manifest = stack.enter_context(publishing.new_file(manifest_beside(target), overwrite))
        document(record, file, key)
        file.flush()
        chain = Chain(record)
        for _ in chain.follow():
            pass
        content: dict[str, Any] = {"files": {target.name: file_facts(Path(file.name))}}
        manifest.write(manifest_line(record, Contents(), chain, content, key))
