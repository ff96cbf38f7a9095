"""From a compiled pipeline and an open record to the result of the run: what a new run and a resumed one share."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from importlib_metadata import version

from frame.clock import Clock
from frame.engine.result import RunResult
from frame.engine.runner import Runner
from frame.events import RunStatus
from frame.failpoints import reached
from frame.operations.anchoring import Anchoring
from frame.operations.compile import Compiled
from frame.telemetry.environment import listener_from_environment
from frame.telemetry.listeners import Audience, Listener, RunInfo

if TYPE_CHECKING:
    from frame.audit.recorder import RunRecorder
    from frame.engine.resumption import Resumption

_log = logging.getLogger("frame.pipeline")


def conduct(
    compiled: Compiled,
    recorder: "RunRecorder",
    started_us: int,
    clock: Clock,
    *,
    anchoring: Anchoring,
    stop: threading.Event | None,
    listeners: Sequence[Listener],
    resumption: "Resumption | None" = None,
) -> RunResult:
    """What came of the run that `recorder` holds: a new one, or what `resumption` goes on with.

    `listeners` hear of it, as do those that OTEL_* variables ask for. Raises AuditError when the record cannot be
    kept.
    """
    for warning in compiled.warnings:
        _log.warning(warning)
    exported = listener_from_environment(version("frame-core"))
    audience = Audience((*listeners, exported) if exported else listeners, clock)
    runner = Runner(
        compiled.graph,
        anchoring.recorder(recorder, clock),
        clock,
        stop=stop,
        listeners=[audience],
        redactor=compiled.redactor,
        write_beside=compiled.loaded.config.audit.writer == "thread",
        resumption=resumption,
    )
    status = RunStatus.CRASHED
    info = RunInfo.of(compiled.graph, recorder.run_id, started_us)
    audience.run_started(info if resumption is None else resumption.stands.tally.told(info))
    try:
        result = runner.run()
        status = result.status
    finally:
        audience.run_finished(status)
        reached("before_receipt")
        receipt = anchoring.keep_receipt(recorder, clock)
    return replace(result, receipt=receipt)
