"""Rows made again from the record: what is taken from where, and what is refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.errors import AuditError, Refused, ReplayDiffers
from frame.events import Chunk, PayloadKind
from frame.plugin import Aggregation, Context, Determinism, InvalidRow, Transform
from frame.rows import Row
from frame.testing import ListSink, ListSource

from tests.properties.reenacted import Told, made_again, shown, watched_run

ROWS = [{"id": number, "n": number} for number in range(4)]


class Held(Aggregation):
    """Holds its rows to the end."""

    name = "held"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.rows: list[Row] = []

    def accept(self, row: Row) -> None:
        self.rows.append(row)

    def flush(self) -> list[Row]:
        rows, self.rows = self.rows, []
        return rows


class Step(Transform):
    name = "step"
    determinism = Determinism.DETERMINISTIC
    by = 1

    def process(self, row: Row, context: Context) -> dict[str, Any]:
        return {**row, "n": row["n"] + Step.by}


class Asking(Transform):
    """Asks the outside world, though it says that it does not."""

    name = "asking"
    determinism = Determinism.DETERMINISTIC
    answer: Callable[[Any], Any] = staticmethod(lambda request: request * 10)

    def process(self, row: Row, context: Context) -> dict[str, Any]:
        try:
            return {**row, "n": context.call("test", row["n"], Asking.answer)}
        except ConnectionError:
            return {**row, "n": -1}


SCHEMA = {"mode": "flexible", "fields": {"id": "int", "n": "float"}}


def held_after(
    *nodes: dict[str, Any], schema: dict[str, Any] | None = None, **settings: Any
) -> PipelineConfig:
    """A pipeline whose tokens wait in a batch until the end."""
    held = {"name": "held", "aggregate": {"plugin": Held, "mode": "passthrough"}}
    return pipeline(
        "held",
        source={"plugin": ListSource([]), "on_invalid": "bad", **({"schema": schema} if schema else {})},
        nodes=[*nodes, {**held, "to": "out"}],
        sinks={"out": {"plugin": ListSink()}, "bad": {"plugin": ListSink()}},
        settings={"chunk_rows": 2, **settings},
    )


def run_of(*plugins: type, rows: Sequence[Any] = ROWS, **settings: Any) -> Told:
    nodes = [{"name": f"node{n}", "plugin": plugin} for n, plugin in enumerate(plugins)]
    return watched_run(held_after(*nodes, **settings), rows)


def rows_in(told: Told) -> list[Any]:
    """The rows of the open batch after the first two rows were read."""
    _, inflight = made_again(told, 1)
    return [inflight.rows[token] for token in sorted(inflight.rows)]


def bent(told: Told, change: Callable[[Chunk], Chunk]) -> Told:
    """The same run with other chunks on record."""
    told.recorder.chunks[:] = map(change, told.recorder.chunks)
    return told


def test_a_row_goes_through_every_node_again():
    told = run_of(Step, Step)

    assert rows_in(told) == [{"id": n, "n": n + 2} for n in range(2)]


def test_a_plugin_that_makes_something_else_now_is_named_with_token_and_digests(
    monkeypatch: pytest.MonkeyPatch,
):
    told = run_of(Step)
    monkeypatch.setattr(Step, "by", 2)

    with pytest.raises(ReplayDiffers) as raised:
        rows_in(told)

    assert (raised.value.node, raised.value.token) == ("node0", 0)
    assert len(raised.value.recorded) == len(raised.value.made) == 64
    assert "node 'node0' made" in str(raised.value)


def test_a_plugin_that_fails_now_is_told_with_its_error(monkeypatch: pytest.MonkeyPatch):
    told = run_of(Step)
    monkeypatch.setattr(Step, "process", lambda self, row, context: 1 / 0)

    with pytest.raises(ReplayDiffers, match="makes ZeroDivisionError: division by zero of it now"):
        rows_in(told)


def test_what_was_asked_of_the_outside_world_is_answered_from_the_record(monkeypatch: pytest.MonkeyPatch):
    told = run_of(Asking)
    monkeypatch.setattr(Asking, "answer", staticmethod(lambda request: pytest.fail("a live call")))

    assert rows_in(told) == [{"id": n, "n": n * 10} for n in range(2)]


def test_a_call_that_failed_then_fails_again(monkeypatch: pytest.MonkeyPatch):
    def refuse(request: Any) -> Any:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(Asking, "answer", staticmethod(refuse))
    told = run_of(Asking)

    assert rows_in(told) == [{"id": n, "n": -1} for n in range(2)]


def test_a_call_without_an_answer_on_record_is_refused_and_not_made(monkeypatch: pytest.MonkeyPatch):
    told = run_of(Asking)
    bent(
        told,
        lambda chunk: replace(chunk, payloads=[b for b in chunk.payloads if b.kind != PayloadKind.CALLS]),
    )
    monkeypatch.setattr(Asking, "answer", staticmethod(lambda request: pytest.fail("a live call")))

    with pytest.raises(Refused, match=r"node 'node0' makes a call \(test\) for token 0 of which"):
        rows_in(told)


def test_source_rows_that_are_gone_are_refused_by_name():
    told = run_of(Step, payloads="none")

    with pytest.raises(
        Refused, match=r"what token 0 was at node 'source' .* no longer on record \(rows of chunk 0\)"
    ):
        rows_in(told)


def test_kept_bytes_that_were_changed_are_found():
    told = run_of(Step)

    def change(chunk: Chunk) -> Chunk:
        return replace(
            chunk,
            payloads=[
                replace(block, items=[b'{"id":0,"n":7}', *block.items[1:]]) if block.kind == "rows" else block
                for block in chunk.payloads
            ],
        )

    with pytest.raises(AuditError, match="chunk 0: what is kept of token 0 is not what its digest says"):
        rows_in(bent(told, change))


class Outside(Transform):
    """Has its visits announced, so that a chunk ends while tokens wait everywhere."""

    name = "outside"
    determinism = Determinism.EXTERNAL_CALL

    def process(self, row: Row, context: Context) -> Row:
        return row


INVALID = [
    ({"id": "x", "n": 1}, {"id": "x", "n": 1}),
    (InvalidRow(b"\xff\xfe", "no text"), {"_raw": "\\xff\\xfe"}),
    (InvalidRow(b'{"id":1}', "not wanted", "rows.jsonl:7"), {"_raw": '{"id":1}'}),
    ({"id": 1, "n": float("nan")}, {"_raw": "{'id': 1, 'n': nan}"}),
    ({"id": 1.5, "n": 2.5, "deep": {"$date": "x"}}, {"id": 1.5, "n": 2.5, "deep": {"$date": "x"}}),
]


@pytest.mark.parametrize(("raw", "kept"), INVALID)
def test_an_invalid_source_row_waits_at_its_sink_as_it_was(raw: Any, kept: Any):
    nodes = {"name": "outside", "plugin": Outside}
    told = watched_run(held_after(nodes, schema=SCHEMA), [{"id": 1, "n": 1.0}, raw])

    _, inflight = made_again(told, 1)

    assert shown(inflight)[1] == told.recorder.carried[0][1]
    assert inflight.errors[1] == told.recorder.errors[0][1]
    assert inflight.rows[1] == kept
