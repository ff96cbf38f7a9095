"""Backing up an audit store."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frame.clock import Clock, SystemClock, as_datetime
from frame.errors import UsageError
from frame.operations.stores import store_url
from frame.secrecy import without_userinfo

if TYPE_CHECKING:
    from frame.audit.backup import Copy


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made of `store`."""

    store: str
    copy: "Copy"

    def as_json(self) -> dict[str, Any]:
        """The result as one JSON object."""
        return {
            "schema_version": 1,
            "store": self.store,
            "path": str(self.copy.path),
            "size_bytes": self.copy.size_bytes,
            "sha256": self.copy.sha256.hex(),
            "runs": self.copy.runs,
            "log_records": self.copy.log_records,
        }


def backup(
    to: str | PathLike[str] | None = None,
    *,
    audit: str | None = None,
    pipeline: str | PathLike[str] | None = None,
    clock: Clock | None = None,
) -> Backup:
    """A copy of an audit store, of one moment, made while runs go on, and checked.

    `to`: the file to make, or a folder to make one in that is named after the store and the time; by default the
    folder that the store is in. Raises UsageError for a store in PostgreSQL, which has tools of its own, Refused if
    the file exists, AuditError if no sound copy can be made.
    """
    from frame.audit import database

    url = store_url(audit, pipeline)
    if not url.startswith("sqlite:"):
        raise UsageError(_postgresql(url))
    now_us = (clock or SystemClock()).time_us()
    with database.open(url, create=False) as store:
        from frame.audit.backup import copy

        return Backup(store.where, copy(store, _target(Path(store.where), to, now_us)))


def _target(store: Path, to: str | PathLike[str] | None, now_us: int) -> Path:
    named = store.parent if to is None else Path(to)
    if named.is_dir():
        return named / f"{store.stem}-{as_datetime(now_us):%Y%m%dT%H%M%SZ}{store.suffix}"
    return named


def _postgresql(url: str) -> str:
    place = without_userinfo(url).replace("postgresql+psycopg:", "postgresql:")
    return (
        "PostgreSQL makes consistent copies by itself while runs go on. One database: "
        f"pg_dump --format=custom --file=audit.dump '{place}' (back with pg_restore). The whole server, for recovery "
        "to any moment: pg_basebackup --pgdata=backup --wal-method=stream. A password goes into ~/.pgpass"
    )
