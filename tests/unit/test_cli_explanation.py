"""The story of a row as text: every step, what it changed, and where the record and the data part ways."""

from frame.cli.rendering.explanation import text
from frame.events import ErrorInfo, Outcome, Path
from frame.operations.explanation import (
    Attempt,
    BatchStory,
    Data,
    DataState,
    Decision,
    Explanation,
    FieldHistory,
    FieldStep,
    How,
    Impact,
    Known,
    Member,
    Origin,
    OutcomeShown,
    PluginShown,
    RowSet,
    SinkRow,
    TokenStory,
    VisitStory,
    WriteStory,
)

PLUGIN = PluginShown("compute", "std", "frame-std", "0.1.0", "deterministic")
ROW_3 = RowSet(1, ((3, 3),))


def data(state: DataState = DataState.VERIFIED, why: str = "", **row: object) -> Data:
    return Data(state, b"\0" * 32, row, How.KEPT, why)


def explanation(*visits: VisitStory, outcome: OutcomeShown | None = None, **more: object) -> Explanation:
    story = TokenStory(3, Origin("source", row=3, place="in.csv:5"), data(id=3), visits, outcome)
    whole = {"batches": (), "sources": ROW_3} | more
    return Explanation("01a", "try", "completed", "source row 3", (3,), (story,), **whole)  # type: ignore[arg-type]


def test_a_row_is_followed_from_its_source_through_every_step_to_its_sink() -> None:
    tax = VisitStory(
        0,
        "tax",
        "transform",
        PLUGIN,
        "passed",
        data(id=3),
        data(id=3, tax=0.5),
        (Attempt(0, "completed", 1, 40, 8),),
    )
    gate = VisitStory(
        0,
        "big",
        "gate",
        None,
        "routed",
        data(id=3),
        None,
        decision=Decision("true", "route", ("out",), expression="row.id > 1"),
        to=("out",),
    )
    write = VisitStory(
        0,
        "out",
        "sink",
        PluginShown("csv", "files", "frame-files", "0.1.0", "io_write"),
        "written",
        data(id=3),
        None,
        write=WriteStory(0, "k", True, 7, data(id=3), "file:///out.csv"),
    )

    shown = text(
        explanation(tax, gate, write, outcome=OutcomeShown(Outcome.SUCCESS, Path.GATE_ROUTED, sink="out"))
    )

    assert (
        shown
        == """\
source row 3 of run 01a (try, completed)

token 3: source row 3, in.csv:5
  {"id":3}
  tax (transform std.compute 0.1.0): passed, 40 µs for 8 rows
      + tax: 0.5
  big (gate row.id > 1): true, routed to out
  out (sink files.csv 0.1.0): written
      row 7 of file:///out.csv
  = success: gate routed, in out

goes back to source row 3"""
    )


def test_failed_attempts_are_told_with_their_errors_and_nothing_of_them_reaches_the_terminal() -> None:
    error = ErrorInfo("Fail", "no\x1b[2Jthing\nsecond line")
    visit = VisitStory(
        0,
        "call",
        "transform",
        PLUGIN,
        "failed",
        data(id=3),
        None,
        (Attempt(0, "failed", 1, 2, error=error),),
        error=error,
    )

    shown = text(explanation(visit, outcome=OutcomeShown(Outcome.FAILURE, Path.UNHANDLED, error=error)))

    assert "attempt 0 failed: Fail: no\\x1b[2Jthing\n" in shown
    assert "= failure: unhandled, Fail: no\\x1b[2Jthing" in shown
    assert "\x1b" not in shown


def test_data_that_is_not_what_the_record_says_stands_out() -> None:
    visit = VisitStory(
        0,
        "tax",
        "transform",
        PLUGIN,
        "passed",
        data(id=3),
        data(DataState.DIFFERS, "the plugin gives another row", id=4),
    )

    shown = text(explanation(visit))

    assert "~ id: 3 -> 4" in shown
    assert "!! its hash is NOT the one on record: the plugin gives another row" in shown
    assert "= open" in shown


def test_a_batch_names_its_members_and_what_came_out() -> None:
    members = (Member(1, RowSet(1, ((1, 1),))), Member(3, ROW_3))
    batch = BatchStory(5, "sum", PLUGIN, "transform", "completed", "at_end", 0, 1, 2, 2, members, 1, (9,))

    shown = text(explanation(batches=(batch,), sources=RowSet(5, ((0, 3), (7, 7)))))

    assert "batch 5 at sum (std.compute): completed, flushed by at_end" in shown
    assert "    token 3, source row 3" in shown
    assert "  came out: token 9" in shown
    assert shown.endswith("goes back to source rows 0-3, 7 (5 rows)")


def test_a_field_has_its_history_and_a_row_its_impact() -> None:
    history = FieldHistory("tax", (FieldStep(3, "tax", "set", after=Known(0.5), visit=0),), value=Known(0.5))
    impact = Impact(2, (SinkRow("out", 7, 4, Path.DEFAULT_FLOW, "file:///out.csv"),), (5,), {"batched": 1})

    shown = text(explanation(field=history, impact=impact))

    assert "tax: is 0.5\n  token 3, tax: set 0.5" in shown
    assert "what came of it: 2 tokens\n  out  row 7  token 4  file:///out.csv\n  in batch 5" in shown
