"""The loopback service that `ask` and `post` talk to: a process of its own, which outlives every `frame`.

POST /CASE/ask       {"n": N} -> {"answer": ...}, always the same for the same N
POST /CASE/deliver   applied once a key; every delivery is counted
GET /CASE            what was applied, in order, and how often each key came
POST /CASE/forget    begin anew
"""

import json
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.crash.records import rows_in


@dataclass
class Case:
    applied: dict[str, Any] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    audit: str = ""
    unannounced: list[str] = field(default_factory=list)


CASES: dict[str, Case] = {}
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Answers one request a connection."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Nothing: the harness asks."""

    def do_GET(self) -> None:
        with LOCK:
            case = CASES.setdefault(self.path.strip("/"), Case())
            applied = list(case.applied.items())
            self._answer({"applied": applied, "came": case.came, "unannounced": case.unannounced})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) != int(self.headers["Content-Length"]):
            return  # the sender died in the middle
        name, _, what = self.path.strip("/").rpartition("/")
        with LOCK:
            answer = self._done(CASES.setdefault(name, Case()), name, what, json.loads(body))
        self._answer(answer)

    def _done(self, case: Case, name: str, what: str, body: Any) -> Any:
        match what:
            case "ask":
                case.asked[str(body["n"])] += 1
                return {"answer": f"{body['n'] * 7} from the service"}
            case "deliver":
                key = self.headers["Idempotency-Key"]
                if not is_announced(case.audit, key):
                    case.unannounced.append(key)
                case.came[key] += 1
                case.applied.setdefault(key, body)
                return {"applied": case.came[key] == 1}
            case "forget":
                CASES[name] = Case(audit=body["audit"])
                return {}
        return {"unknown": what}

    def _answer(self, answer: Any) -> None:
        said = json.dumps(answer).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
        except OSError:
            return  # nobody listens any more: it was killed


def is_announced(audit: str, key: str) -> bool:
    """Whether the record says, to everybody who reads it, that a delivery with this key will come (CONTRACTS G2)."""
    return bool(rows_in(audit, "SELECT 1 FROM intents WHERE write_key = :key", key=key))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is what this is about."""


def end_with_stdin(server: Server) -> None:
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=end_with_stdin, args=(server,), daemon=True).start()
    server.serve_forever(poll_interval=0.2)
