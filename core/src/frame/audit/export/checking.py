"""An export, verified: by the program that auditors are given, and what that does not know, folders and documents."""

import csv
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from frame.audit.export import csv_sheet, parquet_sheet
from frame.audit.export.folder import CHAIN, file_facts
from frame.audit.export.formats import manifest_beside
from frame.audit.export.kinds import KINDS, Kind, Record, Type
from frame.audit.export.publishing import MANIFEST
from frame.audit.verifier.verify_export import Export, signer
from frame.errors import UsageError

NO_KEY = "signatures were not checked: no public key was given"
NO_CHAIN = (
    "it is a document for people or other programs: it proves that it is as it was written, not the record"
)
_TRUE = "true"
_KNOWN = {kind.name: kind for kind in KINDS}


class Checked(ABC):
    """An export that is read once, from its beginning to its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = ""
        self.notes: list[str] = []

    @abstractmethod
    def check(self, keys: Iterable[str], receipt: str | None) -> None:
        """Raises ValueError, or whatever a broken file raises, unless the export is right."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the check has come to."""


def opened(path: Path) -> Checked:
    """The export at `path`. Raises UsageError if there is none."""
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise UsageError(f"{path} is a folder without {MANIFEST}, so it is no export")
        return _Chained(path, _Folder(path))
    try:
        with path.open("rb") as file:
            begins = file.read(16)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    if begins.startswith(b'{"record":"run"'):
        return _Chained(path, Export(path))
    if manifest_beside(path).is_file():
        return _Document(path)
    raise UsageError(
        f"{path} is no export as JSON Lines, and there is no {manifest_beside(path).name} beside it: name what "
        "`frame export` wrote"
    )


class _Chained(Checked):
    """An export that has the chain in it."""

    def __init__(self, path: Path, export: Export) -> None:
        super().__init__(path)
        self._export, self._reached = export, ""

    @property
    def place(self) -> str:
        if self._reached:
            return self._reached
        return f"{getattr(self._export, 'file', 'it')}, line {self._export.number}".removeprefix("it, ")

    def check(self, keys: Iterable[str], receipt: str | None) -> None:
        with closing(self._export.rows):  # a second look at the file, which a fault leaves open
            self._check(self._export, keys, receipt)

    def _check(self, export: Export, keys: Iterable[str], receipt: str | None) -> None:
        if isinstance(export, _Folder):
            self.run_id = _run_id(self.path / MANIFEST)
        export.read()
        self.run_id = export.run["run_id"]
        if not export.manifest:
            raise ValueError("it ends after this line, without its manifest: was it cut off?")
        self._reached = "its manifest"
        _compare_counts(export)
        export.finish()
        given = list(keys)
        self.notes.append(f"signed by {export.signer(given)}" if given else NO_KEY)
        for name, note in (("checkpoint", export.manifest.get("checkpoint")), ("receipt", receipt)):
            if note is not None:
                self._reached = f"the {name}"
                by = f", signed by {signer(note, given)}" if given and "\n\n" in note else ""
                self.notes.append(f"the {name} speaks of {export.extends(note)}{by}")
        if receipt is None:
            self.notes.append("not anchored: what was cut off its end cannot be seen without a receipt")


def _compare_counts(export: Export) -> None:
    """Raises ValueError with the first kind of which there are more or fewer records than the manifest says."""
    for field, made in (("counts", export.counts), ("withheld", export.withheld)):
        said = export.manifest[field]
        for kind in sorted({*said, *made}):
            if said.get(kind, 0) != made[kind]:
                raise ValueError(
                    f"{field}: it says {said.get(kind, 0)} of {kind!r}, and there are {made[kind]}"
                )


class _Folder(Export):
    """A folder of CSV or Parquet files, read as if it were one file of lines."""

    def __init__(self, path: Path) -> None:
        self.file = MANIFEST
        super().__init__(path)

    def read(self) -> None:
        self.manifest = manifest = _manifest(self.path / MANIFEST)
        _check_files(self.path, manifest["files"])
        chain = (self.path / CHAIN).open("rb")
        with chain:
            self._record("run", json.loads(chain.readline()))
            for kind in KINDS:
                self.file, self.number = kind.name, 1
                for record in _read_sheet(self.path, kind):
                    self.number += 1
                    self._record(kind.name, {"record": kind.name, **record})
            self.file, self.number = CHAIN, 1
            for raw in chain:
                self.number += 1
                record = json.loads(raw)
                self._record(record["record"], record)
        self.number += 1
        self.line("manifest", manifest)

    def _record(self, kind: str, record: dict[str, Any]) -> None:
        self.line(kind, record)
        self.counts[kind] += 1

    def read_rows(self) -> Generator[dict[str, Any], None, None]:
        for number, row in enumerate(_read_sheet(self.path, _KNOWN["row"]), 2):
            yield {**row, "line": number}

    def finish(self) -> None:
        # A folder has the hashes of its files where a file has its own.
        said = self.manifest
        self.manifest = {**said, "sha256": self.sha256.hexdigest()}
        try:
            super().finish()
        finally:
            self.manifest = said


def _manifest(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    if not isinstance(found.get("files"), dict):
        raise ValueError(f"{path.name} names no files")
    return found


def _run_id(path: Path) -> str:
    run_id = _manifest(path).get("run_id")
    return run_id if isinstance(run_id, str) else ""


def _check_files(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    """Raises ValueError unless the folder has just these files, and they are as they were."""
    there = {each.name for each in folder.iterdir()} - {MANIFEST}
    for name in sorted(there ^ set(files)):
        wrong = "is not named by the manifest" if name in there else "is missing, which the manifest names"
        raise ValueError(f"{name} {wrong}")
    for name, said in files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise ValueError(f"{name} is not an ordinary file")
        _compare_file(path, said)


def _compare_file(path: Path, said: dict[str, Any] | None) -> None:
    """Raises ValueError unless the file is as the manifest says."""
    if said is None:
        raise ValueError(f"{path.name} is not named by the manifest")
    for what, found in file_facts(path).items():
        if found != said.get(what):
            raise ValueError(
                f"{path.name} is not as it was written: its {what} is {found}, and the manifest says {said.get(what)}"
            )


def _read_sheet(folder: Path, kind: Kind) -> Iterator[Record]:
    """The records of a kind, those fields left out that are empty."""
    if (path := folder / f"{kind.name}.{csv_sheet.SUFFIX}").is_file():
        return _read_csv(path, kind)
    if (path := folder / f"{kind.name}.{parquet_sheet.SUFFIX}").is_file():
        return _read_parquet(path)
    return iter(())


def _read_csv(path: Path, kind: Kind) -> Iterator[Record]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {
                name: _value(kind.columns[name], cell) for name, cell in row.items() if cell not in ("", None)
            }


def _value(type_: Type, cell: str) -> str | int | bool:
    match type_:
        case Type.INT:
            return int(cell)
        case Type.BOOL:
            return cell == _TRUE
    return csv_sheet.original(cell)


def _read_parquet(path: Path) -> Iterator[Record]:
    parquet_sheet.check()
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                yield {name: value for name, value in row.items() if value is not None}


class _Document(Checked):
    """One file with its manifest beside it."""

    place = "its manifest"

    def check(self, keys: Iterable[str], receipt: str | None) -> None:
        manifest = _manifest(manifest_beside(self.path))
        self.run_id = manifest["run_id"]
        files = manifest["files"]
        _compare_file(self.path, files.get(self.path.name))
        if len(files) != 1:
            raise ValueError("the manifest names more files than this one")
        export = Export(self.path)
        export.manifest, export.run, export.number = manifest, {"run_id": self.run_id}, manifest["lines"] + 1
        given = list(keys)
        self.notes.append(f"signed by {export.signer(given)}" if given else NO_KEY)
        self.notes.append(NO_CHAIN)
        if receipt is not None:
            self.notes.append("the receipt was not compared: a document does not have the chain")
