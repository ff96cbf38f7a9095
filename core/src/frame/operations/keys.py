"""Making, showing, replacing and revoking the keys that sign."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frame.audit.durable import write_new
from frame.audit.key_files import public_path, read_private, read_public, write_pair
from frame.audit.key_ring import rotation
from frame.audit.signing import ALGORITHM, NotAKey, PrivateKey, PublicKey, new_key
from frame.clock import Clock, SystemClock
from frame.errors import Refused, UsageError
from frame.operations.stores import store_url

USUAL_FILE, USUAL_NAME = Path("frame.key"), "frame"
ROTATION_SUFFIX = ".rotation"


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A public key and the files that it is in; None where there is none."""

    key: PublicKey
    private_file: Path | None
    public_file: Path | None
    rotation_file: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """The key as one JSON object."""
        files = {"private": self.private_file, "public": self.public_file, "rotation": self.rotation_file}
        return {
            "schema_version": 1,
            "name": self.key.name,
            "key_id": self.key.key_id.hex(),
            "algorithm": ALGORITHM,
            "public_key": str(self.key),
            "files": {name: str(path) for name, path in files.items() if path is not None},
        }


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """A key of which nothing is believed that it signs after record `record` of the log in `store`."""

    key: PublicKey
    store: str
    record: int

    def as_json(self) -> dict[str, Any]:
        """The revocation as one JSON object."""
        return {
            "schema_version": 1,
            "name": self.key.name,
            "key_id": self.key.key_id.hex(),
            "store": self.store,
            "record": self.record,
        }


def generate_key(out: str | os.PathLike[str] = USUAL_FILE, name: str = USUAL_NAME) -> ShownKey:
    """A new key: the private one in `out`, the public one beside it. Raises Refused if either file is there."""
    path = Path(out)
    key = _new(name)
    return ShownKey(key.public, path, write_pair(path, key))


def show_key(path: str | os.PathLike[str]) -> ShownKey:
    """The public key in the file at `path`, or that of the private key there. Raises UsageError if there is none."""
    where = Path(path)
    key, beside = read_public(where), public_path(where)
    if where.read_text(encoding="utf-8").removesuffix("\n") == str(key):
        return ShownKey(key, None, where)
    return ShownKey(key, where, beside if beside.exists() else None)


def rotate_key(old: str | os.PathLike[str], new: str | os.PathLike[str], name: str | None = None) -> ShownKey:
    """A new private key in `new`, or the one that is there, and a record that both have signed.

    `name`: what a new key is called, if not as the old one. Whoever trusts the old key can go on to the new one with
    that record, `new` with `.rotation` after it. Raises UsageError if `old` cannot be used, Refused if the record is
    there already.
    """
    before, path = read_private(Path(old)), Path(new)
    record = path.with_name(f"{path.name}{ROTATION_SUFFIX}")
    if os.path.lexists(record):
        raise Refused(f"{record} is there already: this key has followed another one before")
    if os.path.lexists(path):
        after, beside = read_private(path), public_path(path)
    else:
        after = _new(name or before.name)
        beside = write_pair(path, after)
    if after.public == before.public:
        raise UsageError(f"{old} and {new} hold one key, which cannot follow itself")
    write_new(record, str(rotation(before, after)))
    return ShownKey(after.public, path, beside, record)


def revoke_key(
    path: str | os.PathLike[str],
    reason: str,
    audit: str | None = None,
    pipeline: str | os.PathLike[str] | None = None,
    clock: Clock | None = None,
) -> RevokedKey:
    """Put on record in the audit store that nothing is to be believed that the key in `path` signs from now on.

    Which store, `store_url` says. What it signed before stays good. Raises Refused if it was revoked before.
    """
    from frame.audit import database
    from frame.audit.checkpoints import revoke

    key = read_public(Path(path))
    now_us = (clock or SystemClock()).time_us()
    with database.open(store_url(audit, pipeline), create=False) as store:
        return RevokedKey(key, store.where, revoke(store, key, reason, now_us))


def _new(name: str) -> PrivateKey:
    try:
        return new_key(name)
    except NotAKey as why:
        raise UsageError(f"a key {why}") from None
