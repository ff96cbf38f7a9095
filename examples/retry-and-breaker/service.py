"""A small shop on this machine that answers as badly as real services do, by a fixed script.

    python service.py frame run pipeline.yaml

starts it on a free port, runs the command with its address in SHOP, and stops it again.
"""
# ruff: noqa: INP001 - a script

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

HANGS = 0

ANSWERS: dict[str, list[int]] = {
    "/price/pen": [200],
    "/price/ink": [503, 503, 200],  # overloaded twice
    "/price/pad": [HANGS, 200],  # no answer at all the first time
    "/price/cap": [404],  # there is no such thing
    "/price/bag": [503],  # overloaded whenever it is asked
    "/price/nib": [200],
}
"""What each address answers the first, the second, ... time; the last answer is repeated."""

STOCK_RECOVERS_AT = 8
"""/stock is down until this many requests have come, whichever items they are about."""

BODIES: dict[str, dict[str, float]] = {
    "price": {"pen": 1.5, "ink": 7.25, "pad": 4.0, "nib": 0.75},
    "stock": {"pen": 12, "ink": 3, "pad": 0, "nib": 40},
}


class Shop(BaseHTTPRequestHandler):
    """One request."""

    asked: ClassVar[Counter[str]] = Counter()
    lock = threading.Lock()
    closing = threading.Event()

    def do_GET(self) -> None:
        kind, item = self.path.strip("/").split("/")
        answer = self.answer(kind)
        if answer == HANGS:
            self.closing.wait(5)
            return
        body = json.dumps(BODIES[kind].get(item) if answer == 200 else None).encode()
        self.send_response(answer)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, kind: str) -> int:
        with self.lock:
            self.asked[self.path] += 1
            self.asked[kind] += 1
            if kind == "stock":
                return 503 if self.asked["stock"] <= STOCK_RECOVERS_AT else 200
            script = ANSWERS[self.path]
            return script[min(self.asked[self.path], len(script)) - 1]

    def log_message(self, *_: object) -> None:
        """Say nothing: what was asked is on frame's record."""


def main(command: list[str]) -> int:
    """The exit code of `command`, which is run while the shop is open."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        done = subprocess.run(command, env={**os.environ, "SHOP": address}, check=False)  # noqa: S603
        return done.returncode
    finally:
        Shop.closing.set()
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
