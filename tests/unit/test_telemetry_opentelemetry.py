"""Spans and metrics, seen through the real OpenTelemetry SDK."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from frame.events import (
    AttemptFailed,
    BatchFlushed,
    Buffered,
    Chunk,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    Merged,
    Noted,
    Routed,
    RouteMode,
    RowInvalid,
    RowsRead,
    RunStatus,
    TriggerKind,
    Visited,
    VisitStatus,
)
from frame.graph.model import NodeKind
from frame.telemetry.digests import digest_before
from frame.telemetry.environment import Exported, Signal, listener_from_environment
from frame.telemetry.listeners import Listener, NodeInfo, RunInfo
from frame.telemetry.metrics import MetricsListener
from frame.telemetry.spans import MOST_DETAILS, SpanListener
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

START = 1_700_000_000_000_000
SECRET = "4111 1111 1111 1111"
ERROR = ErrorInfo("ValueError", f"cannot read {SECRET}")
INFO = RunInfo(
    "0190",
    "demo",
    START,
    (
        NodeInfo(0, "source", NodeKind.SOURCE, "files.csv", "0.1.0"),
        NodeInfo(1, "work", NodeKind.TRANSFORM, "acme.clean", "2.0"),
        NodeInfo(2, "sums", NodeKind.AGGREGATION, "std.collect", "0.1.0"),
        NodeInfo(3, "out", NodeKind.SINK, "files.csv", "0.1.0"),
    ),
)


def digest(n: int) -> bytes:
    return bytes([n]) * 32


def failed_attempt(token: int, attempt: int = 0) -> AttemptFailed:
    return AttemptFailed(1, 0, token, attempt, VisitStatus.FAILED, ERROR, START + 300, 50)


EVENTS: tuple[Event, ...] = (
    RowsRead(0, range(3), digest(1) + digest(2) + digest(3)),
    Visited(1, 0, [0, 1], digest(4) + digest(5), START + 100, 200),
    failed_attempt(2),
    failed_attempt(2, attempt=1),
    Failed(1, 0, 2, ERROR, None),
    Buffered(2, 1, [0, 1], 9, START + 400, START + 400, 10),
    BatchFlushed(2, 9, TriggerKind.COUNT, 2, range(3, 4), digest(6), START + 420, 30),
    Noted("breaker", START + 430, 1, {"target": "acme.clean", "before": "closed", "after": "open"}),
)


def tell(listener: Listener, *events: Event, status: RunStatus = RunStatus.COMPLETED) -> None:
    """One run of one chunk."""
    listener.run_started(INFO)
    listener.committed(Chunk(0, START + 50, events), 950)
    listener.run_finished(status, START + 2000)


def spans_of(
    *events: Event, sampler: Sampler = ALWAYS_ON, status: RunStatus = RunStatus.COMPLETED
) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tell(SpanListener(provider.get_tracer("test")), *events, status=status)
    return list(exporter.get_finished_spans())


def test_a_run_has_chunks_which_have_nodes_which_have_their_failed_visits_and_batches() -> None:
    spans = spans_of(*EVENTS)

    names = {span.context.span_id: span.name for span in spans}
    family = sorted((span.name, names[span.parent.span_id] if span.parent else "") for span in spans)
    assert family == [
        ("batch", "node"),
        ("chunk", "run"),
        ("node", "chunk"),
        ("node", "chunk"),
        ("run", ""),
        ("visit", "node"),
        ("visit", "node"),
    ]


def test_spans_have_the_times_of_their_events() -> None:
    spans = spans_of(*EVENTS)

    def times(name: str) -> list[tuple[int, int]]:
        return sorted(
            ((span.start_time or 0) // 1000 - START, (span.end_time or 0) // 1000 - START)
            for span in spans
            if span.name == name
        )

    assert times("run") == [(0, 2000)]
    assert times("chunk") == [(50, 1000)]
    assert times("node") == [(100, 350), (400, 450)]
    assert times("visit") == [(300, 350), (300, 350)]
    assert times("batch") == [(420, 450)]


def test_a_nodes_span_covers_its_events_in_whatever_order_they_were_recorded() -> None:
    late, early = (Visited(1, 0, [n], None, START + at, 50) for n, at in ((0, 400), (1, 100)))

    node = next(span for span in spans_of(late, early) if span.name == "node")

    assert (node.start_time, node.end_time) == ((START + 100) * 1000, (START + 450) * 1000)


def test_spans_say_who_and_what_and_never_what_was_in_a_row() -> None:
    spans = spans_of(*EVENTS)

    visit = next(span for span in spans if span.name == "visit")
    batch = next(span for span in spans if span.name == "batch")
    node = next(span for span in spans if span.name == "node")
    assert visit.attributes == {
        "run.id": "0190",
        "node.name": "work",
        "node.kind": "transform",
        "plugin.name": "acme.clean",
        "plugin.version": "2.0",
        "token.id": 2,
        "visit": 0,
        "attempt": 0,
        "status": "failed",
        "error.type": "ValueError",
        "input.hash": digest(3).hex(),
    }
    assert not visit.status.is_ok
    assert (batch.attributes or {})["batch.id"] == 9
    assert (node.attributes or {})["node.visits"] == 3
    assert (node.attributes or {})["node.failures"] == 1
    assert SECRET not in "".join(span.to_json() for span in spans)


def test_a_chunk_of_failures_has_a_bounded_number_of_spans() -> None:
    spans = spans_of(*(failed_attempt(token) for token in range(MOST_DETAILS + 17)))

    chunk = next(span for span in spans if span.name == "chunk")
    assert sum(span.name == "visit" for span in spans) == MOST_DETAILS
    assert (chunk.attributes or {})["details.left_out"] == 17


def test_a_run_that_is_not_sampled_makes_no_spans() -> None:
    assert spans_of(*EVENTS, sampler=ALWAYS_OFF) == []


@pytest.mark.parametrize(
    ("status", "ok"), [(RunStatus.COMPLETED, True), (RunStatus.INTERRUPTED, True), (RunStatus.FAILED, False)]
)
def test_the_span_of_a_failed_run_is_an_error(status: RunStatus, ok: bool) -> None:
    run = next(span for span in spans_of(status=status) if span.name == "run")

    assert run.status.is_ok is ok
    assert (run.attributes or {})["run.status"] == str(status)


DIGESTS: list[tuple[str, list[Event], int, bytes | None]] = [
    ("as it was read", [RowsRead(0, range(5, 7), digest(1) + digest(2))], 6, digest(2)),
    ("as a visit left it", [*EVENTS[:2]], 1, digest(5)),
    ("unchanged by a visit", [EVENTS[0], Visited(1, 0, range(3), None, START, 1)], 1, digest(2)),
    (
        "a child of a fork",
        [EVENTS[0], Routed(1, 0, [1, 2], "a", RouteMode.FORK, START, 1, children=range(7, 11))],
        9,
        digest(3),
    ),
    (
        "a child of an expansion",
        [Expanded(1, 0, 0, range(7, 9), digest(1) + digest(2), START, 1)],
        8,
        digest(2),
    ),
    ("a merged token", [Merged(1, [0], [1, 2], [2], range(7, 8), digest(8), "all", START, 1)], 7, digest(8)),
    ("an output of a batch", [EVENTS[6]], 3, digest(6)),
    ("an invalid row", [RowInvalid(0, 4, digest(7), ERROR, 3)], 4, digest(7)),
    (
        "a member that a batch passed on",
        [EVENTS[0], BatchFlushed(2, 0, TriggerKind.COUNT, 2, range(0), digest(1) * 2, START, 1)],
        1,
        None,
    ),
    ("of an earlier chunk", [], 1, None),
]


@pytest.mark.parametrize(
    ("events", "token", "expected"), [d[1:] for d in DIGESTS], ids=[d[0] for d in DIGESTS]
)
def test_the_hash_of_a_visits_input_is_that_of_the_tokens_row_then(
    events: list[Event], token: int, expected: bytes | None
) -> None:
    later = Visited(1, 3, [token], digest(99), START, 1)

    assert digest_before([*events, failed_attempt(token), later], len(events), token) == expected


def test_metrics_count_what_the_record_says() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])

    tell(MetricsListener(provider.get_meter("test")), *EVENTS)

    told = {}
    data = reader.get_metrics_data()
    assert data is not None
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.data.data_points:
            where = (point.attributes or {}).get("node.name", "")
            value = getattr(point, "value", None)
            told[metric.name, where] = value if value is not None else (point.count, round(point.sum, 6))  # type: ignore[union-attr]
    assert told == {
        ("frame.rows", "source"): 3,
        ("frame.visits", "work"): 3,
        ("frame.visits", "sums"): 2,
        ("frame.failures", "work"): 1,
        ("frame.retries", "work"): 1,
        ("frame.breaker.state", "work"): 2,
        ("frame.chunk.duration", ""): (1, 0.00095),
        ("frame.visit.duration", "work"): (3, 0.0002),
        ("frame.visit.duration", "sums"): (1, 0.00003),
        ("frame.batch.size", "sums"): (1, 2),
        ("frame.runs", ""): 1,
    }


def test_the_queue_at_a_node_is_as_deep_as_what_it_holds() -> None:
    reader = InMemoryMetricReader()

    tell(MetricsListener(MeterProvider([reader]).get_meter("test")), *EVENTS[:6])

    data = reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    queue = next(metric for metric in metrics if metric.name == "frame.queue.depth")
    assert [(p.attributes["node.name"], p.value) for p in queue.data.data_points] == [("sums", 2)]  # type: ignore[index, union-attr]


class Collector(BaseHTTPRequestHandler):
    """Takes what is sent by OTLP over HTTP."""

    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The address of a collector on loopback, and what it has received."""
    received: list[tuple[str, bytes]] = []
    handler = type("ThisCollector", (Collector,), {"received": received})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_a_collector_receives_spans_and_metrics_when_only_its_address_is_known(
    collector: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, received = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")

    listener = listener_from_environment("0.1.0")
    assert listener is not None
    tell(listener, *EVENTS)

    bodies = dict(received)
    assert set(bodies) == {"/v1/traces", "/v1/metrics"}
    (traces,) = ExportTraceServiceRequest.FromString(bodies["/v1/traces"]).resource_spans
    (metrics,) = ExportMetricsServiceRequest.FromString(bodies["/v1/metrics"]).resource_metrics
    service = {each.key: each.value.string_value for each in traces.resource.attributes}
    assert (service["service.name"], service["service.version"]) == ("frame", "0.1.0")
    assert len(traces.scope_spans[0].spans) == 7
    assert "frame.rows" in {metric.name for metric in metrics.scope_metrics[0].metrics}


ENVIRONMENTS: list[tuple[dict[str, str], list[type]]] = [
    ({}, []),
    ({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}, []),
    ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, []),
    ({"OTEL_TRACES_EXPORTER": "console"}, [SpanListener]),
    ({"OTEL_METRICS_EXPORTER": "console"}, [MetricsListener]),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, [SpanListener]),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "none"}, [SpanListener]),
]


@pytest.mark.parametrize(("environ", "listeners"), ENVIRONMENTS)
def test_the_environment_says_who_listens(environ: dict[str, str], listeners: list[type]) -> None:
    exported = listener_from_environment("0.1.0", environ)

    assert [type(signal.listener) for signal in (exported.signals if exported else ())] == listeners


def test_an_exporter_that_does_not_exist_is_said_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        exported = listener_from_environment("0.1.0", {"OTEL_TRACES_EXPORTER": "zipkin"})

    assert exported is None
    assert "there is no exporter 'zipkin'; there are console, otlp" in caplog.text


def test_a_collector_that_does_not_answer_holds_no_run_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("frame.telemetry.environment.PATIENCE_S", 0.05)
    answer = threading.Event()
    slow = Exported([Signal(SpanListener(TracerProvider().get_tracer("test")), answer.wait)] * 2)

    tell(slow, *EVENTS)
    answer.set()

    assert "telemetry could not all be sent" in caplog.text


def test_console_spans_go_to_stderr() -> None:
    script = """
from frame.telemetry.environment import listener_from_environment
from frame.telemetry.listeners import RunInfo
from frame.events import RunStatus
listener = listener_from_environment("0.1.0")
listener.run_started(RunInfo("0190", "demo", 0, ()))
listener.run_finished(RunStatus.EMPTY, 1)
"""
    environ = {**os.environ, "OTEL_TRACES_EXPORTER": "console"}

    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
    )

    assert done.stdout == ""
    assert '"name": "run"' in done.stderr


def test_nothing_of_opentelemetry_or_rich_is_imported_when_nothing_asks_for_it() -> None:
    script = """
import io, sys
from frame.clock import SystemClock
from frame.telemetry.environment import listener_from_environment
from frame.telemetry.listeners import Audience, RunInfo
from frame.telemetry.progress_display import display
from frame.events import Chunk, RunStatus
progress = display(SystemClock(), err=io.StringIO())
assert listener_from_environment("0.1.0") is None
audience = Audience([progress], SystemClock())
audience.run_started(RunInfo("0190", "demo", 0, ()))
audience.committed(Chunk(0, 0, ()))
audience.run_finished(RunStatus.EMPTY)
print(sorted(name for name in sys.modules if name in ("opentelemetry", "rich")))
"""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}

    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"
