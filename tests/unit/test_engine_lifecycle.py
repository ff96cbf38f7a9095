"""What plugins of every kind may do to a run, and what happens to the others then."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.errors import RetryableError
from frame.events import AttemptFailed, BatchAttemptFailed, Noted, Path, RunStatus, VisitStatus
from frame.plugin import (
    Aggregation,
    Context,
    Determinism,
    Expand,
    Gate,
    GateResult,
    Plugin,
    PluginConfig,
    Rejected,
    Route,
    Sink,
    Source,
    Transform,
)
from frame.plugin.schema import FieldType, Schema
from frame.rows import Row
from frame.testing import Applied, Asked, Expanding, ListSink, ListSource, Mutates, TestRun, run_pipeline

LIFE: list[tuple[str, str]] = []
FAULT: list[tuple[str, str, BaseException]] = []


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    LIFE.clear()
    FAULT.clear()
    yield
    FAULT.clear()


class Living(Plugin):
    """Writes down each step of its life, and fails in the step that a test names."""

    determinism = Determinism.DETERMINISTIC

    def step(self, name: str) -> None:
        LIFE.append((self.name, name))
        for who, where, error in FAULT:
            # A pipeline is checked with instances of its own, which are closed without having been started.
            if (who, where) == (self.name, name) and (name != "close" or (who, "start") in LIFE):
                raise error

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self.step("__init__")

    def start(self, context: Context) -> None:
        self.step("start")

    def finish(self, context: Context) -> None:
        self.step("finish")

    def close(self) -> None:
        self.step("close")


class Origin(Living, Source):
    name = "origin"

    def read(self) -> Iterator[Mapping[str, Any]]:
        yield from ({"n": n} for n in range(3))

    def may_wait(self) -> bool:
        return False


class Middle(Living, Transform):
    name = "middle"

    def process(self, row: Row, context: Context) -> Row:
        self.step("process")
        return row


class End(Living, Sink):
    name = "end"

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        self.step("write")
        return ()


def run(
    *nodes: Mapping[str, Any], source: Any = None, out: Any = None, settings: Mapping[str, Any] | None = None
) -> TestRun:
    sinks = {"out": out or ListSink()} | ({"bad": ListSink()} if "'bad'" in str(nodes) else {})
    nodes = tuple(
        {"to": "out", **node} if node is nodes[-1] and "routes" not in node else node for node in nodes
    )
    source = source or ListSource([{"n": n} for n in range(3)])
    return run_pipeline(pipeline("life", source=source, nodes=nodes, sinks=sinks, settings=settings or {}))


def live(settings: Mapping[str, Any] | None = None) -> TestRun:
    return run({"name": "work", "plugin": Middle}, source=Origin, out=End, settings=settings)


def closed() -> set[str]:
    return {name for name, step in LIFE if step == "close"}


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(2)])
@pytest.mark.parametrize(
    ("who", "step"),
    [(who, step) for who in ("origin", "middle", "end") for step in ("start", "finish")] + [("end", "write")],
)
def test_a_plugin_that_fails_to_start_write_or_finish_ends_the_run_and_all_are_closed(
    who: str, step: str, error: BaseException
) -> None:
    FAULT.append((who, step, error))

    ran = live()

    assert ran.result.status is RunStatus.FAILED
    assert ran.result.error is not None
    assert type(error).__name__ in ran.result.error.message
    assert closed() == {"origin", "middle", "end"}


class LateFault(Middle):
    """Can be made for validation, and not for the run."""

    name = "late"
    made = 0

    def __init__(self, config: PluginConfig) -> None:
        type(self).made += 1
        super().__init__(config)
        if type(self).made > 2:
            raise ValueError("no more of me")


def test_a_plugin_that_cannot_be_made_ends_the_run_and_those_that_were_are_closed() -> None:
    LateFault.made = 0

    ran = run({"name": "work", "plugin": LateFault}, source=Origin, out=End)

    assert ran.result.error is not None
    assert (
        "node 'work': plugin 'late' failed in __init__: ValueError: no more of me" in ran.result.error.message
    )
    assert ("origin", "close") in LIFE[LIFE.index(("late", "__init__")) :]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(2)])
def test_a_plugin_that_fails_to_close_is_noted_and_harms_nobody(error: BaseException) -> None:
    FAULT.append(("middle", "close", error))

    ran = live()

    assert ran.result.status is RunStatus.COMPLETED
    assert closed() == {"origin", "middle", "end"}
    [note] = [event for event in ran.events if isinstance(event, Noted) and event.kind == "close_failed"]
    assert note.detail == {"error": f"{type(error).__name__}: {error}"}


def test_a_run_that_fails_closes_its_plugins_and_does_not_finish_them() -> None:
    FAULT.append(("middle", "process", ValueError("no")))

    ran = live({"abort_on_error": True})

    assert ran.result.status is RunStatus.FAILED
    assert closed() == {"origin", "middle", "end"}
    assert "finish" not in {step for _, step in LIFE}


# --- Results that are none -------------------------------------------------------------------------


class Broken(dict[str, Any]):
    """A mapping that cannot be read."""

    def items(self) -> Any:
        raise RuntimeError("cannot be read")

    values = items


def endless() -> dict[str, Any]:
    row: dict[str, Any] = {}
    row["self"] = row
    return row


def generated() -> Iterator[Row]:
    yield Row(n=1)


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (None, "WrongResult", "NoneType"),
        (7, "WrongResult", "int"),
        ([{"n": 1}], "WrongResult", "list"),
        (generated(), "WrongResult", "generator"),
        ({"x": float("nan")}, "NotCanonical", "x"),
        ({"x": object()}, "NotCanonical", "x"),
        ({1: "x"}, "NotCanonical", "1"),
        (endless(), "RecursionError", "recursion"),
        (Broken(n=1), "RuntimeError", "cannot be read"),
        (Expand([{"n": 1}]), "WrongResult", "expands = True"),
    ],
)
def test_a_result_that_is_none_fails_its_row_alone(value: Any, kind: str, says: str) -> None:
    ran = run({"name": "work", "plugin": Applied(lambda row: value if row["n"] == 1 else row)})

    [failed] = [event for event in ran.events if isinstance(event, AttemptFailed)]
    assert (failed.token, failed.error.type) == (1, kind)
    assert says in failed.error.message
    assert [row["n"] for row in ran.written["out"]] == [0, 2]


@pytest.mark.parametrize("rows", [None, 3, [1], [{"n": float("nan")}], [endless()]])
def test_an_expansion_into_what_is_no_row_fails_its_row_alone(rows: Any) -> None:
    ran = run({"name": "work", "plugin": Expanding(lambda row: Expand(rows) if row["n"] == 1 else row)})

    assert [row["n"] for row in ran.written["out"]] == [0, 2]
    assert ran.state.ended == {Path.DEFAULT_FLOW: 2, Path.UNHANDLED: 1}


def test_a_row_that_a_plugin_changes_after_it_was_returned_is_recorded_as_it_was() -> None:
    kept: list[dict[str, Any]] = []

    def work(row: Row) -> dict[str, Any]:
        for earlier in kept:
            earlier["tags"].append("late")
        kept.append({**row, "tags": []})
        return kept[-1]

    ran = run({"name": "work", "plugin": Applied(work)}, settings={"chunk_rows": 1})

    assert [row["tags"] for row in ran.written["out"]] == [[], [], []]


def test_a_plugin_that_changes_its_input_fails_the_row() -> None:
    ran = run({"name": "work", "plugin": Mutates()})

    assert ran.result.counters["unhandled"] == 3


THREE: Any = 3


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("it has no name")


@pytest.mark.parametrize("error", [Unspeakable(), ValueError("half of a pair: \ud800")])
def test_an_error_that_cannot_be_written_down_fails_its_row_all_the_same(error: Exception) -> None:
    def work(row: Row) -> Row:
        raise error

    ran = run({"name": "work", "plugin": Applied(work)})

    assert ran.result.counters["unhandled"] == 3
    for event in ran.events:
        if isinstance(event, AttemptFailed):
            event.error.message.encode()


@pytest.mark.parametrize(
    "label", [None, 3, "nowhere", Route("nowhere"), Route(THREE), Route("yes", {"x": float("nan")})]
)
def test_a_label_that_leads_nowhere_fails_its_row_alone(label: Any) -> None:
    gate = Asked(lambda row: label if row["n"] == 1 else "yes")

    ran = run({"name": "work", "plugin": gate, "routes": {"yes": "out"}})

    assert [row["n"] for row in ran.written["out"]] == [0, 2]
    assert ran.result.counters["unhandled"] == 1


# --- Declared types --------------------------------------------------------------------------------


class Declares(Transform):
    """Says that `x` is a `kind`, and sets it to `value` for row 1."""

    name = "declares"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, kind: FieldType, value: Any, good: Any) -> None:
        super().__init__(PluginConfig())
        self._kind, self._value, self._good = kind, value, good

    def provides(self, incoming: Schema) -> Schema:
        return incoming.with_fields({"x": self._kind})

    def process(self, row: Row, context: Context) -> Mapping[str, Any]:
        value = self._value if row["n"] == 1 else self._good
        return {"n": row["n"]} if value is Ellipsis else {**row, "x": value}


INTS = FieldType("list", items=FieldType("int"))


@pytest.mark.parametrize(
    ("kind", "value", "good", "says"),
    [
        (FieldType("int"), "1", 1, "field 'x' should be int and is str"),
        (FieldType("int"), True, 1, "field 'x' should be int and is bool"),
        (FieldType("int"), None, 1, "field 'x' should be int and is NoneType"),
        (FieldType("int"), ..., 1, "field 'x' should be int and is missing"),
        (FieldType("int", nullable=True), 1.5, None, "field 'x' should be int? and is float"),
        (INTS, "ab", [1], "field 'x' should be list[int] and is str"),
        (INTS, [1, "2"], [1], "field 'x[1]' should be int and is str"),
    ],
)
def test_a_field_of_another_type_than_declared_fails_its_row(
    kind: FieldType, value: Any, good: Any, says: str
) -> None:
    ran = run({"name": "work", "plugin": Declares(kind, value, good)})

    [failed] = [event for event in ran.events if isinstance(event, AttemptFailed)]
    assert (failed.token, failed.error.type) == (1, "WrongType")
    assert failed.error.message == f"node 'work': {says}"
    assert [row["n"] for row in ran.written["out"]] == [0, 2]


def test_a_field_that_came_in_with_its_type_and_left_with_another_is_found() -> None:
    source = {
        "plugin": ListSource([{"n": n, "x": n} for n in range(3)]),
        "schema": {"mode": "flexible", "fields": {"n": "int", "x": "int"}},
    }

    ran = run({"name": "work", "plugin": Declares(FieldType("int"), "one", 5)}, source=source)

    assert ran.result.counters["unhandled"] == 1


# --- Batches ---------------------------------------------------------------------------------------


class Collects(Aggregation):
    """One row of all members' numbers. What it does wrong is a class attribute."""

    name = "collects"
    determinism = Determinism.DETERMINISTIC
    fails: tuple[BaseException, ...] = ()
    flushes = 0

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self.members: list[int] = []

    def accept(self, row: Row) -> None:
        if row["n"] == 99:
            raise ValueError("not this one")
        self.members.append(row["n"])

    def flush(self) -> Sequence[Mapping[str, Any]]:
        type(self).flushes += 1
        if self.flushes <= len(self.fails):
            raise self.fails[self.flushes - 1]
        made, self.members = [{"all": self.members}], []
        return made


def collects(*fails: BaseException, **members: Any) -> type[Collects]:
    return type("Collects", (Collects,), {"fails": fails, "flushes": 0, **members})


def batches(plugin: type[Collects], rows: Sequence[int] = (0, 1, 2, 3), **policy: Any) -> TestRun:
    aggregate = {"plugin": plugin, **policy.pop("aggregate", {})}
    node = {"name": "batch", "aggregate": aggregate, "trigger": {"count": 2}, **policy}
    return run(node, source=ListSource([{"n": n} for n in rows]))


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
def test_a_batch_that_cannot_be_flushed_goes_its_way_and_leaves_nothing_in_the_next(
    error: BaseException,
) -> None:
    ran = batches(collects(error), on_error="bad")

    assert [row["all"] for row in ran.written["out"]] == [[2, 3]]
    assert [row["n"] for row in ran.written["bad"]] == [0, 1]
    assert ran.written["bad"][0]["_error"]["type"] == type(error).__name__


def test_a_flush_is_tried_again_as_the_policy_says() -> None:
    ran = batches(collects(RetryableError("busy"), RetryableError("busy")), retry={"attempts": 3})

    assert [row["all"] for row in ran.written["out"]] == [[0, 1], [2, 3]]
    assert [e.attempt for e in ran.events if isinstance(e, BatchAttemptFailed)] == [0, 1]


def test_retries_of_a_flush_may_be_used_up() -> None:
    ran = batches(collects(*[RetryableError("busy")] * 2), retry={"attempts": 2}, on_error="bad")

    error = ran.written["bad"][0]["_error"]
    assert (error["type"], error["attempts"]) == ("RetriesExhausted", 2)
    assert [row["all"] for row in ran.written["out"]] == [[2, 3]]


def test_a_row_that_an_aggregation_refuses_fails_alone() -> None:
    ran = batches(collects(), rows=[0, 99, 1])

    assert [row["all"] for row in ran.written["out"]] == [[0, 1]]
    assert ran.result.counters["unhandled"] == 1


async def _accept(self: Collects, row: Row) -> None:
    self.members.append(row["n"])


def test_an_accept_that_nobody_awaits_loses_no_row() -> None:
    ran = batches(collects(accept=_accept))

    assert ran.result.counters["unhandled"] == 4


def _hang(self: Collects, *args: Any) -> Any:
    if type(self).flushes == 0:
        type(self).flushes = 1
        threading.Event().wait(5)
    return Collects.flush(self)


def test_a_flush_that_hangs_fails_its_batch_and_the_next_one_is_fine() -> None:
    ran = batches(collects(flush=_hang), timeout="100ms", on_error="bad")

    assert [row["n"] for row in ran.written["bad"]] == [0, 1]
    assert [row["all"] for row in ran.written["out"]] == [[2, 3]]
    [failed] = [event for event in ran.events if isinstance(event, BatchAttemptFailed)]
    assert failed.status is VisitStatus.TIMED_OUT


def _hang_in_accept(self: Collects, row: Row) -> None:
    threading.Event().wait(5)


def test_an_accept_that_hangs_stops_the_run_with_its_rows_open() -> None:
    ran = batches(collects(accept=_hang_in_accept), timeout="100ms")

    assert (ran.result.status, ran.result.counters["open"]) == (RunStatus.FAILED, 4)
    assert ran.result.error is not None
    assert (
        "node 'batch': plugin 'collects' failed in accept: no answer within 0.1 s" in ran.result.error.message
    )


@pytest.mark.parametrize("made", [None, 3, [None], [{"x": float("nan")}], {"a": 1}])
def test_a_flush_that_gives_no_rows_fails_its_batch(made: Any) -> None:
    ran = batches(collects(flush=lambda self: made), on_error="bad")

    assert len(ran.written["bad"]) == 4


def test_a_flush_that_gives_another_type_than_declared_fails_its_batch() -> None:
    provides = Schema({"all": FieldType("list", items=FieldType("str"))})

    ran = batches(collects(provides=lambda self, incoming: provides), on_error="bad")

    assert ran.written["bad"][0]["_error"]["message"] == "field 'all[0]' should be str and is int"


# --- Sinks -----------------------------------------------------------------------------------------


def test_a_sink_is_given_each_row_once_and_in_order_though_writes_fail_at_first() -> None:
    out = {"plugin": ListSink(fails=2), "retry": {"attempts": 3}}

    ran = run({"name": "work", "plugin": Applied(lambda row: row)}, out=out, settings={"chunk_rows": 2})

    assert ran.result.status is RunStatus.COMPLETED
    assert [row["n"] for row in ran.written["out"]] == [0, 1, 2]


def test_a_sink_that_fails_for_good_stops_the_run_with_its_rows_open() -> None:
    out = {"plugin": ListSink(fails=9), "retry": {"attempts": 3}}

    ran = run({"name": "work", "plugin": Applied(lambda row: row)}, out=out, settings={"chunk_rows": 2})

    assert (ran.result.status, ran.result.resumable) == (RunStatus.FAILED, True)
    assert ran.result.error is not None
    assert ran.result.error.message == "sink 'out': OSError: write 3 of 9 that fail"
    assert ran.result.counters["open"] == ran.result.counters["rows"]


def test_a_refused_row_goes_to_the_sink_for_refused_rows_and_no_further() -> None:
    source = ListSource([{"n": n} for n in range(3)])
    sinks: dict[str, Any] = {
        "out": {"plugin": ListSink(rejects=lambda row: "odd" if row["n"] % 2 else None), "on_error": "bad"},
        "bad": ListSink(rejects=lambda row: "not here either"),
    }

    ran = run_pipeline(pipeline("refused", source={"plugin": source, "to": "out"}, sinks=sinks))

    assert ran.state.ended == {Path.DEFAULT_FLOW: 2, Path.SINK_REJECTED: 1}
    assert (len(ran.written["out"]), ran.written["bad"]) == (2, [])


class Odd(ListSink):
    """Answers a write with `answer`, and stands at `position` then."""

    name = "odd"

    def __init__(self, answer: Any, position: Any = None) -> None:
        super().__init__()
        self._answer, self._at = answer, position

    def write(self, rows: Sequence[Row], key: str) -> Any:
        super().write(rows, key)
        return self._answer

    def position(self) -> Any:
        return self._at if self.writes else None


@pytest.mark.parametrize(
    "sink",
    [
        Odd([Rejected(7, "x")]),
        Odd([Rejected(-1, "x")]),
        Odd(["x"]),
        Odd([Rejected(0, "x")] * 2),
        Odd((), object()),
    ],
)
def test_a_sink_that_answers_nonsense_stops_the_run_and_is_not_asked_again(sink: Odd) -> None:
    ran = run(
        {"name": "work", "plugin": Applied(lambda row: row)}, out={"plugin": sink, "retry": {"attempts": 3}}
    )

    assert ran.result.error is not None
    assert (ran.result.error.type, ran.result.counters["open"]) == ("SinkError", 3)
    assert len(sink.writes) == 1


class Deciding(Gate):
    name = "deciding"
    determinism = Determinism.DETERMINISTIC

    async def evaluate(self, row: Row, context: Context) -> GateResult:  # type: ignore[override]
        return bool(row["n"] > 0)


def test_a_gate_may_be_a_coroutine() -> None:
    ran = run({"name": "work", "plugin": Deciding, "routes": {"true": "out", "false": "discard"}})

    assert [row["n"] for row in ran.written["out"]] == [1, 2]
