"""Running a pipeline."""

import os
import platform
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from importlib_metadata import version

from frame.canonical import canonical
from frame.clock import Clock, SystemClock
from frame.engine.result import RunResult
from frame.engine.runner import Runner
from frame.events import RunStatus
from frame.ids import uuid7
from frame.operations.compile import Compiled, Pipeline, compile_pipeline
from frame.operations.readiness import check_ready
from frame.plugin.registry import Registry
from frame.telemetry.environment import listener_from_environment
from frame.telemetry.listeners import Audience, Listener, RunInfo

if TYPE_CHECKING:
    from frame.audit.opening import RunOpening


def run(
    pipeline: Pipeline,
    *,
    audit: str | None = None,
    registry: Registry | None = None,
    stop: threading.Event | None = None,
    listeners: Sequence[Listener] = (),
    clock: Clock | None = None,
) -> RunResult:
    """What came of running `pipeline`, a path or a pipeline built in code.

    `audit`: URL of the audit store, if not the one that the pipeline names. `stop`: set it, from anywhere, to
    end the run after the chunk in hand. `listeners` hear of the run what is on record, as do those that OTEL_*
    variables ask for.

    Raises ConfigError or PluginError before anything is opened; AuditError when the record cannot be kept.
    """
    compiled = compile_pipeline(pipeline, registry)
    check_ready(compiled, audit or compiled.audit_url)
    compiled.fingerprints.keep()
    from frame.audit import database  # SQLAlchemy: 0.2 s that a pipeline which is not valid need not take
    from frame.audit.recorder import Recorder

    clock = clock or SystemClock()
    exported = listener_from_environment(version("frame-core"))
    audience = Audience((*listeners, exported) if exported else listeners, clock)
    with database.open(audit or compiled.audit_url) as store:
        opening = opening_of(compiled, clock)
        recorder = Recorder(store).begin(opening)
        runner = Runner(
            compiled.graph,
            recorder,
            opening.run_id,
            clock,
            stop=stop,
            listeners=[audience],
            redactor=compiled.redactor,
            write_beside=compiled.loaded.config.audit.writer == "thread",
        )
        status = RunStatus.CRASHED
        audience.run_started(RunInfo.of(compiled.graph, opening.run_id, opening.started_us))
        try:
            result = runner.run()
            status = result.status
        finally:
            audience.run_finished(status)
        return result


def opening_of(compiled: Compiled, clock: Clock) -> "RunOpening":
    """What is on record about a run before its first plugin is called."""
    from frame.audit.opening import RunOpening, describe

    nodes, edges = describe(compiled.graph)
    settings = compiled.graph.settings
    now_us = clock.time_us()
    return RunOpening(
        run_id=uuid7(now_us),
        pipeline=compiled.graph.name,
        config=canonical(_recorded(compiled)),
        nodes=nodes,
        edges=edges,
        started_us=now_us,
        settings={
            "chunk_rows": settings.chunk_rows,
            "max_latency_s": settings.max_latency_s,
            "abort_on_error": settings.abort_on_error,
            "payloads": settings.payloads,
        },
        seed=settings.seed,
        frame_version=version("frame-core"),
        python_version=platform.python_version(),
        host=socket.gethostname(),
        pid=os.getpid(),
    )


def _recorded(compiled: Compiled) -> dict[str, object]:
    loaded = compiled.loaded
    return {
        "file": loaded.file,
        "text_sha256": loaded.text_sha256.hex(),
        "pipeline": loaded.config.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    }
