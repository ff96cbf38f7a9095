"""A proxy before a PostgreSQL server that loses connections at the worst moments.

It follows the messages of the client ("PostgreSQL: Frontend/Backend Protocol") as far as it must to know a COMMIT.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path


class Loss(StrEnum):
    """What happens to a COMMIT and its connection."""

    REQUEST = "the request is lost"
    REPLY = "the server commits, and its reply is lost"
    LATE = "the client sees the connection end, and the server commits only later"


class Proxy:
    """Listens on a port of the loopback. `lose` is asked about every COMMIT, by its number from 0.

    One that is LATE comes after `late_s`, or as soon as `late` is set.
    """

    def __init__(self, server: Path, lose: Callable[[int], Loss | None] = lambda _: None) -> None:
        self.lose, self.commits, self.lost = lose, 0, 0
        self.late, self.late_s = threading.Event(), 0.05
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, direct: str) -> str:
        """The URL through the proxy of what is at `direct`, a URL of the server's socket."""
        place = direct.partition("?")[0].replace("@/", f"@127.0.0.1:{self.port}/")
        return f"{place}?sslmode=disable&gssencmode=disable"

    def cut(self) -> None:
        """End every connection now."""
        with self._lock:
            ended, self._open = self._open, []
        for each in ended:
            _close(each)

    def close(self) -> None:
        """Stop listening, and end every connection."""
        _close(self._listener)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._server))
        except OSError:
            _close(client)
            return
        with self._lock:
            self._open += [client, server]
        threading.Thread(target=_pump, args=(server, client), daemon=True).start()
        try:
            self._follow(client, server)
        except OSError:
            pass
        finally:
            _close(client)
            _close(server)

    def _follow(self, client: socket.socket, server: socket.socket) -> None:
        server.sendall(_message(client, typed=False))
        while True:
            message = _message(client, typed=True)
            if not message.startswith((b"Q", b"P")) or b"COMMIT" not in message[:64].upper():
                server.sendall(message)
                continue
            with self._lock:
                loss, self.commits = self.lose(self.commits), self.commits + 1
                self.lost += loss is not None
            if loss is None:
                server.sendall(message)
                continue
            _close(client)
            if loss is Loss.LATE:
                self.late.wait(self.late_s)
            if loss is not Loss.REQUEST:
                server.sendall(message)
                threading.Event().wait(0.2)  # as long as the server may want to read and to answer
            return


def _message(client: socket.socket, *, typed: bool) -> bytes:
    head = _exactly(client, 5 if typed else 4)
    (length,) = struct.unpack("!i", head[-4:])
    return head + _exactly(client, length - 4)


def _exactly(client: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise ConnectionError("the client has gone")
        data += piece
    return bytes(data)


def _pump(server: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := server.recv(65_536):
            client.sendall(piece)
    _close(client)


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
