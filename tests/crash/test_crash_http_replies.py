"""A service whose replies get lost applies every write once: it is told again, under the key that it knows."""

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.engine.result import RunResult
from frame.operations import resume, run, verify
from frame.plugin import Delivery, Determinism, PluginConfig, Rejected, Sink
from frame.rows import Row
from frame.testing import ListSource

from tests.crash import figures

DROPPED = 0.3


@dataclass
class Service:
    """What was applied, by key, and how often each key came. A reply is dropped by chance, the write never."""

    applied: dict[str, Any] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(20131))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key: str, body: Any) -> bool:
        """Whether the sender is to hear of it."""
        with self.lock:
            self.came[key] += 1
            self.applied.setdefault(key, body)
            return self.chance.random() >= DROPPED


class Handler(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.service.take(self.headers["Idempotency-Key"], body):
            self.close_connection = True
            return
        self.send_response(204)
        self.end_headers()


class Post(Sink):
    """Posts each write to the service."""

    name = "post"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.IDEMPOTENT

    def __init__(self, port: int) -> None:
        super().__init__(PluginConfig())
        self._port = port

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", "/", json.dumps(rows), {"Idempotency-Key": key})
            connection.getresponse().read()
        except http.client.HTTPException as error:
            raise OSError(f"no reply: {error!r}") from error
        finally:
            connection.close()
        return []


@pytest.fixture
def service() -> Iterator[tuple[Service, int]]:
    taken = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handling", (Handler,), {"service": taken}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield taken, server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def deliveries(folder: Path, port: int, count: int) -> PipelineConfig:
    """`count` rows, each delivered by itself; a sink that hears nothing three times stops the run."""
    return pipeline(
        "deliveries",
        source=ListSource([{"n": n} for n in range(count)]),
        sinks={"out": {"plugin": Post(port), "retry": {"attempts": 4, "wait": "1ms", "max_wait": "2ms"}}},
        settings={"chunk_rows": 1},
        audit={"url": f"sqlite:///{folder / 'audit.db'}"},
    )


def until_done(folder: Path, port: int, count: int) -> tuple[RunResult, int]:
    """The result in the end, and how often the run had to be resumed."""
    result, resumed = run(deliveries(folder, port, count)), 0
    while result.resumable:
        resumed += 1
        result = resume(
            "latest", pipeline=deliveries(folder, port, count), audit=f"sqlite:///{folder / 'audit.db'}"
        )
    return result, resumed


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.soak)])
def test_every_key_is_applied_once_however_many_replies_are_lost(
    count: int, service: tuple[Service, int], tmp_path: Path, record_property: Any
):
    taken, port = service

    result, resumed = until_done(tmp_path, port, count)

    applied = [row["n"] for rows in taken.applied.values() for row in rows]
    figures.count(
        record_property,
        "HTTP deliveries with replies dropped",
        deliveries=count,
        tries=taken.came.total(),
        resumes=resumed,
        applied=len(applied),
    )
    assert result.status.value == "completed"
    assert applied == list(range(count))
    assert taken.came.total() > count * 1.3
    assert result.possible_duplicates == {}
    assert not verify("latest", audit=f"sqlite:///{tmp_path / 'audit.db'}").findings
