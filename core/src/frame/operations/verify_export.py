"""Verifying an export, without a store."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from frame.errors import UsageError

AnyPath = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was found. `wrong` is the first thing that is not as it should be, "" if there is none; `place` is where.

    `notes`: who signed it, which receipt it extends, and what was not checked.
    """

    path: Path
    run_id: str
    wrong: str
    place: str
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.wrong

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "schema_version": 1,
            "export": str(self.path),
            "run": self.run_id,
            "ok": self.ok,
            "wrong": self.wrong or None,
            "place": self.place or None,
            "notes": list(self.notes),
        }


def verify_export(
    path: str | PathLike[str],
    key: AnyPath | Sequence[AnyPath] | None = None,
    receipt: str | PathLike[str] | None = None,
) -> ExportReport:
    """What a verification of the export at `path` found; no store is needed, and none is looked for.

    `key`: the file of the public key that must have signed it, or several, one of which must have: the export may be
    signed by another key than the run, and both are checked. `receipt`: the file of a receipt that somebody kept;
    the export must extend it. Raises UsageError if one of them cannot be read or is something else.
    """
    from frame.audit.export import checking

    where = Path(path)
    keys = [_public(Path(each)) for each in _files(key)]
    kept = None if receipt is None else _receipt(Path(receipt))
    export = checking.opened(where)
    try:
        export.check(keys, kept)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a reader stumbles over is not as it was written
        return ExportReport(where, export.run_id, _said(error), export.place, ())
    return ExportReport(where, export.run_id, "", "", tuple(export.notes))


def _files(key: "AnyPath | Sequence[AnyPath] | None") -> Sequence[AnyPath]:
    if key is None:
        return ()
    return [key] if isinstance(key, str | PathLike) else key


def _said(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"that is no JSON: {error}"
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


def _public(path: Path) -> str:
    from frame.audit.key_files import read_public

    return str(read_public(path))


def _receipt(path: Path) -> str:
    from frame.audit.receipts import read

    return str(read(path).note)
