"""How far `explain` trusts the data that it shows: kept, made again, or not to be had."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from frame.audit.payloads import compress, decompress
from frame.canonical import canonical
from frame.operations.explanation import Data, DataState, How
from frame.plugin import Context, Determinism, PluginConfig, Transform
from frame.plugin.registry import Registry
from frame.rows import Row

from tests.integration.explain_pipelines import (
    PLUGINS,
    SHELF,
    Dice,
    Double,
    Ran,
    numbers,
    ran,
    subject,
    tampered,
    visit_at,
)


def rewritten(told: Ran, kind: str, change: Mapping[bytes, bytes]) -> None:
    """Replace items in the payload blocks of `kind`."""
    with sqlite3.connect(told.audit.removeprefix("sqlite:///")) as connection:
        found = connection.execute(
            "SELECT d.rowid, size, data FROM payload_data d JOIN payload_blocks USING (run, chunk, number, part) "
            "WHERE kind = ?",
            [kind],
        ).fetchall()
    connection.close()
    for number, size, data in found:
        items = [change.get(item, item) for item in decompress(size, data)]
        tampered(told, "UPDATE payload_data SET data = ? WHERE rowid = ?", given=[compress(items)[1], number])


def went(told: Ran, node: str, **question: Any) -> Data:
    """The row that came out of a node."""
    found = visit_at(subject(told.explain(**question)), node).went
    assert found is not None
    return found


TWICE = {"name": "twice", "plugin": "double"}


def test_a_changed_source_row_differs_and_nothing_is_made_of_it(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5, 6), [TWICE])

    rewritten(told, "rows", {b'{"n":5}': b'{"n":9}'})

    story = subject(told.explain(row=0))
    assert (story.data.state, story.data.row) == (DataState.DIFFERS, {"n": 9})
    assert went(told, "twice", row=0).state is DataState.NOT_RECOMPUTABLE
    assert subject(told.explain(row=1)).data.state is DataState.VERIFIED


def test_a_changed_hash_differs_from_what_is_made_again(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5), [TWICE])

    tampered(
        told,
        "UPDATE segment_digests SET digests = zeroblob(32) WHERE (run, chunk, position, part) IN "
        "(SELECT run, chunk, position, part FROM segments WHERE kind = 'visited')",
    )

    made = went(told, "twice", row=0)
    assert (made.state, made.row, made.how) == (DataState.DIFFERS, {"n": 5, "double": 10}, How.RECOMPUTED)
    assert "SHA-256" in made.why


def test_a_changed_outbox_differs(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5, 6))

    rewritten(told, "outbox", {b'{"n":5}': b'{"n":9}'})

    # One hash covers the whole write, so every row of it is in doubt.
    for row in (0, 1):
        write = visit_at(subject(told.explain(row=row)), "out").write
        assert write is not None
        assert write.row.state is DataState.DIFFERS


def test_a_changed_label_differs_from_what_the_gate_says_again(tmp_path: Path) -> None:
    gate = {"name": "big", "gate": "row.n > 4", "routes": {"true": "continue", "false": "discard"}}
    told = ran(tmp_path, numbers(5), [gate])

    tampered(told, "UPDATE segments SET label = 'false' WHERE kind = 'routed'")

    decision = visit_at(subject(told.explain(row=0)), "big").decision
    assert decision is not None
    assert (decision.checked, decision.why) == (DataState.DIFFERS, "asked again, it gives 'true'")


def test_a_damaged_block_is_told_and_not_raised(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5), [TWICE])

    tampered(told, "UPDATE payload_data SET data = x'00'")

    story = subject(told.explain(row=0))
    assert story.data.state is DataState.DIFFERS
    assert "cannot be read" in story.data.why


@pytest.mark.parametrize("field", [None, "double"])
def test_without_payloads_the_story_is_told_without_data(field: str | None, tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5), [TWICE])

    tampered(told, "DELETE FROM payload_data")

    explanation = told.explain(row=0, field=field)
    story = subject(explanation)
    assert [visit.result for visit in story.visits] == ["passed", "written"]
    states = {story.data.state, *(visit.came.state for visit in story.visits)}
    assert states == {DataState.NOT_KEPT}
    if explanation.field is not None:
        assert {step.what for step in explanation.field.steps} == {"unknown"}


def test_with_payloads_none_what_was_written_is_still_known(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5), [TWICE], settings={"payloads": "none"})

    story = subject(told.explain(row=0))

    assert story.data.state is DataState.NOT_KEPT
    assert visit_at(story, "twice").came.row is None
    written = visit_at(story, "out")
    assert written.write is not None
    if written.write.row.state is DataState.VERIFIED:
        assert (written.came.state, written.came.row) == (DataState.VERIFIED, {"n": 5, "double": 10})


def test_outputs_that_nobody_can_make_again_are_kept(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5), [{"name": "dice", "plugin": "dice"}])
    thrown = Dice.thrown

    made = went(told, "dice", row=0)

    assert (made.state, made.how) == (DataState.VERIFIED, How.KEPT)
    assert Dice.thrown == thrown


def test_time_and_chance_are_made_again_from_the_record(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5, 6, 7), [{"name": "stamp", "plugin": "stamp"}])

    explanation = told.explain(row=2)

    stamp = visit_at(subject(explanation), "stamp")
    assert stamp.went is not None
    assert (stamp.went.state, stamp.went.how) == (DataState.VERIFIED, How.RECOMPUTED)
    ((call,),) = [attempt.calls for attempt in stamp.attempts]
    assert (call.kind, call.status) == ("clock", "ok")
    assert call.answer is not None
    assert stamp.went.row is not None
    assert call.answer.value == stamp.went.row["at"]


class Telephone(Transform):
    """Calls the outside world, and says whether somebody answered."""

    name = "telephone"
    determinism = Determinism.DETERMINISTIC
    rang = 0

    def process(self, row: Row, context: Context) -> Any:
        def send(request: Any) -> str:
            Telephone.rang += 1
            return f"hello {request}"

        return {**row, "said": context.call("phone", row["n"], send)}


def test_no_call_is_made_again_and_its_answer_comes_from_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.integration.explain_pipelines.PLUGINS", (*PLUGINS, Telephone))
    told = ran(tmp_path, numbers(5), [{"name": "ring", "plugin": "telephone"}])
    rang = Telephone.rang

    made = went(told, "ring", row=0)
    tampered(told, "DELETE FROM payload_digests")
    lost = went(told, "ring", row=0)

    assert (made.state, made.row) == (DataState.VERIFIED, {"n": 5, "said": "hello 5"})
    assert lost.state is DataState.NOT_RECOMPUTABLE
    assert "of which the record has no answer" in lost.why
    assert Telephone.rang == rang


class AnotherDouble(Transform):
    """Is called `double`, too, and gives three times `n`."""

    name = "double"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> Any:
        return {**row, "double": row["n"] * 3}


@pytest.mark.parametrize(
    ("plugins", "said"),
    [
        ((), "recorded by the pipeline's own code, which is not at hand here"),
        ((AnotherDouble,), "whose code has changed since"),
    ],
)
def test_only_the_recorded_plugin_makes_data_again(
    plugins: tuple[type[Transform], ...], said: str, tmp_path: Path
) -> None:
    told = ran(tmp_path, numbers(5), [TWICE])

    made = went(told, "twice", row=0, registry=Registry.of(plugins))

    assert made.state is DataState.NOT_RECOMPUTABLE
    assert said in made.why
    # what the sink got is the row that is missing, by its hash
    assert visit_at(subject(told.explain(row=0, registry=Registry.of(plugins))), "out").came.row == {
        "n": 5,
        "double": 10,
    }


def test_another_version_than_the_recorded_one_is_not_used(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(5), [TWICE])

    tampered(told, "UPDATE nodes SET distribution = 'acme', version = '1.2' WHERE name = 'twice'")

    assert "recorded by acme 1.2, installed is" in went(told, "twice", row=0).why


def test_a_plugin_that_now_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ran(tmp_path, numbers(5), [TWICE])

    def broken(self: Double, row: Row, context: Context) -> Row:
        raise ZeroDivisionError("today")

    monkeypatch.setattr(Double, "process", broken)

    assert "ZeroDivisionError: today" in went(told, "twice", row=0).why


SALTED = {"name": "salted", "plugin": "salt", "options": {"salt": "${secret:PEPPER}"}}


def test_a_secret_is_needed_to_make_data_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEPPER", "hunter22")
    told = ran(tmp_path, numbers(5), [SALTED])

    made = went(told, "salted", row=0)
    missing = went(told, "salted", row=0, environ={})
    another = went(told, "salted", row=0, environ={"PEPPER": "other"})

    assert (made.state, made.row) == (DataState.VERIFIED, {"n": 5, "salt": 8})
    assert "it needs the secret PEPPER" in missing.why
    assert "the secret PEPPER is another one" in another.why
    assert "hunter22" not in str(told.explain(row=0).as_json())


class Reader(Transform):
    """Adds what stands in a file."""

    name = "reader"
    determinism = Determinism.IO_READ

    class Config(PluginConfig):
        path: str

    def start(self, context: Context) -> None:
        self.text = Path(self.config.path).read_text()

    def evidence(self) -> Mapping[str, Any]:
        return {"text": self.text}

    def process(self, row: Row, context: Context) -> Any:
        return {**row, "text": self.text}


def test_data_is_made_again_only_of_the_file_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.integration.explain_pipelines.PLUGINS", (*PLUGINS, Reader))
    file = tmp_path / "words.txt"
    file.write_text("then")
    told = ran(tmp_path, numbers(5), [{"name": "read", "plugin": "reader", "options": {"path": str(file)}}])

    same = went(told, "read", row=0)
    file.write_text("now")
    changed = went(told, "read", row=0)
    file.unlink()
    gone = went(told, "read", row=0)

    assert (same.state, same.row) == (DataState.VERIFIED, {"n": 5, "text": "then"})
    assert "is not what it was when the run took place" in changed.why
    assert "cannot be started again" in gone.why


def test_explaining_writes_nothing(tmp_path: Path) -> None:
    told = ran(tmp_path, numbers(1, 2), [TWICE])

    def dump() -> list[str]:
        with sqlite3.connect(told.audit.removeprefix("sqlite:///")) as connection:
            lines = list(connection.iterdump())
        connection.close()
        return lines

    before = dump()
    told.explain(row=0, field="double", forward=True)

    assert dump() == before


def test_an_explanation_is_json_with_typed_rows(tmp_path: Path) -> None:
    told = ran(tmp_path, [{"n": 1, "big": 2**70, "text": "\N{SNOWMAN}"}], sinks={"out": SHELF})

    said = told.explain(row=0, forward=True, field="big").as_json()

    assert said["schema_version"] == 1
    assert said["stories"][0]["data"]["row"] == {"n": 1, "big": 2**70, "text": "\N{SNOWMAN}"}
    assert said["field"]["steps"][0]["after"] == {"value": 2**70}
    assert said["stories"][0]["outcome"]["path"] == "default_flow"
    assert canonical(said)
