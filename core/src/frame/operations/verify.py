"""Verifying a record: has anybody touched it?"""

from collections.abc import Collection, Iterator, Sequence
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

    Nothing is written. Raises UsageError if there is no such run, store, receipt or key, AuditError if the server of
    the store cannot be reached.
    """
    from frame.audit import database
    from frame.audit.verify import verify_store

    ring = _ring(keys)
    kept, doubts = _anchors(anchors, ring)
    try:
        with database.open(audit, to_read=True) as store:
            runs = None if all_runs else [_number(store, run)]
            asked = None if runs is None or len(kept) + len(doubts) == 1 else _ids(store, runs)
            mine = [anchor for anchor in kept if asked is None or anchor.run_id in asked]
            doubts = [doubt for doubt in doubts if asked is None or doubt.run_id in asked]
            report = verify_store(store, runs, anchors=mine, artifacts=artifacts, trusted=ring)
            report.notes += [store.note] if store.note else []
    except AuditError as error:
        # A server that lets nobody in says nothing of the record; a file that cannot be opened is damaged.
        if not audit.startswith("sqlite"):
            raise
        report = _unreadable(error.where, error.why)
    except FrameError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can make a database driver raise anything
        report = _unreadable(audit, f"{type(error).__name__}: {error}")
    report.extend(doubts)
    of_runs = {anchor.run_id for anchor in kept} | {doubt.run_id for doubt in doubts}
    report.notes += _notes(report, of_runs, named=bool(keys)) if anchors else ()
    return report


def _notes(report: "Report", of_runs: Collection[str | None], *, named: bool) -> Iterator[str]:
    """What is to be said of receipts that speak `of_runs`. `named`: whether it was said whose they have to be."""
    if report.runs and not any(each.run_id in of_runs for each in report.runs):
        yield "no receipt that was named is of a run that was verified, so none was anchored"
    if not named:
        yield "whose receipts these are was not checked: name the public key with --key"


def _unreadable(where: str, why: str) -> "Report":
    from frame.audit.verify import Finding, Report

    return Report(where, [Finding("database", why, "the store cannot be opened", key="opening")])


def _number(store: "Database", run: str) -> int:
    from frame.audit.queries import find_run

    with store.reading() as connection:
        return find_run(connection, run)


def _ids(store: "Database", runs: Sequence[int]) -> Collection[str]:
    """The ids of the runs that are asked about: of many receipts, those of others are left out."""
    from frame.audit.queries import run_ids

    with store.reading() as connection:
        return run_ids(connection, runs)


def _anchors(paths: Sequence[AnyPath], ring: "KeyRing | None") -> "tuple[list[Anchor], list[Finding]]":
    """What the receipts say, and findings about those that nobody trusted has signed."""
    from frame.audit.verify import RECEIPT, Anchor, Finding

    anchors, doubts = [], []
    for receipt in _receipts(paths):
        said = receipt.said
        signer = None if ring is None else ring.signer(receipt.note)
        if ring is not None and signer is None:
            what = f"{receipt.where} is not signed by a key that was named"
            doubts.append(Finding(RECEIPT, what, "it may be forged; it was not used", run_id=said.run_id))
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
