"""Verifying a record: has anybody touched it?"""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from frame.errors import AuditError, FrameError

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.key_ring import KeyRing
    from frame.audit.receipts import Receipt
    from frame.audit.verify import Anchor, Finding, Report

DEFAULT_AUDIT = "sqlite:///.frame/audit.db"
AnyPath = str | PathLike[str]


def verify(
    run: str = "latest",
    *,
    all_runs: bool = False,
    audit: str = DEFAULT_AUDIT,
    anchors: Sequence[AnyPath] = (),
    keys: Sequence[AnyPath] = (),
    artifacts: bool = True,
) -> "Report":
    """What is wrong with the record of `run`, or of all runs, and with the store that holds it; nothing, if `ok`.

    `anchors`: receipts, or folders of them, that were kept outside the store; without one nobody can tell whether
    the end of a run was cut off. `keys`: files of public keys and rotation records; then each receipt and each
    checkpoint in the store must be signed by one of them.
    `artifacts`: compare what sinks have published with the files as they are now.

    Nothing is written. Raises UsageError if there is no such run, store, receipt or key.
    """
    from frame.audit import database
    from frame.audit.verify import verify_store

    ring = _ring(keys)
    kept, doubts = _anchors(anchors, ring)
    try:
        with database.open(audit, create=False) as store:
            runs = None if all_runs else [_number(store, run)]
            mine = _of_runs(store, runs, kept)
            report = verify_store(store, runs, anchors=mine, artifacts=artifacts, trusted=ring)
    except AuditError as error:
        report = _unreadable(error.where, error.why)
    except FrameError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can make a database driver raise anything
        report = _unreadable(audit, f"{type(error).__name__}: {error}")
    report.extend(doubts)
    if anchors and not keys:
        report.notes.append("whose receipts these are was not checked: name the public key with --key")
    return report


def _unreadable(where: str, why: str) -> "Report":
    from frame.audit.verify import Finding, Report

    return Report(where, [Finding("database", why, "the store cannot be opened", key="opening")])


def _number(store: "Database", run: str) -> int:
    from frame.audit.queries import find_run

    with store.reading() as connection:
        return find_run(connection, run)


def _of_runs(store: "Database", runs: Sequence[int] | None, kept: "Sequence[Anchor]") -> "list[Anchor]":
    """Of many receipts, those of the runs that are asked about; a single one is held against the store anyway."""
    if runs is None or len(kept) == 1:
        return list(kept)
    from frame.audit.queries import run_ids

    with store.reading() as connection:
        asked = run_ids(connection, runs)
    return [anchor for anchor in kept if anchor.run_id in asked]


def _anchors(paths: Sequence[AnyPath], ring: "KeyRing | None") -> "tuple[list[Anchor], list[Finding]]":
    """What the receipts say, and findings about those that nobody trusted has signed."""
    from frame.audit.verify import Anchor, Finding

    anchors, doubts = [], []
    for receipt in _receipts(paths):
        said = receipt.said
        signer = None if ring is None else ring.signer(receipt.note)
        if ring is not None and signer is None:
            what = f"{receipt.where} is not signed by a key that was named"
            doubts.append(Finding("anchor", what, "it may be forged; it was not used", run_id=said.run_id))
            continue
        log = None if said.log is None else (said.log.size, said.log.hash)
        whose = None if signer is None else str(signer)
        anchors.append(Anchor(said.run_id, said.blocks, said.tree_root, receipt.where, said.head, log, whose))
    return anchors, doubts


def _ring(keys: Sequence[AnyPath]) -> "KeyRing | None":
    if not keys:
        return None
    from frame.audit.key_ring import read_ring

    return read_ring(map(Path, keys))


def _receipts(paths: Sequence[AnyPath]) -> "Iterator[Receipt]":
    if not paths:
        return
    from frame.audit.receipts import read_all

    for path in paths:
        yield from read_all(Path(path))
