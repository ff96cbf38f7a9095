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
from frame.operations.anchoring import anchoring_of
from frame.operations.changes import Remedies, accepted_changes
from frame.operations.closing_export import closing_export
from frame.operations.compile import Compiled, Pipeline, compile_pipeline
from frame.operations.conducting import conduct
from frame.operations.dead_letter_retry import carried_on
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
    path = pipeline if isinstance(pipeline, str | os.PathLike) else None
    url = store_url(audit, path)
    with database.open(url, create=False) as store:
        number, details = _find(store, run, clock)
        compiled = compile_pipeline(file_of(details, pipeline), registry)
        store.patience = Patience(compiled.loaded.config.audit.patience.total_seconds(), stop=stop)
        anchoring = anchoring_of(compiled.loaded, url)
        closing = closing_export(compiled.loaded, anchoring.key)
        accepted = accepted_changes(
            store, number, details, compiled, accept=accept_changes, remedies=REMEDIES
        )
        resumption = _resumption(store, number, details, compiled)
        anchoring.announce(store, clock)
        recorder = _take_over(store, details, compiled, accepted, clock)
        reached("after_takeover")
        if recorder.next_chunk != resumption.stands.next_chunk:
            raise TryAgainLater(f"another process has written to run {recorder.run_id} just now; ask again")
        result = conduct(
            compiled,
            recorder,
            details.summary.started_us,
            clock,
            anchoring=anchoring,
            stop=stop,
            listeners=listeners,
            resumption=resumption,
        )
        closing.write(store, result)
        return result


def _find(store: "Database", run: str, clock: Clock) -> tuple[int, "RunDetails"]:
    """Raises Refused if the run has come to its end."""
    from frame.audit import queries
    from frame.audit.recorder import ENDED_WELL

    with store.reading() as connection:
        number = queries.find_run(connection, run)
        details = queries.describe_run(connection, number, clock.time_us())
    status = details.summary.status
    if status in ENDED_WELL:
        raise Refused(
            f"run {details.summary.run_id} is {status.value.replace('_', ' ')}; there is nothing to resume"
        )
    return number, details


def _resumption(store: "Database", number: int, details: "RunDetails", compiled: Compiled) -> "Resumption":
    """Where the run stands. Raises Refused if nothing is left of it."""
    from frame.audit.history import RunHistory
    from frame.engine.resumption import Resumption

    carried = carried_on(store, number)
    history = RunHistory(store, number)
    stands = standing(compiled.graph, history.chunks(payloads=False))
    _refuse_ended(details, stands)
    return Resumption(compiled.graph, stands, history, None if carried is None else carried())


def _take_over(
    store: "Database", details: "RunDetails", compiled: Compiled, accepted: tuple[str, ...], clock: Clock
) -> "RunRecorder":
    """Raises TryAgainLater while another process holds the run."""
    from frame.audit.recorder import Recorder

    return Recorder(store).resume(
        details.summary.run_id,
        clock.time_us(),
        host=socket.gethostname(),
        pid=os.getpid(),
        lease_s=compiled.loaded.config.audit.lease.total_seconds(),
        detail={"accepted_changes": list(accepted)} if accepted else None,
    )


def _refuse_ended(details: "RunDetails", stands: Standing) -> None:
    run_id, status = details.summary.run_id, details.summary.status
    if stands.abandoned:
        raise Refused(
            f"run {run_id} was given up at its first failed row, as abort_on_error says; there is nothing to resume"
        )
    if status is RunStatus.FAILED and not stands.stopped:
        raise Refused(f"run {run_id} has come to its end: every row of it failed; there is nothing to resume")
