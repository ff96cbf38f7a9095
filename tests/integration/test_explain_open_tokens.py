"""What `explain` says of tokens whose journey has not come to its end."""

import threading
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import pytest
from frame.events import Path, RunStatus
from frame.plugin import Context, Determinism, Rejected, Transform
from frame.rows import Row

from tests.integration.explain_pipelines import (
    PLUGINS,
    Shelf,
    brief,
    numbers,
    ran,
    subject,
    tampered,
    visit_at,
)

STOP = threading.Event()


class Stopper(Transform):
    """Asks the run to stop at the row with n = 3."""

    name = "stopper"
    determinism = Determinism.DETERMINISTIC

    def process(self, row: Row, context: Context) -> Any:
        if row["n"] == 3:
            STOP.set()
        return row


class Telephone(Transform):
    """Calls the outside world."""

    name = "telephone"
    determinism = Determinism.EXTERNAL_CALL

    def process(self, row: Row, context: Context) -> Any:
        return {**row, "said": context.call("phone", row["n"], lambda number: f"hello {number}")}


@pytest.fixture(autouse=True)
def _plugins_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    STOP.clear()
    monkeypatch.setattr("tests.integration.explain_pipelines.PLUGINS", (*PLUGINS, Stopper, Telephone))


def test_a_token_in_a_batch_that_was_never_flushed_stands_there(tmp_path: FilePath) -> None:
    told = ran(
        tmp_path,
        numbers(1, 2, 3, 4),
        [
            {"name": "stopper", "plugin": "stopper"},
            {"name": "sum", "aggregate": {"plugin": "total"}, "trigger": {"count": 3}},
        ],
        stop=STOP,
        settings={"chunk_rows": 2},
    )
    assert told.result.status is RunStatus.INTERRUPTED

    flushed, held = (subject(told.explain(row=row)) for row in (0, 3))

    assert brief(flushed) == [("stopper", "unchanged"), ("sum", "batched")]
    assert brief(held) == [("stopper", "unchanged"), ("sum", "buffered")]
    assert (held.outcome, held.stands) == (None, "sum")
    (batch,) = told.explain(row=3).batches
    assert (batch.status, batch.trigger, batch.members_count) == ("draft", None, 1)
    impact = told.explain(row=3, forward=True).impact
    assert impact is not None
    assert (impact.open, impact.sink_rows) == (1, ())


def test_a_row_whose_write_failed_was_intended_and_no_more(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Shelf, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        raise OSError("no space left")

    monkeypatch.setattr(Shelf, "write", full)
    told = ran(tmp_path, numbers(1))
    assert told.result.status is RunStatus.FAILED

    explanation = told.explain(row=0, forward=True)

    story = subject(explanation)
    assert brief(story) == [("out", "intended")]
    write = visit_at(story, "out").write
    assert write is not None
    assert (write.confirmed, write.index, write.row.row) == (False, None, {"n": 1})
    if story.outcome is None:
        assert story.stands == "out"
    assert explanation.impact is not None
    assert [(row.sink, row.index) for row in explanation.impact.sink_rows] == [("out", None)]


def test_a_token_that_the_run_ended_without_is_abandoned(tmp_path: FilePath) -> None:
    told = ran(
        tmp_path,
        numbers(5, 13),
        [
            {"name": "sum", "aggregate": {"plugin": "rank", "mode": "passthrough"}, "trigger": {"count": 1}},
            {"name": "try", "plugin": "flaky", "retry": {"attempts": 3, "wait": "1ms", "max_wait": "1ms"}},
        ],
        settings={"abort_on_error": True, "chunk_rows": 2},
    )
    assert told.result.status is RunStatus.FAILED

    stories = [subject(told.explain(row=row)) for row in (0, 1)]

    paths = {story.outcome.path for story in stories if story.outcome is not None}
    assert paths == {Path.UNHANDLED, Path.ABANDONED}


def test_a_call_that_a_crash_cut_short_has_begun_and_is_in_doubt(tmp_path: FilePath) -> None:
    told = ran(tmp_path, numbers(5), [{"name": "ring", "plugin": "telephone"}])

    whole = visit_at(subject(told.explain(row=0)), "ring")
    tampered(
        told,
        "DELETE FROM segment_digests WHERE chunk > 0 OR position > 0",
        "DELETE FROM segments WHERE kind NOT IN ('rows_read', 'visits_begun')",
    )
    cut = subject(told.explain(row=0))

    assert (whole.result, len(whole.attempts)) == ("passed", 1)
    assert brief(cut) == [("ring", "begun")]
    assert (cut.visits[0].attempts, cut.visits[0].went) == ((), None)
    assert (cut.outcome, cut.stands) == (None, "ring")
