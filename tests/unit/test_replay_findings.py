"""What a replay finds: whatever comes to something else is named, once, and nobody outside is reached."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.engine.replay.differences import FieldDifference, Findings
from frame.engine.replay.replay import Replay
from frame.errors import Refused, RetryableError
from frame.events import Chunk, PayloadKind, SinkIntended
from frame.graph.model import OnCollision
from frame.plugin import Aggregation, Context, Determinism, Drop, Expand, Fail, Gate, Route, Transform
from frame.rows import Row
from frame.testing import ListSink, ListSource

from tests.properties.reenacted import Told, watched_run

ROWS = [{"id": number, "n": number} for number in range(5)]
now: dict[str, Any] = {}
"""What the plugins of this module do otherwise; empty while the run takes place."""


@pytest.fixture(autouse=True)
def _as_it_was() -> None:
    now.clear()


class Step(Transform):
    """Every kind of result, by the row's number."""

    name = "step"
    determinism = Determinism.DETERMINISTIC
    expands = True

    def process(self, row: Row, context: Context) -> Any:
        match row["n"]:
            case 1:
                return Drop(now.get("drop", "one"))
            case 2:
                return Fail(now.get("fail", "two"))
            case 3:
                return Expand([{**row, "part": part} for part in range(now.get("parts", 2))])
            case 4 if context.attempt < now.get("attempts", 1):
                raise RetryableError("not yet")
        return {**row, "n": row["n"] + now.get("by", 10)}


class Sort(Gate):
    """Says which half of the rows a row is in, and why."""

    name = "sort"
    determinism = Determinism.DETERMINISTIC

    def labels(self) -> frozenset[str]:
        return frozenset({"low", "high"})

    def evaluate(self, row: Row, context: Context) -> Any:
        label = "low" if row["n"] < now.get("bound", 10) else "high"
        return Route(label, {"bound": now.get("reason", 10)})


class Sum(Aggregation):
    name = "sum"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.total = 0

    def accept(self, row: Row) -> None:
        if row["n"] == now.get("refused"):
            raise ValueError("not this one")
        self.total += row["n"]

    def flush(self) -> Sequence[Mapping[str, Any]]:
        total, self.total = self.total, 0
        return [{"n": total + now.get("more", 0)}]


class Ask(Transform):
    """Asks somebody outside."""

    name = "ask"
    determinism = Determinism.EXTERNAL_CALL
    somebody: Callable[[Any], Any] = staticmethod(lambda request: request * 10)

    def process(self, row: Row, context: Context) -> Any:
        answer = context.call("test", row["n"] + now.get("shift", 0), Ask.somebody)
        return {**row, "n": answer + now.get("plus", 0)}


class Alone(Transform):
    """Reaches the outside world past its context, so that nobody knows what it asked."""

    name = "alone"
    determinism = Determinism.EXTERNAL_CALL

    def process(self, row: Row, context: Context) -> Any:
        if "alone" in now:
            pytest.fail("a live call")
        return {**row, "n": row["n"] + 100}


def told(*plugins: type, rows: Sequence[Any] = ROWS, **first: Any) -> Told:
    """A run through `plugins` one after the other."""
    nodes: list[dict[str, Any]] = []
    for number, plugin in enumerate(plugins):
        name = f"{plugin.name}{number}"  # type: ignore[attr-defined]
        if issubclass(plugin, Aggregation):
            nodes.append({"name": name, "aggregate": {"plugin": plugin}})
        elif issubclass(plugin, Gate):
            nodes.append({"name": name, "plugin": plugin, "routes": {"low": "continue", "high": "other"}})
        else:
            nodes.append({"name": name, "plugin": plugin, "on_error": "other", **first})
    nodes[-1] = (
        {**nodes[-1], "to": "out"}
        if "routes" not in nodes[-1]
        else nodes[-1] | {"routes": {"low": "out", "high": "other"}}
    )
    config = pipeline(
        "told",
        source={"plugin": ListSource([])},
        nodes=nodes,
        sinks={name: {"plugin": ListSink()} for name in ("out", "other") if f"'{name}'" in str(nodes)},
    )
    return watched_run(config, rows)


def in_another_graph(run: Told, name: str, **changes: Any) -> Findings:
    """What a replay finds if the node called `name` is configured otherwise."""
    nodes = tuple(replace(node, **changes) if node.name == name else node for node in run.graph.nodes)
    with Replay(replace(run.graph, nodes=nodes), run.run_id, run.compiled.redactor) as over:
        for chunk in run.recorder.chunks:
            over.take_in(chunk)
    return over.findings


RETRY: dict[str, Any] = {"retry": {"attempts": 3, "wait": "1h", "max_wait": "2h"}}


def replayed(run: Told, live: str | None = None, most: int = 20) -> Findings:
    number = None if live is None else run.graph.named(live).number
    with Replay(run.graph, run.run_id, run.compiled.redactor, live=number, most=most) as replay:
        for chunk in run.recorder.chunks:
            replay.take_in(chunk)
    return replay.findings


def texts(findings: Findings) -> list[tuple[int | None, str, str]]:
    """Token, what was, and what is; hashes cut short."""
    return [(each.token, _cut(each.recorded), _cut(each.made)) for each in findings.first]


def _cut(text: str) -> str:
    return text.split(" with hash", maxsplit=1)[0]


def test_the_same_plugins_come_to_the_same():
    findings = replayed(told(Step, Sort, Sum, **RETRY))

    assert findings.total == 0
    assert sum(tally.compared for tally in findings.nodes.values()) > 10


OTHERWISE = [
    ({"by": 11}, (0, "a row", "a row")),
    ({"drop": "uno"}, (1, "Drop('one')", "Drop('uno')")),
    ({"fail": "due"}, (2, "Fail: two", "Fail: due")),
    ({"parts": 3}, (3, "2 rows", "3 rows")),
    ({"parts": 0}, (3, "2 rows", "Drop('expanded to no rows')")),
    ({"attempts": 0}, (4, "a row", "a row")),
    (
        {"attempts": 9},
        (4, "a row", "RetriesExhausted: 3 attempts, the last one failed with RetryableError: not yet"),
    ),
]


@pytest.mark.parametrize(("change", "expected"), OTHERWISE)
def test_a_transform_that_comes_to_something_else_is_named_with_its_token(
    change: dict[str, Any], expected: tuple[int, str, str]
):
    run = told(Step, **RETRY)
    now.update(change)

    findings = replayed(run)

    assert expected in [(token, was, made.split(" at attempt")[0]) for token, was, made in texts(findings)]
    assert {each.node for each in findings.first} == {1}


def test_a_gate_that_decides_otherwise_is_named():
    run = told(Sort, rows=[{"n": 3}, {"n": 12}])
    now["bound"] = 2

    assert [(t, r.split(" with")[0], m.split(" with")[0]) for t, r, m in texts(replayed(run))] == [
        (0, "label 'low'", "label 'high'")
    ]


def test_a_gate_that_decides_alike_for_another_reason_is_named():
    run = told(Sort, rows=[{"n": 3}])
    now["reason"] = 99

    (found,) = replayed(run).first

    assert found.recorded == """label 'low' with reason {"bound":10}"""
    assert found.made == """label 'low' with reason {"bound":99}"""


def test_a_batch_that_comes_to_something_else_is_named():
    run = told(Sum)
    now["more"] = 1

    (found,) = replayed(run).first

    assert (found.node, found.batch, found.token) == (1, 0, None)
    assert (_cut(found.recorded), _cut(found.made)) == ("1 rows", "1 rows")


def test_a_row_that_a_batch_no_longer_takes_is_named_and_its_flush_not_judged():
    run = told(Sum)
    now["refused"] = 3

    (found,) = replayed(run).first

    assert (found.token, found.batch, found.made) == (3, 0, "ValueError: not this one")


def test_a_difference_is_told_once_and_not_again_for_all_that_follows():
    run = told(Step, Sort, Sum, rows=[{"n": 0}, {"n": -5}])
    now["by"] = 11

    findings = replayed(run)

    assert [each.node for each in findings.first] == [1, 1]
    assert findings.nodes[2].unreached == 2


def test_behind_a_batch_the_rows_are_known_again():
    run = told(Step, Sum, Ask, rows=[{"n": 0}])
    now["by"] = 11

    findings = replayed(run)

    assert [each.node for each in findings.first] == [1]
    assert findings.nodes[3].compared == 1


def test_the_fields_that_differ_are_shown_where_both_rows_are_at_hand():
    run = told(Step, rows=[{"n": 0, "same": 1}])
    now["by"] = 11

    (found,) = replayed(run).first

    assert found.fields == (FieldDifference("n", 10, 11),)


def test_what_was_asked_outside_is_answered_from_the_record(monkeypatch: pytest.MonkeyPatch):
    run = told(Ask)
    monkeypatch.setattr(Ask, "somebody", staticmethod(lambda request: pytest.fail("a live call")))

    findings = replayed(run)

    assert (findings.total, findings.nodes[1].compared) == (0, 5)


def test_another_use_of_the_recorded_answer_is_found():
    run = told(Ask, rows=[{"n": 1}])
    now["plus"] = 1

    (found,) = replayed(run).first

    assert found.fields == (FieldDifference("n", 10, 11),)


def test_another_question_has_no_answer_and_is_not_asked(monkeypatch: pytest.MonkeyPatch):
    run = told(Ask, rows=[{"n": 1}])
    now["shift"] = 1
    monkeypatch.setattr(Ask, "somebody", staticmethod(lambda request: pytest.fail("a live call")))

    (found,) = replayed(run).first

    assert found.made == "node 'ask0' makes a call (test) for token 0 of which the record has no answer"


def test_a_plugin_that_calls_past_its_context_is_not_called():
    run = told(Alone)
    now["alone"] = True

    findings = replayed(run)

    assert (findings.total, findings.nodes[1].taken) == (0, 5)


def test_a_live_node_is_called_for_real(monkeypatch: pytest.MonkeyPatch):
    run = told(Ask, rows=[{"n": 1}, {"n": 2}])
    monkeypatch.setattr(Ask, "somebody", staticmethod(lambda request: 20))

    (found,) = replayed(run, live="ask0").first

    assert (found.token, found.fields) == (0, (FieldDifference("n", 10, 20),))


def test_differences_are_counted_and_the_first_are_told():
    run = told(Step, rows=[{"n": -n} for n in range(50)])
    now["by"] = 11

    findings = replayed(run, most=3)

    assert (findings.total, len(findings.first), findings.nodes[1].differ) == (50, 3, 50)


@pytest.mark.parametrize("kind", [PayloadKind.ROWS, PayloadKind.OUTPUTS])
def test_what_is_needed_and_gone_is_refused_by_name(kind: PayloadKind):
    run = told(Alone, rows=[{"n": 1}])

    def without(chunk: Chunk) -> Chunk:
        return replace(chunk, payloads=[block for block in chunk.payloads if block.kind is not kind])

    run.recorder.chunks[:] = map(without, run.recorder.chunks)

    with pytest.raises(Refused, match=r"what token 0 was at node .* is needed and no longer on record"):
        replayed(run)


def test_branches_that_are_united_otherwise_are_named():
    config = pipeline(
        "joined",
        source={"plugin": ListSource([])},
        nodes=[
            {"name": "split", "gate": "true", "routes": {"true": ["left", "meet"], "false": "discard"}},
            {"name": "left", "plugin": Ask, "to": "meet"},
            {"name": "meet", "coalesce": {"policy": "require_all"}, "to": "out"},
        ],
        sinks={"out": {"plugin": ListSink()}},
    )
    run = watched_run(config, [{"n": 1}])

    (found,) = in_another_graph(run, "meet", on_collision=OnCollision.FIRST).first

    assert found.node == run.graph.named("meet").number
    assert found.fields == (FieldDifference("n", 1, 10),)


def test_what_a_sink_would_be_given_otherwise_is_named_with_its_fields():
    run = told(Step, rows=[{"n": 2}])
    error = {"attempts": 1, "message": "two", "node": "step0", "type": "Fail"}

    (found,) = in_another_graph(run, "other", error_field="why").first

    assert found.node == run.graph.named("other").number
    assert found.fields == (FieldDifference("_error", error, None), FieldDifference("why", None, error))


def test_a_write_whose_hash_alone_is_at_hand_is_named():
    run = told(Step, rows=[{"n": 0}])

    def bent(chunk: Chunk) -> Chunk:
        events = [
            replace(event, content_sha256=bytes(32)) if isinstance(event, SinkIntended) else event
            for event in chunk.events
        ]
        return replace(chunk, events=events)

    run.recorder.chunks[:] = map(bent, run.recorder.chunks)

    (found,) = replayed(run).first

    assert found.recorded == f"a write with hash {'0' * 64}"
