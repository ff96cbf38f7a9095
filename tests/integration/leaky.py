"""A plugin package that says its secrets wherever it can, in every shape, and a server that says them back."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

CANARY = 'c4nary/"9f8e7d+Ünïq'
"""A value that each encoding changes."""

HOOKS = """
from frame.plugin import hookimpl

@hookimpl
def frame_sources():
    return ["leaky.plugins:LeakySource"]

@hookimpl
def frame_transforms():
    return ["leaky.plugins:Leaky"]

@hookimpl
def frame_gates():
    return ["leaky.plugins:LeakyGate"]

@hookimpl
def frame_sinks():
    return ["leaky.plugins:LeakySink"]

@hookimpl
def frame_secret_providers():
    return ["leaky.vault:Vault"]
"""

VAULT = """
import os
from frame.plugin import SecretProvider

class Vault(SecretProvider):
    name = "vault"

    def read(self, path):
        if path == "broken":
            raise ZeroDivisionError("the vault is sealed")
        if path == "number":
            return 17
        if path == "empty":
            return ""
        with open("asked", "a") as file:
            file.write(path + "\\n")
        return {"team/key": os.environ["CANARY"]}[path]
"""

PLUGINS = '''
import base64, json, logging, pathlib, sys, threading, time, urllib.parse, urllib.request, warnings

from frame.plugin import (
    Artifact, Delivery, Determinism, Drop, Fail, Gate, InvalidRow, PluginConfig, Rejected, Route, Sink, Source,
    Transform,
)
from pydantic import SecretStr


class Keyed(PluginConfig):
    key: SecretStr
    more: dict[str, SecretStr] = {}
    how: str = ""
    url: str = ""


def everything(config):
    """The secret in every shape there is."""
    key = config.key.get_secret_value()
    data = key.encode()
    return " ".join([
        key, key[::-1], data.hex(), urllib.parse.quote(key), json.dumps(key), repr(data),
        base64.b64encode(data).decode(), base64.urlsafe_b64encode(b"x" + data).decode(),
        f"https://me:{urllib.parse.quote(key)}@host/",
    ])


class Leaks:
    def fail(self, step):
        if self.config.how != step:
            return
        try:
            raise KeyError(everything(self.config))
        except KeyError as error:
            error.add_note(everything(self.config))
            raise RuntimeError(everything(self.config)) from error

    started = False

    def __init__(self, config):
        super().__init__(config)
        self.fail("init")

    def check(self):
        self.fail("check")

    def start(self, context):
        self.started = True
        self.say(context)
        self.fail("start")

    def say(self, context):
        text = everything(self.config)
        print(text)
        print(text, file=sys.stderr)
        logging.getLogger("somebody.else").critical(text)
        logging.getLogger("somebody.else").warning("all: %s", {"headers": [text]})
        context.logger.warning(text)
        warnings.warn(text)
        thread = threading.Thread(target=self.die)
        thread.start()
        thread.join()

    def die(self):
        raise ValueError(everything(self.config))

    def finish(self, context):
        self.fail("finish")

    def close(self):
        if self.started:
            self.fail("close")


class LeakySource(Leaks, Source):
    name = "leaky"
    determinism = Determinism.IO_READ
    Config = Keyed

    def may_wait(self):
        return False

    def read(self):
        for n in range(8):
            yield {"n": n}
        yield InvalidRow(b"raw", everything(self.config), "there")
        self.fail("read")

    def evidence(self):
        return {"asked with": everything(self.config)}


class Leaky(Leaks, Transform):
    name = "leaky"
    determinism = Determinism.EXTERNAL_CALL
    Config = Keyed

    def process(self, row, context):
        text = everything(self.config)
        context.call("http", {"headers": {"Authorization": text}}, self.send)
        match row["n"]:
            case 1:
                raise ValueError(text)
            case 2:
                return Fail(text)
            case 3:
                return Drop(text)
            case 4:
                try:
                    raise KeyError(text)
                except KeyError as error:
                    raise RuntimeError("outer") from error
            case 5:
                try:
                    context.call("http", {}, self.break_off)
                except ConnectionError as error:
                    raise ValueError(text) from error
        return row

    def send(self, request):
        value = base64.b64encode(request["headers"]["Authorization"].encode()).decode()
        asked = urllib.request.Request(self.config.url, headers={"Authorization": value})
        with urllib.request.urlopen(asked) as answer:
            return {"headers": dict(answer.headers), "body": answer.read().decode()}

    def break_off(self, request):
        raise ConnectionError(everything(self.config))


class LeakyGate(Leaks, Gate):
    name = "leaky"
    determinism = Determinism.DETERMINISTIC
    Config = Keyed

    def evaluate(self, row, context):
        if row["n"] == 6:
            return everything(self.config)
        return Route("on", {everything(self.config): everything(self.config)})


class LeakySink(Leaks, Sink):
    name = "leaky"
    determinism = Determinism.IO_WRITE
    Config = Keyed

    def open(self, position):
        self.fail("open")

    def write(self, rows, key):
        self.fail("write")
        pathlib.Path("written").touch()
        while self.config.how == "wait" and not pathlib.Path("go").exists():
            time.sleep(0.01)
        return [Rejected(0, everything(self.config))]

    def finish(self, context):
        super().finish(context)
        uri = f"https://me:{urllib.parse.quote(self.config.key.get_secret_value())}@host/x"
        return Artifact(uri, 1, b"0" * 32)
'''

PIPELINE = """
frame: 1
name: leaky
source: {plugin: leaky, options: {key: "${secret:CANARY}", how: %(source)s}, schema: {mode: observed}}
nodes:
  - name: asks
    plugin: leaky
    options: {key: "${secret:file:keys/canary}", how: %(transform)s, url: "%(url)s", more: {x: "${secret:mounted}"}}
    retry: {attempts: 2, wait: 1ms}
    on_error: failed
  - name: sorts
    plugin: leaky
    options: {key: "${secret:vault:team/key}", how: %(gate)s}
    routes: {"on": continue}
    on_error: failed
  - {name: last, plugin: rename, options: {fields: {n: n2}}, to: out}
sinks:
  out: {plugin: leaky, options: {key: "${secret:leaky.vault:team/key}", how: %(sink)s}, on_error: failed}
  failed: {plugin: jsonl, options: {path: "memory://me:${CANARY_URL}@host/failed.jsonl"}}
"""


def shapes(secret: str = CANARY) -> dict[str, bytes]:
    """What must not be found: the secret in six encodings, base64 wherever it begins."""
    data = secret.encode()
    inside = {
        f"base64 after {n}": base64.b64encode(bytes(n) + data)[-(-8 * n // 6) : 8 * (n + len(data)) // 6]
        for n in range(3)
    }
    urlsafe = {
        f"{name}, URL-safe": form.replace(b"+", b"-").replace(b"/", b"_") for name, form in inside.items()
    }
    return {
        "plain": data,
        "hex": data.hex().encode(),
        "HEX": data.hex().upper().encode(),
        "URL": quote(secret, safe="").encode(),
        "path in a URL": quote(secret).encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON, not ASCII": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "reversed": secret[::-1].encode(),
        **inside,
        **urlsafe,
    }


def install(folder: Path) -> None:
    """Put the package into `folder`, from where Python imports."""
    info = folder / "leaky-1.0.dist-info"
    (folder / "leaky").mkdir()
    info.mkdir()
    (folder / "leaky" / "__init__.py").touch()
    for name, text in {"hooks": HOOKS, "plugins": PLUGINS, "vault": VAULT}.items():
        (folder / "leaky" / f"{name}.py").write_text(text)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[frame.plugins]\nleaky = leaky.hooks\n")


class _Echo(BaseHTTPRequestHandler):
    """Says every header back, in a header and in the body; takes spans as a collector does."""

    heard: list[bytes]

    def do_GET(self) -> None:
        said = base64.b64decode(self.headers["Authorization"])
        self.send_response(200)
        self.send_header("X-Echo", quote(said))
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def do_POST(self) -> None:
        self.heard.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@contextmanager
def echoing() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server, and what was posted to it."""
    heard: list[bytes] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Echo", (_Echo,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
