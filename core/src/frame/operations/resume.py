"""Going on with a run that was stopped or has crashed."""

import os
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from frame.clock import Clock, SystemClock
from frame.engine.result import RunResult
from frame.engine.standing import Standing, standing
from frame.errors import Refused, TryAgainLater
from frame.events import RunStatus
from frame.failpoints import reached
from frame.operations.changes import Remedies, accepted_changes
from frame.operations.compile import Compiled, Pipeline, compile_pipeline
from frame.operations.conducting import conduct, prepare
from frame.operations.linked_run import carried_on
from frame.operations.recorded import file_of
from frame.operations.stores import store_url
from frame.plugin.registry import Registry
from frame.telemetry.listeners import Listener

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.queries import RunDetails
    from frame.audit.recorder import RunRecorder
    from frame.engine.resumption import Resumption

REMEDIES = Remedies(
    accept="Put it back as it was, or go on all the same with --accept-changes, which goes on record",
    topology="Put the nodes and their ways back as they were; a run cannot go on in another graph",
)


def resume(
    run: str,
    *,
    pipeline: Pipeline | None = None,
    audit: str | None = None,
    accept_changes: bool = False,
    registry: Registry | None = None,
    stop: threading.Event | None = None,
    listeners: Sequence[Listener] = (),
    clock: Clock | None = None,
) -> RunResult:
    """What came of going on with `run`: a run id, an unambiguous beginning of one, or "latest".

    `pipeline`: where its pipeline is now, if not where the record says. `accept_changes`: go on although options or
    plugins are no longer those of the run; what differs goes on record.

    Raises UsageError if there is no such run; Refused if it ended well, if the pipeline or its plugins have changed,
    or if something that is needed is gone; TryAgainLater while another process works on it; AuditError when the
    record cannot be kept.
    """
    from frame.audit import database
    from frame.audit.patience import Patience

    clock = clock or SystemClock()
    url = store_url(audit, pipeline)
    with database.open(url, create=False) as store:
        stopped = _Stopped(store, run, clock)
        compiled = compile_pipeline(file_of(stopped.details, pipeline), registry)
        store.patience = Patience(compiled.loaded.config.audit.patience.total_seconds(), stop=stop)
        prepared = prepare(compiled, url)
        accepted = stopped.accept(compiled, accept_changes)
        resumption = stopped.resumption(compiled)
        prepared.anchoring.announce(store, clock)
        recorder = stopped.take_over(compiled, resumption, accepted)
        since_us = stopped.details.summary.started_us
        return conduct(
            prepared, recorder, since_us, clock, stop=stop, listeners=listeners, resumption=resumption
        )


class _Stopped:
    """A run that was stopped or has crashed. Raises Refused if it has come to its end."""

    def __init__(self, store: "Database", run: str, clock: Clock) -> None:
        from frame.audit import queries
        from frame.audit.giving_up import given_up
        from frame.audit.recorder import ENDED_WELL

        self._store, self._clock = store, clock
        with store.reading() as connection:
            self._number = queries.find_run(connection, run)
            self.details: RunDetails = queries.describe_run(connection, self._number, clock.time_us())
            given = given_up(connection, self._number)
        self._run_id, status = self.details.summary.run_id, self.details.summary.status
        if status in ENDED_WELL:
            raise Refused(_ended(self.details, status))
        if given is not None:
            raise Refused(f"run {self._run_id} was {given}; there is nothing to resume")

    def accept(self, compiled: Compiled, accept: bool) -> tuple[str, ...]:
        """What has changed since the run began. Raises Refused if that is not, or cannot be, accepted."""
        return accepted_changes(
            self._store, self._number, self.details, compiled, accept=accept, remedies=REMEDIES
        )

    def resumption(self, compiled: Compiled) -> "Resumption":
        """Where the run stands. Raises Refused if nothing is left of it."""
        from frame.audit.history import RunHistory
        from frame.engine.resumption import Resumption

        carried = carried_on(self._store, self._number)
        history = RunHistory(self._store, self._number)
        stands = standing(compiled.graph, history.chunks(payloads=False, digests=False))
        _refuse_ended(self.details, stands)
        return Resumption(compiled.graph, stands, history, None if carried is None else carried())

    def take_over(
        self, compiled: Compiled, resumption: "Resumption", accepted: tuple[str, ...]
    ) -> "RunRecorder":
        """The record of the run, to go on with. Raises TryAgainLater while another process holds it."""
        from frame.audit.recorder import Recorder

        recorder = Recorder(self._store).resume(
            self._run_id,
            self._clock.time_us(),
            host=socket.gethostname(),
            pid=os.getpid(),
            lease_s=compiled.loaded.config.audit.lease.total_seconds(),
            detail={"accepted_changes": list(accepted)} if accepted else None,
        )
        reached("after_takeover")
        if recorder.next_chunk != resumption.stands.next_chunk:
            raise TryAgainLater(f"another process has written to run {self._run_id} just now; ask again")
        return recorder


def _ended(details: "RunDetails", status: RunStatus) -> str:
    """Why a run that has ended does not go on, and what there is instead."""
    run_id, file = details.summary.run_id, details.config.get("file", "")
    failed = (
        f"Rows that failed: frame dead-letters retry {run_id}. "
        if status is RunStatus.COMPLETED_WITH_FAILURES
        else ""
    )
    return (
        f"run {run_id} is {status.value.replace('_', ' ')}; there is nothing to resume.\n"
        f"{failed}A new run: frame run {file or 'PIPELINE'}. To do it over and compare: frame replay {run_id}"
    )


def _refuse_ended(details: "RunDetails", stands: Standing) -> None:
    run_id, status = details.summary.run_id, details.summary.status
    if stands.abandoned:
        raise Refused(
            f"run {run_id} was given up at its first failed row, as abort_on_error says; there is nothing to resume"
        )
    if status is RunStatus.FAILED and not stands.stopped:
        raise Refused(f"run {run_id} has come to its end: every row of it failed; there is nothing to resume")
