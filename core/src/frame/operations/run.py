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
from frame.failpoints import reached
from frame.ids import uuid7
from frame.operations.compile import Compiled, Pipeline, compile_pipeline
from frame.operations.conducting import conduct, prepare
from frame.operations.readiness import check_ready
from frame.operations.recorded import recorded
from frame.plugin.registry import Registry
from frame.telemetry.listeners import Listener

if TYPE_CHECKING:
    from frame.audit.opening import RunOpening


def run(
    pipeline: Pipeline,
    *,
    audit: str | None = None,
    locked: bool = False,
    registry: Registry | None = None,
    stop: threading.Event | None = None,
    listeners: Sequence[Listener] = (),
    clock: Clock | None = None,
) -> RunResult:
    """What came of running `pipeline`, a path or a pipeline built in code.

    `audit`: URL of the audit store, if not the one that the pipeline names. `locked`: only with a plugin lock beside
    the pipeline. `stop`: set it, from anywhere, to
    end the run after the chunk in hand. `listeners` hear of the run what is on record, as do those that OTEL_*
    variables ask for.

    Raises ConfigError or PluginError before anything is opened; AuditError when the record cannot be kept;
    ExportError when the run has ended and its export cannot be written.
    """
    compiled = compile_pipeline(pipeline, registry, locked=locked)
    url = audit or compiled.audit_url
    check_ready(compiled, url)
    prepared = prepare(compiled, url)
    compiled.fingerprints.keep()
    from frame.audit import database  # SQLAlchemy: 0.2 s that a pipeline which is not valid need not take
    from frame.audit.patience import Patience
    from frame.audit.recorder import Recorder

    clock = clock or SystemClock()
    patience = Patience(compiled.loaded.config.audit.patience.total_seconds(), stop=stop)
    with database.open(url, patience=patience) as store:
        prepared.anchoring.announce(store, clock)
        opening = opening_of(compiled, clock)
        recorder = Recorder(store).begin(opening)
        reached("after_run_opened")
        return conduct(prepared, recorder, opening.started_us, clock, stop=stop, listeners=listeners)


def opening_of(compiled: Compiled, clock: Clock) -> "RunOpening":
    """What is on record about a run before its first plugin is called."""
    from frame.audit.opening import RunOpening, describe

    nodes, edges = describe(compiled.graph)
    settings = compiled.graph.settings
    now_us = clock.time_us()
    return RunOpening(
        run_id=uuid7(now_us),
        pipeline=compiled.graph.name,
        config=canonical(recorded(compiled)),
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
        lease_s=compiled.loaded.config.audit.lease.total_seconds(),
    )
