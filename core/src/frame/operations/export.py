"""Exporting what is on record about a run."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from frame.errors import UsageError

if TYPE_CHECKING:
    from frame.audit.signing import PrivateKey

Format = Literal["jsonl", "csv", "parquet", "html", "openlineage", "prov"]
FORMATS: tuple[Format, ...] = get_args(Format)
_ENDLESS = frozenset({"running"})


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that was written.

    `key`: the public key that it can be verified with, None if it is not signed. `has_ended`: whether the run had an
    end on record; if not, the export has what was committed until then. `verifier`: where the program stands that
    verifies it, if that was asked for. `is_chained`: whether there is a chain to prove the record by.
    """

    run_id: str
    status: str
    format: Format
    path: Path
    key: str | None
    verifier: Path | None
    is_chained: bool

    @property
    def has_ended(self) -> bool:
        return self.status not in _ENDLESS

    def as_json(self) -> dict[str, Any]:
        """The result as one JSON object."""
        return {
            "schema_version": 1,
            "run": self.run_id,
            "status": self.status,
            "format": self.format,
            "path": str(self.path),
            "key": self.key,
            "verifier": None if self.verifier is None else str(self.verifier),
            "is_chained": self.is_chained,
        }


def export(
    run: str = "latest",
    *,
    format: Format = "jsonl",  # noqa: A002 - the word that users know
    out: str | PathLike[str],
    sign: str | PathLike[str] | None = None,
    with_verifier: bool = False,
    overwrite: bool = False,
    audit: str | None = None,
    pipeline: str | PathLike[str] | None = None,
) -> Exported:
    """Write everything that is on record about `run` to `out`: a file, or a folder for csv and parquet.

    The same run gives the same bytes. It appears at `out` whole or not at all. `sign`: the file of a private key.
    `with_verifier`: also put a program beside it that verifies it with nothing but Python. `overwrite`: replace an
    export that stands there.

    Raises UsageError if there is no such run or key, Refused if something is at `out` or the key was revoked,
    ExportError if it cannot be written.
    """
    from frame.audit import database, queries
    from frame.audit.checkpoints import refuse_revoked
    from frame.audit.export import formats
    from frame.audit.export.source import RunRecord
    from frame.operations.stores import store_url

    target = Path(out)
    check(format, target, overwrite)
    key = signing_key(sign)
    with database.open(store_url(audit, pipeline), to_read=True) as store, store.reading() as connection:
        if key is not None:
            refuse_revoked(connection, key.public)
        record = RunRecord(connection, queries.find_run(connection, run))
        formats.write(format, record, target, key, overwrite)
        verifier = _put_verifier(target.parent) if with_verifier else None
        public = None if key is None else str(key.public)
        return Exported(record.run_id, record.status, format, target, public, verifier, record.is_chained)


def check(name: str, target: Path, overwrite: bool) -> None:
    """Raises UsageError or Refused if an export in the format `name` cannot be put at `target`."""
    from frame.audit.export import formats

    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}: choose one of {', '.join(FORMATS)}")
    formats.check(name, target, overwrite)


def signing_key(path: str | PathLike[str] | None) -> "PrivateKey | None":
    """The private key in the file `path`. Raises UsageError if it cannot be used."""
    if path is None:
        return None
    from frame.audit.key_files import read_private

    return read_private(Path(path))


def _put_verifier(folder: Path) -> Path:
    """The program that verifies exports, in `folder`; one that is there already is brought up to date."""
    from frame.audit import verifier
    from frame.audit.export import publishing

    path = folder / verifier.NAME
    with publishing.new_file(path, overwrite=path.is_file()) as file:
        file.write(verifier.program())
    return path
