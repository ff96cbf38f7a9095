"""From a compiled pipeline and an open record to the result of the run: what a new run and a resumed one share."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from importlib_metadata import version

from frame.clock import Clock
from frame.engine.result import RunResult
from frame.engine.runner import Runner
from frame.events import RunStatus
from frame.failpoints import reached
from frame.operations.anchoring import Anchoring, anchoring_of
from frame.operations.closing_export import ClosingExport, closing_export
from frame.operations.compile import Compiled
from frame.telemetry.environment import listener_from_environment
from frame.telemetry.listeners import Audience, Listener, RunInfo

if TYPE_CHECKING:
    from frame.audit.recorder import RunRecorder
    from frame.engine.resumption import Resumption

_log = logging.getLogger("frame.pipeline")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A pipeline, and what its runs leave outside their store: signatures, receipts, an export at the end."""

    compiled: Compiled
    anchoring: Anchoring
    closing: ClosingExport


def prepare(compiled: Compiled, audit_url: str) -> Prepared:
    """What a run needs beside its record. Raises ConfigError if a key or the place of the export cannot be used."""
    anchoring = anchoring_of(compiled.loaded, audit_url)
    return Prepared(compiled, anchoring, closing_export(compiled.loaded, anchoring.key))


def conduct(
    prepared: Prepared,
    recorder: "RunRecorder",
    started_us: int,
    clock: Clock,
    *,
    stop: threading.Event | None,
    listeners: Sequence[Listener],
    resumption: "Resumption | None" = None,
) -> RunResult:
    """What came of the run that `recorder` holds: a new one, or what `resumption` goes on with.

    `listeners` hear of it, as do those that OTEL_* variables ask for. Raises AuditError when the record cannot be
    kept; ExportError when the run has ended and its export cannot be written.
    """
    for warning in prepared.compiled.warnings:
        _log.warning(warning)
    exported = listener_from_environment(version("frame-core"))
    audience = Audience((*listeners, exported) if exported else listeners, clock)
    runner = _runner(prepared, recorder, clock, stop, audience, resumption)
    info = RunInfo.of(prepared.compiled.graph, recorder.run_id, started_us)
    audience.run_started(info if resumption is None else resumption.stands.tally.told(info))
    status = RunStatus.CRASHED
    try:
        result = runner.run()
        status = result.status
    finally:
        audience.run_finished(status)
        reached("before_receipt")
        receipt = prepared.anchoring.keep_receipt(recorder, clock)
    result = replace(result, receipt=receipt)
    prepared.closing.write(recorder.database, result)
    return result


def _runner(
    prepared: Prepared,
    recorder: "RunRecorder",
    clock: Clock,
    stop: threading.Event | None,
    audience: Audience,
    resumption: "Resumption | None",
) -> Runner:
    compiled = prepared.compiled
    return Runner(
        compiled.graph,
        prepared.anchoring.recorder(recorder, clock),
        clock,
        stop=stop,
        listeners=[audience],
        redactor=compiled.redactor,
        write_beside=compiled.loaded.config.audit.writer == "thread",
        resumption=resumption,
    )
