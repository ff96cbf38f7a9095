"""Rows made again from the record: what is taken from where, and what is refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.errors import AuditError, Refused, ReplayDiffers, RetryableError
from frame.events import Chunk, PayloadKind
from frame.plugin import Aggregation, Context, Determinism, InvalidRow, Transform
from frame.rows import Row, freeze
from frame.scheduler.state import RunState
from frame.testing import ListSink, ListSource

from tests.properties.reenacted import Told, carried, made_again, shown, watched_run

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


class Outside(Transform):
    """Has its visits announced, so that a chunk ends while tokens wait everywhere."""

    name = "outside"
    determinism = Determinism.EXTERNAL_CALL

    def process(self, row: Row, context: Context) -> Row:
        return row


class Tripled(Outside):
    name = "tripled"

    def process(self, row: Row, context: Context) -> Row:
        return freeze({**row, "n": row["n"] * 3})


class Late(Transform):
    """Succeeds at its second attempt, and tells which one it was."""

    name = "late"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> dict[str, Any]:
        if context.attempt == 0:
            raise RetryableError("not yet")
        return {**row, "n": context.attempt}


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


def forks_in_forks() -> PipelineConfig:
    """A fork, one branch of which forks and joins again, and then a node before whose calls all is on record."""
    nested = {"policy": "require_all", "merge": "nested"}
    return pipeline(
        "nested",
        source={"plugin": ListSource([])},
        nodes=[
            {"name": "outer", "gate": "true", "routes": {"true": ["inner", "plain"], "false": "discard"}},
            {"name": "inner", "gate": "true", "routes": {"true": ["one", "two"], "false": "discard"}},
            {"name": "one", "plugin": Step, "to": "join"},
            {"name": "two", "plugin": Step, "to": "join"},
            {"name": "plain", "plugin": Step, "to": "meet"},
            {"name": "join", "coalesce": nested, "to": "meet"},
            {"name": "meet", "coalesce": nested, "to": "last"},
            {"name": "last", "plugin": Outside, "to": "out"},
        ],
        sinks={"out": {"plugin": ListSink()}},
    )


def run_of(*plugins: type, rows: Sequence[Any] = ROWS, **settings: Any) -> Told:
    nodes = [{"name": f"node{n}", "plugin": plugin} for n, plugin in enumerate(plugins)]
    return watched_run(held_after(*nodes, **settings), rows)


def rows_in(told: Told) -> list[Any]:
    """The rows of the open batch after the first two rows were read."""
    _, inflight = made_again(told, 1)
    return [inflight.rows[token] for token in sorted(inflight.rows)]


def ends(told: Told, stands: Callable[[RunState], bool]) -> int:
    """After how many chunks the run first stands so."""
    return next(n for n in range(1, len(told.recorder.chunks) + 1) if stands(told.state_after(n)))


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


def test_a_row_is_made_again_by_the_attempt_that_made_it():
    retry = {"attempts": 2, "wait": "1ms"}
    told = watched_run(held_after({"name": "late", "plugin": Late, "retry": retry}), ROWS)

    assert rows_in(told) == [{"id": n, "n": 1} for n in range(2)]


def test_the_same_question_asked_twice_gets_both_answers_in_their_order(monkeypatch: pytest.MonkeyPatch):
    answers = iter(range(100))
    monkeypatch.setattr(Asking, "answer", staticmethod(lambda request: next(answers)))
    monkeypatch.setattr(Asking, "process", _ask_twice)
    told = run_of(Asking)

    assert rows_in(told) == [{"id": 0, "n": [0, 1]}, {"id": 1, "n": [2, 3]}]


def _ask_twice(self: Asking, row: Row, context: Context) -> dict[str, Any]:
    return {**row, "n": [context.call("test", "same", Asking.answer) for _ in range(2)]}


def test_nothing_is_asked_for_that_lies_before_a_row_that_was_kept():
    told = run_of(Step, Tripled, Step)
    bent(
        told, lambda chunk: replace(chunk, payloads=[b for b in chunk.payloads if b.kind != PayloadKind.ROWS])
    )

    _, inflight = made_again(told, ends(told, lambda state: bool(state.batches)))

    assert [row["n"] for row in inflight.rows.values()] == [4, 7]


def test_branches_keep_their_names_through_a_fork_inside_a_fork():
    told = watched_run(forks_in_forks(), [{"id": 7, "n": 1}])
    last = told.graph.named("last").number
    waiting = ends(told, lambda state: last in state.waiting)

    _, inflight = made_again(told, waiting)

    assert shown(inflight) == carried(told, waiting)


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
