"""What a plugin takes through its context, and what is on record about it; and secrets, which never are."""

import base64
import io
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from frame.canonical import canonical, digest
from frame.config.in_code import pipeline
from frame.config.secret import SecretReference
from frame.engine.redaction import Redactor
from frame.errors import RetryableError
from frame.events import Called, PayloadKind
from frame.plugin import Context, Determinism, PluginConfig, Transform
from frame.rows import Row
from frame.testing import ListSink, ListSource, ManualClock, TestRun, run_pipeline
from pydantic import SecretStr


class Caller(Transform):
    """Does what `work` says with the context."""

    name = "caller"
    determinism = Determinism.EXTERNAL_CALL

    def __init__(self, work: Any, start: Any = None) -> None:
        super().__init__(PluginConfig())
        self._work, self._start = work, start

    def start(self, context: Context) -> None:
        if self._start is not None:
            self._start(context)

    def process(self, row: Row, context: Context) -> Any:
        return self._work(row, context)


def run(work: Any, rows: int = 2, start: Any = None, clock: Any = None, **policy: Any) -> TestRun:
    settings = policy.pop("settings", {})
    node = {"name": "work", "plugin": Caller(work, start), **policy}
    source = ListSource([{"n": n} for n in range(rows)])
    pipe = pipeline("context", source=source, nodes=[node], sinks={"out": ListSink()}, settings=settings)
    return run_pipeline(pipe, clock=clock)


def calls(ran: TestRun) -> list[Called]:
    return [event for event in ran.events if isinstance(event, Called)]


def bodies(ran: TestRun) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for chunk in ran.recorder.chunks:
        for block in chunk.payloads:
            if block.kind is PayloadKind.CALLS:
                found.update(zip(block.keys, block.items, strict=True))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("policy", [{}, {"concurrency": 2}])
def test_a_call_is_on_record_with_its_request_and_its_answer(policy: Mapping[str, Any]) -> None:
    ran = run(
        lambda row, context: {"got": context.call("http", {"n": row["n"]}, lambda r: [r["n"]])}, **policy
    )

    assert [(c.token, c.attempt, c.kind, c.index, c.status) for c in calls(ran)] == [
        (0, 0, "http", 0, "ok"),
        (1, 0, "http", 0, "ok"),
    ]
    for number, call in enumerate(calls(ran)):
        assert call.request_sha256 == digest(canonical({"n": number}))
        assert bodies(ran)[call.answer_sha256 or b""] == canonical([number])


def test_a_call_that_raises_is_on_record_with_its_latency_and_no_answer() -> None:
    clock = ManualClock()

    def send(request: Any) -> None:
        clock.advance(2)
        raise OSError("gone")

    ran = run(lambda row, context: context.call("http", "q", send), rows=1, clock=clock)

    [call] = calls(ran)
    assert (call.status, call.answer_sha256, call.duration_us) == ("OSError", None, 2_000_000)


@pytest.mark.parametrize("policy", [{}, {"breaker": {"failures": 9}}])
def test_the_same_request_is_counted_through_all_attempts_of_a_visit(policy: Mapping[str, Any]) -> None:
    def work(row: Row, context: Context) -> Row:
        context.call("http", "q", str)
        context.call("http", "q", str)
        if context.attempt == 0:
            raise RetryableError("again")
        return row

    ran = run(work, rows=1, retry={"attempts": 2}, **policy)

    assert [(call.attempt, call.index) for call in calls(ran)] == [(0, 0), (0, 1), (1, 2), (1, 3)]


def test_time_is_taken_from_the_clock_of_the_run_and_recorded() -> None:
    ran = run(lambda row, context: {"at": context.now()}, rows=1, clock=ManualClock(start_s=60))

    at = ran.written["out"][0]["at"]
    assert (at.minute, at.tzinfo is not None) == (1, True)
    assert canonical(at) in bodies(ran).values()


def test_calls_at_the_start_are_on_record_without_a_token() -> None:
    ran = run(lambda row, context: row, start=lambda context: context.call("http", "hello", str))

    [call] = calls(ran)
    assert (call.token, call.kind, bodies(ran)[call.request_sha256]) == (None, "http", b'"hello"')


@pytest.mark.parametrize("policy", [{}, {"concurrency": 3}])
def test_chance_is_the_same_for_a_row_however_rows_are_worked_on(policy: Mapping[str, Any]) -> None:
    def drawn(seed: int, chunk_rows: int) -> Sequence[Row]:
        settings = {"seed": seed, "chunk_rows": chunk_rows}
        work = lambda row, context: {"x": [context.random.random(), context.random.random()]}  # noqa: E731
        return run(work, rows=6, settings=settings, **policy).written["out"]

    assert drawn(7, 1) == drawn(7, 4) == drawn(7, 1000)
    assert drawn(8, 4) != drawn(7, 4)
    assert len({row["x"][0] for row in drawn(7, 4)}) == 6


# --- Secrets ---------------------------------------------------------------------------------------

CANARY = 'c4nary/"Zwölf" +7'


def forms(secret: str) -> list[str]:
    data = secret.encode()
    return [
        secret,
        base64.b64encode(data + b"!").decode()[: 8 * len(data) // 6],
        base64.b64encode(b"x" + data).decode()[2 : 8 * (len(data) + 1) // 6],
        base64.urlsafe_b64encode(b"xy" + data).decode()[3 : 8 * (len(data) + 2) // 6],
        quote(secret),
        quote(secret, safe=""),
        data.hex(),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    ]


@pytest.mark.parametrize("form", forms(CANARY))
def test_a_secret_is_found_in_every_form(form: str) -> None:
    assert form not in Redactor([CANARY]).text(f"before {form} after")


def test_text_without_secrets_stays_as_it_is() -> None:
    text = "nothing to hide: 12, ä, 'x'"
    assert Redactor([CANARY, "abc", ""]).text(text) == text


class Leaking(Transform):
    """Says its secret wherever it can."""

    name = "leaking"
    determinism = Determinism.EXTERNAL_CALL

    class Config(PluginConfig):
        key: SecretStr

    def process(self, row: Row, context: Context) -> Row:
        secret = context.secret("key")
        context.logger.error("my secret is %s", secret)
        context.call("http", {"auth": secret, "body": f"<{secret}>".encode()}, lambda r: [secret])
        try:
            raise KeyError(secret)
        except KeyError as error:
            context.logger.exception("with its traceback")
            raise ValueError(f"bad: {secret!r}") from error

    started = False

    def start(self, context: Context) -> None:
        self.started = True

    def close(self) -> None:
        if self.started:
            raise RuntimeError(self.config.key.get_secret_value())


class Starting(Leaking):
    name = "starting"

    def start(self, context: Context) -> None:
        raise OSError(self.config.key.get_secret_value())

    def close(self) -> None:
        pass


def everything(ran: TestRun) -> str:
    chunks = [
        f"{chunk.events!r}{[bytes(item).decode() for block in chunk.payloads for item in block.items]!r}"
        for chunk in ran.recorder.chunks
    ]
    cause: BaseException | None = ran.result.cause
    causes = []
    while cause is not None:
        causes.append(repr(cause) + str(cause))
        cause = cause.__cause__ or cause.__context__
    return "\n".join([*chunks, repr(ran.result), json.dumps(ran.result.as_json()), *causes])


def leaked(
    plugin: type[Transform], monkeypatch: pytest.MonkeyPatch, given: Transform | None = None
) -> tuple[str, str]:
    """All that is on record of a run of `plugin`, and its log."""
    monkeypatch.setenv("CANARY", CANARY)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    try:
        pipe = pipeline(
            "leaking",
            source=ListSource([{"n": 1}]),
            nodes=[
                {"name": "work", "plugin": plugin, "options": {"key": SecretReference("CANARY")}}
                if given is None
                else {"name": "work", "plugin": given}
            ],
            sinks={"out": ListSink(rejects=lambda row: CANARY)},
        )
        return everything(run_pipeline(pipe)), written.getvalue()
    finally:
        logging.getLogger().removeHandler(handler)


class Passing(Leaking):
    """Lets its row pass, so that the sink can say the secret."""

    name = "passing"

    def process(self, row: Row, context: Context) -> Row:
        return row

    def close(self) -> None:
        pass


@pytest.mark.parametrize("plugin", [Leaking, Starting, Passing])
def test_a_secret_is_neither_on_record_nor_in_errors_nor_in_the_log(
    plugin: type[Transform], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, logged = leaked(plugin, monkeypatch)

    assert "[secret]" in recorded
    if plugin is Leaking:
        assert "my secret is [secret]" in logged
        assert "Traceback" in logged
    for form in forms(CANARY):
        assert form not in recorded
        assert form not in logged


def test_a_secret_of_a_plugin_that_was_made_in_code_is_kept_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Leaking(Leaking.Config(key=SecretStr(CANARY)))

    recorded, logged = leaked(Leaking, monkeypatch, given=plugin)

    assert "[secret]" in recorded
    for form in forms(CANARY):
        assert form not in recorded
        assert form not in logged
