"""Which telemetry the standard OTEL_* environment variables ask for; nothing is imported when they ask for none.

    OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER    console, otlp, none, or several with commas
    OTEL_EXPORTER_OTLP_ENDPOINT                    alone it asks for both by otlp
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT             alone it asks for spans by otlp; likewise ..._METRICS_ENDPOINT
    OTEL_SDK_DISABLED=true                         nothing at all

All others (sampler, headers, intervals, resource attributes) are read by the OpenTelemetry SDK itself. Console
output goes to stderr: stdout is for data. What cannot be had is said and left out; it is no reason not to run.
"""

import importlib.util
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frame.events import Chunk, RunStatus
from frame.telemetry.listeners import Listener, RunInfo
from frame.telemetry.metrics import MetricsListener
from frame.telemetry.spans import SpanListener

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

_log = logging.getLogger("frame.telemetry")
PATIENCE_S = 5
"""How long the end of a run waits for a collector that does not answer; the SDK alone would wait for ten or more."""

_KNOWN = ("console", "otlp")


def listener_from_environment(version: str, environ: Mapping[str, str] = os.environ) -> "Exported | None":
    """The listener that the environment asks for. `version`: of frame, for the resource that spans come from."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    traces, metrics = wanted("TRACES", environ), wanted("METRICS", environ)
    if not traces and not metrics:
        return None
    if not _importable("opentelemetry.sdk"):
        _log.warning("OTEL_* asks for telemetry, which needs: pip install 'frame-core[telemetry]'")
        return None
    resource = _resource(version, environ)
    asked = ((traces, _spans), (metrics, _metrics))
    return Exported([build(exporters, resource) for exporters, build in asked if exporters])


def wanted(signal: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The exporters that `environ` asks for, of those that are known, for the signal TRACES or METRICS.

    >>> wanted("TRACES", {"OTEL_TRACES_EXPORTER": "console"}), wanted("TRACES", {})
    (('console',), ())
    """
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    default = "otlp" if any(environ.get(name) for name in endpoints) else ""
    names = (environ.get(f"OTEL_{signal}_EXPORTER") or default).split(",")
    asked = [
        name for name in dict.fromkeys(name.strip().lower() for name in names) if name not in ("", "none")
    ]
    for name in asked:
        if name not in _KNOWN:
            _log.warning(
                "OTEL_%s_EXPORTER: there is no exporter %r; there are %s", signal, name, ", ".join(_KNOWN)
            )
    return tuple(name for name in asked if name in _KNOWN and not _missing(name))


@dataclass(frozen=True, slots=True)
class Signal:
    """A listener, and what sends the rest of what it made and ends its provider."""

    listener: Listener
    shut: Callable[[], object]


class Exported:
    """Everything that is exported of a run, as one listener."""

    def __init__(self, signals: Sequence[Signal]) -> None:
        self.signals = tuple(signals)

    def run_started(self, info: RunInfo) -> None:
        """Pass it on."""
        for signal in self.signals:
            signal.listener.run_started(info)

    def committed(self, chunk: Chunk, took_us: int) -> None:
        """Pass it on."""
        for signal in self.signals:
            signal.listener.committed(chunk, took_us)

    def run_finished(self, status: RunStatus, at_us: int) -> None:
        """Pass it on, and send what has not been sent, for as long as a user would wait for it."""
        for signal in self.signals:
            signal.listener.run_finished(status, at_us)
        sending = [threading.Thread(target=signal.shut, daemon=True) for signal in self.signals]
        for thread in sending:
            thread.start()
        give_up_s = time.monotonic() + PATIENCE_S
        for thread in sending:
            thread.join(max(0, give_up_s - time.monotonic()))
        if any(thread.is_alive() for thread in sending):
            _log.warning("telemetry could not all be sent within %s s; the record has it", PATIENCE_S)


def _missing(exporter: str) -> bool:
    missing = exporter == "otlp" and not _importable("opentelemetry.exporter.otlp.proto.http")
    if missing:
        _log.warning("OTLP needs: pip install 'frame-core[telemetry]'")
    return missing


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _resource(version: str, environ: Mapping[str, str]) -> "Resource":
    from opentelemetry.sdk.resources import Resource

    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({"service.version": version} | ({} if named else {"service.name": "frame"}))


def _spans(exporters: tuple[str, ...], resource: "Resource") -> Signal:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in exporters:
        if name == "console":
            provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Signal(SpanListener(provider.get_tracer("frame")), provider.shutdown)


def _metrics(exporters: tuple[str, ...], resource: "Resource") -> Signal:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

    readers = []
    for name in exporters:
        if name == "console":
            readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter(out=sys.stderr)))
        else:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    return Signal(MetricsListener(provider.get_meter("frame")), provider.shutdown)
