"""Running a pipeline."""

import os
import platform
import socket
import threading
from collections.abc import Sequence

from importlib_metadata import version

from frame.audit import database
from frame.audit.opening import RunOpening, describe
from frame.audit.recorder import Recorder
from frame.canonical import canonical
from frame.clock import Clock, SystemClock
from frame.engine.recorder import Listener
from frame.engine.result import RunResult
from frame.engine.runner import Runner
from frame.ids import uuid7
from frame.operations.compile import Compiled, Pipeline, compile_pipeline
from frame.plugin.registry import Registry


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
    end the run after the chunk in hand.

    Raises ConfigError or PluginError before anything is opened; AuditError when the record cannot be kept.
    """
    compiled = compile_pipeline(pipeline, registry)
    clock = clock or SystemClock()
    with database.open(audit or compiled.audit_url) as store:
        opening = opening_of(compiled, clock)
        recorder = Recorder(store).begin(opening)
        runner = Runner(compiled.graph, recorder, opening.run_id, clock, stop, listeners, compiled.redactor)
        return runner.run()


def opening_of(compiled: Compiled, clock: Clock) -> RunOpening:
    """What is on record about a run before its first plugin is called."""
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
