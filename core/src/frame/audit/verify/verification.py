"""A store, verified: the database, the log, and run after run."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from frame.audit import schema
from frame.audit.database import Database
from frame.audit.key_ring import KeyRing
from frame.audit.verify.database import DAMAGED, check_database
from frame.audit.verify.log import Log, check_anchors, check_migrations, check_purges, check_runs, read_log
from frame.audit.verify.report import Anchor, Finding, Report, RunReport
from frame.audit.verify.run import RunVerification

UNANCHORED = (
    "not anchored: whether commits were cut off its end cannot be seen without a receipt from outside"
)


def verify_store(
    database: Database,
    runs: Sequence[int] | None,
    *,
    anchors: Sequence[Anchor] = (),
    artifacts: bool = True,
    trusted: KeyRing | None = None,
) -> Report:
    """What a verification of the store and of `runs` found; of all runs when that is None.

    `anchors`: what was kept outside the store. `artifacts`: published files are compared, too. `trusted`: the keys
    that checkpoints in the store must be signed by, if not just those that its log names.
    """
    report = Report(database.where)
    wanted = frozenset(anchor.log[0] for anchor in anchors if anchor.log is not None)
    log = Log(wanted=wanted, trusted=trusted)
    with _reading(database) as connection:
        for check in (check_database(database, connection), read_log(connection, log)):
            report.extend(_told(check))
        for later in (check_runs, check_migrations, check_purges):
            report.extend(_told(later(connection, log)))
        report.extend(check_anchors(log, anchors))
        for run, run_id in _asked(connection, runs, report):
            mine = [anchor for anchor in anchors if anchor.run_id == run_id]
            report.runs.append(_verify_run(connection, (run, run_id), log, mine, artifacts))
        report.extend(_missing(connection, anchors))
    return report


@contextmanager
def _reading(database: Database) -> Iterator[Connection]:
    with database.reading() as connection:
        driver: Any = connection.connection.dbapi_connection
        if connection.dialect.name != "sqlite":
            yield connection
            return
        # What is no UTF-8 any more is to be found, and not to end the reading.
        driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        try:
            yield connection
        finally:
            driver.text_factory = str


def _told(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, and one more if they cannot be brought to their end."""
    try:
        yield from findings
    except DBAPIError as error:
        yield Finding("database", f"it cannot be read: {error.orig}", DAMAGED)
    except Exception as error:  # noqa: BLE001 - whatever it is, the record cannot be trusted
        yield Finding("database", f"it cannot be read: {type(error).__name__}: {error}", DAMAGED)


def _asked(connection: Connection, runs: Sequence[int] | None, report: Report) -> list[tuple[int, str]]:
    headers = schema.run_headers
    found: list[tuple[int, str]] = []
    try:
        for run, run_id in connection.execute(
            select(headers.c.run, headers.c.run_id).order_by(headers.c.run)
        ):
            if runs is None or run in runs:
                found.append((run, run_id))
    except DBAPIError as error:
        report.findings.append(
            Finding("database", f"it cannot be read: {error.orig}", DAMAGED, "run_headers")
        )
    return found


def _verify_run(
    connection: Connection, named: tuple[int, str], log: Log, anchors: Sequence[Anchor], artifacts: bool
) -> RunReport:
    run, run_id = named
    report = RunReport(run_id, run)
    try:
        verification = RunVerification(connection, run, run_id, log, anchors)
        report = verification.report
        verification.check(artifacts=artifacts)
    except DBAPIError as error:
        report.add(Finding("database", f"it cannot be read: {error.orig}", DAMAGED, run_id=run_id))
    except Exception as error:  # noqa: BLE001 - whatever it is, the record cannot be trusted
        said = f"it cannot be read: {type(error).__name__}: {error}"
        report.add(Finding("database", said, DAMAGED, run_id=run_id))
    if log.trusted is not None and (report.signed_blocks or 0) < report.blocks:
        said = f"{report.signed_blocks or 'none'} of its {report.blocks} commits"
        report.notes.append(f"{said} are under a checkpoint that is signed by a key that was named")
    if report.anchored_blocks is None:
        report.notes.append(UNANCHORED)
    elif report.anchored_blocks < report.blocks:
        said = f"the newest receipt vouches for {report.anchored_blocks} of its {report.blocks} commits"
        report.notes.append(f"{said}; whether others were cut off its end cannot be seen")
    return report


def _missing(connection: Connection, anchors: Sequence[Anchor]) -> Iterator[Finding]:
    """Runs that somebody has a receipt for, and that are not in the store."""
    headers = schema.run_headers
    try:
        present = set(connection.scalars(select(headers.c.run_id)))
    except DBAPIError:
        return
    for anchor in anchors:
        if anchor.run_id not in present:
            what = f"{anchor.where} was given for run {anchor.run_id}, which is not in the store"
            yield Finding("anchor", what, "a whole run was taken out", "run_headers", anchor.run_id)
