"""No token of a completed run is without an end, has two, or came from nowhere."""

import pytest
from frame.audit import database as store
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.errors import AuditError
from frame.events import (
    Abandoned,
    Chunk,
    Dropped,
    ErrorInfo,
    Event,
    Expanded,
    Failed,
    MergeLate,
    RowsRead,
    RunStatus,
    SourceEnded,
)

NODES = [NodeOpening(0, "in", "source"), NodeOpening(1, "work", "transform", on_error=[None])]
BOOM = ErrorInfo("Boom", "it broke")


def read(first: int, size: int) -> RowsRead:
    return RowsRead(first, range(first, first + size), bytes(32 * size))


def dropped(*tokens: int) -> Dropped:
    return Dropped(1, 0, tokens, "not needed", 1, 2)


def finish(url: str, events: list[Event], status: RunStatus = RunStatus.COMPLETED) -> None:
    with store.open(url) as database:
        recorder = Recorder(database).begin(RunOpening("one", "any", b"{}", NODES, [], started_us=0))
        for number, event in enumerate(events):
            recorder.commit(Chunk(number, 0, [event]))
        recorder.finish(status, {}, 9)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([read(0, 3), dropped(0, 2)], "token 1 has no end"),
        ([read(0, 3), dropped(0, 2), dropped(1, 2)], "token 2 ended twice"),
        ([read(0, 3), dropped(0, 1, 2), Abandoned(range(3), BOOM)], "token 0 ended twice"),
        ([read(0, 3), dropped(0, 1, 2, 7)], "token 7 ended and had never come into being"),
        ([read(0, 3), read(2, 2)], "token 2 came into being twice"),
        ([read(0, 1), Expanded(1, 0, 0, range(1, 3), bytes(64), 1, 2)], "token 1 has no end"),
        ([read(0, 1), Failed(1, 0, 0, BOOM, clause=1)], "token 0 has no end"),
    ],
)
def test_a_run_that_does_not_balance_is_not_completed(
    store_url: str, events: list[Event], message: str
) -> None:
    with pytest.raises(AuditError, match=message):
        finish(store_url, events)


@pytest.mark.parametrize(
    "events",
    [
        [read(0, 3), dropped(2, 0, 1)],
        [read(0, 3), Abandoned(range(3), BOOM)],
        [read(0, 1), Failed(1, 0, 0, BOOM, clause=0)],
        [read(0, 1), Failed(1, 0, 0, BOOM, clause=None)],
        [read(0, 1), Failed(1, 0, 0, BOOM, clause=1, limit=True)],
        [read(0, 1), MergeLate(1, 0, 0, 0)],
        [SourceEnded(0)],
    ],
)
def test_a_run_that_balances_is_completed(store_url: str, events: list[Event]) -> None:
    finish(store_url, events)


def test_a_run_that_stopped_early_may_have_tokens_without_an_end(store_url: str) -> None:
    finish(store_url, [read(0, 3)], RunStatus.INTERRUPTED)
