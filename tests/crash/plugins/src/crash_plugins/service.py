"""The loopback service of the harness, as a client sees it."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


class Service:
    """Posts JSON to `url`, as in http://127.0.0.1:8000/case; one connection a request."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path

    def post(self, what: str, body: Any, key: str = "") -> Any:
        """The answer. Raises OSError or HTTPException when there is none."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        try:
            headers = {"Idempotency-Key": key} if key else {}
            connection.request("POST", f"{self._path}/{what}", json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"the service answered {answer.status}: {said.decode(errors='replace')}")
        return json.loads(said)
