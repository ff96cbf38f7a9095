"""The readers of an export, which stream packed segments, against the SQL views of the same run."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

import pytest
from frame import events as ev
from frame.audit import database as store
from frame.audit.database import Database
from frame.audit.export.kinds import KINDS
from frame.audit.export.reading import READERS
from frame.audit.export.source import RunRecord
from frame.audit.opening import RunOpening
from frame.audit.recorder import Recorder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.test_audit_views import (
    BATCH,
    BOOM,
    NAMES,
    OUT,
    SOURCE,
    WORK,
    MadeUpRun,
    opening,
    record,
)

VIEWS = {
    "token": ("tokens", "chunk, position, token"),
    "visit": ("node_states", "chunk, position, token"),
    "route": ("routing_events", "chunk, position, token"),
    "batch": ("batches", "batch"),
    "batch_member": ("batch_members", "batch, chunk, position, place"),
    "batch_output": ("batch_outputs", "batch, token"),
    "sink_write": ("sink_intents", "node, intent"),
    "outcome": ("token_outcomes", "chunk, position, token"),
    "event": ("run_events", "block, position"),
    "call": ("calls", "chunk, position"),
    "artifact": ("artifacts", "chunk, position"),
    "error": ("errors", "chunk, position"),
}
COLUMNS = {kind.name: tuple(kind.columns) for kind in KINDS}


class EventfulRun(MadeUpRun):
    """A made-up run with the events, too, that change no token."""

    def chunk(self, number: int, size: int, last: bool) -> ev.Chunk:
        made = super().chunk(number, size, last)
        request, answer = (self.rng.randbytes(32) for _ in range(2))
        beside: list[ev.Event] = [
            ev.Called(WORK, 0, None, 0, "http", 0, request, answer, "ok", 7, 8),
            ev.Called(WORK, 0, 0, 1, "http", 0, request, None, "Timeout", 7, 8),
            ev.Noted("breaker_opened", 9, WORK, {"failures": 5}),
            ev.VisitsBegun(WORK, 0, [0], 4),
            ev.ArtifactMade(OUT, "file:///out.csv", 12, self.rng.randbytes(32), 3),
            ev.ArtifactMade(OUT, "file:///none.csv", None, None, None),
        ]
        beside += [
            ev.BatchAttemptFailed(BATCH, batch, 0, ev.VisitStatus.FAILED, BOOM, 5, 6)
            for batch in list(self.open_batches)[:1]
        ]
        kept = [*made.payloads, *self._kept(request, answer)]
        events = [*made.events, *beside, *([ev.SourceEnded(self.next_row)] if last else [])]
        return ev.Chunk(made.number, made.opened_us, events, kept, made.position)

    def _kept(self, request: bytes, answer: bytes) -> list[ev.Payloads]:
        bodies = ev.Payloads(ev.PayloadKind.CALLS, WORK, [request, answer], [b"ask", b"\xff\xfe"])
        reasons = ev.Payloads(ev.PayloadKind.REASONS, WORK, [0, 3, 7], [b'"so"', b'"thus"', b"null"])
        return [bodies, reasons] if self.next_token > 7 else [bodies]


@pytest.fixture(scope="module")
def database(module_store_url: str) -> Iterator[Database]:
    with store.open(module_store_url) as opened:
        yield opened


def from_view(connection: Any, kind: str, run: int) -> list[dict[str, Any]]:
    view, order = VIEWS[kind]
    wanted = ", ".join(f'"{name}"' for name in COLUMNS[kind] if name != "origin_token")
    found = connection.exec_driver_sql(f"SELECT {wanted} FROM {view} WHERE run = {run} ORDER BY {order}")
    return [
        {name: readable(name, value) for name, value in row._mapping.items() if value is not None}
        for row in found
    ]


def readable(name: str, value: Any) -> Any:
    if name in ("node", "sink", "fallback"):
        return NAMES[value]
    return value.hex() if isinstance(value, bytes) else value


def from_reader(connection: Any, kind: str, run: int) -> list[dict[str, Any]]:
    """Records without what is null, their columns checked."""
    found = list(READERS[kind](RunRecord(connection, run)))
    assert all(set(each) <= set(COLUMNS[kind]) for each in found)
    return [{name: value for name, value in each.items() if value is not None} for each in found]


runs = {"seed": st.integers(0, 2**32), "sizes": st.lists(st.integers(0, 30), min_size=1, max_size=4)}
relaxed = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(**runs)
def test_the_readers_say_what_the_views_say_in_the_order_that_is_promised(
    database: Database, seed: int, sizes: list[int]
) -> None:
    run = record(database, EventfulRun(seed), sizes)

    with database.reading() as connection:
        for kind in VIEWS:
            assert from_reader(connection, kind, run) == from_view(connection, kind, run), kind


@relaxed
@given(**runs)
def test_rows_and_parents_are_those_that_were_told(database: Database, seed: int, sizes: list[int]) -> None:
    story = EventfulRun(seed)

    run = record(database, story, sizes)

    with database.reading() as connection:
        rows = from_reader(connection, "row", run)
        family: dict[int, list[int]] = {}
        for each in from_reader(connection, "token_parent", run):
            family.setdefault(each["token"], []).append(each["parent"])
        born = {each["token"]: each["origin"] for each in from_reader(connection, "token", run)}
    assert [each["row"] for each in rows] == list(range(story.next_row))
    assert {each["token"]: each["digest"] for each in rows} == {
        token: story.origin[token].hex() for token in story.row_of
    }
    expected = {
        token: sorted(parents)
        for token, parents in story.parents.items()
        if parents and born[token] != "batch"
    }
    assert {token: sorted(parents) for token, parents in family.items()} == expected


ONLY_STORED = {ev.SourceEnded, ev.VisitsBegun}
"""Events that an export has as facts alone: no token is any further for them."""


def where(lines: Iterable[dict[str, Any]]) -> set[tuple[int, int]]:
    """The events that records are about."""
    places = [("chunk", "position"), ("ended_chunk", "ended_position")]
    return {(each[chunk], each[at]) for each in lines for chunk, at in places if chunk in each and at in each}


def test_every_kind_of_event_is_in_the_readable_records(database: Database) -> None:
    seen: set[type] = set()
    for seed in range(12):
        story = EventfulRun(seed)
        chunks: list[ev.Chunk] = []
        story.chunk = kept_in(chunks, story.chunk)  # type: ignore[method-assign]

        run = record(database, story, [20, 9])

        with database.reading() as connection:
            told = where(line for kind in COLUMNS for line in from_reader(connection, kind, run))
        for chunk in chunks:
            for position, event in enumerate(chunk.events):
                is_told = (chunk.number, position) in told
                # A write that took nothing that ended here is told by `confirmed_chunk` of its write.
                assert is_told or type(event) in {*ONLY_STORED, ev.SinkConfirmed}, event
                seen.add(type(event))
    assert seen == set(get_args(ev.Event)) - {ev.Abandoned, ev.Carried}


def kept_in(chunks: list[ev.Chunk], make: Callable[..., ev.Chunk]) -> Callable[..., ev.Chunk]:
    def making(*arguments: Any, **more: Any) -> ev.Chunk:
        chunks.append(make(*arguments, **more))
        return chunks[-1]

    return making


def test_tokens_of_another_run_and_abandoned_ones_are_told(database: Database) -> None:
    nodes = opening().nodes
    linked = RunOpening(
        "linked", "any", b"{}", nodes, [], started_us=0, origin_run_id="first", origin_kind="dead_letters"
    )
    recorder = Recorder(database).begin(linked)
    rows = ev.Payloads(ev.PayloadKind.ROWS, WORK, range(2), [b'{"n":1}', b'{"n":2}'])
    carried = ev.Carried(WORK, range(2), [7, 40], bytes(64))
    recorder.commit(ev.Chunk(0, 3, [carried, ev.Abandoned([1], BOOM)], [rows]))

    with database.reading() as connection:
        tokens = from_reader(connection, "token", recorder.run)
        kept = from_reader(connection, "payload", recorder.run)
        ends = from_reader(connection, "outcome", recorder.run)
        assert ends == from_view(connection, "outcome", recorder.run)

    assert [(each["token"], each["origin"], each["origin_token"]) for each in tokens] == [
        (0, "carried", 7),
        (1, "carried", 40),
    ]
    assert [(each["kind"], each["token"], each["data"]) for each in kept] == [
        ("rows", 0, '{"n":1}'),
        ("rows", 1, '{"n":2}'),
    ]
    assert [(each["token"], each["path"], each["error_type"]) for each in ends] == [(1, "abandoned", "Boom")]


def test_a_row_has_its_data_or_says_why_it_has_none(database: Database) -> None:
    run = record(database, EventfulRun(3), [4, 2])

    with database.reading() as connection:
        rows = from_reader(connection, "row", run)

    assert {each.get("data", each.get("withheld")) for each in rows if each["valid"]} == {
        f"row {each['token']}" for each in rows if each["valid"]
    }
    assert all(each["withheld"] == "not_kept" for each in rows if not each["valid"])


def test_values_that_were_kept_are_there_as_text_or_in_base64(database: Database) -> None:
    run = record(database, EventfulRun(5), [12])

    with database.reading() as connection:
        kept = from_reader(connection, "payload", run)

    calls = [each for each in kept if each["kind"] == "calls"]
    reasons = [each for each in kept if each["kind"] == "reasons"]
    assert [each.get("data") or each["data_base64"] for each in calls[:2]] == ["ask", "//4="]
    assert [(each["token"], each["data"]) for each in reasons[:3]] == [
        (0, '"so"'),
        (3, '"thus"'),
        (7, "null"),
    ]
    assert all(each["node"] == NAMES[WORK] for each in kept)
    assert not any(each["kind"] == "rows" or each["node"] == NAMES[SOURCE] for each in kept)


def test_a_token_that_failed_twice_ends_with_its_last_error(database: Database) -> None:
    recorder = Recorder(database).begin(opening())
    first, last = (ev.ErrorInfo("Boom", message) for message in ("at first", "at last"))
    failing = [
        event
        for visit, error in enumerate((first, last))
        for event in (
            ev.AttemptFailed(WORK, visit, 0, 0, ev.VisitStatus.FAILED, error, 5, 6),
            ev.Failed(WORK, visit, 0, error, clause=0),
        )
    ]
    intent = ev.SinkIntended(OUT, 0, 2, [0], [(ev.Path.ERROR_ROUTED, 1)], bytes(32), "k")
    recorder.commit(ev.Chunk(0, 3, [ev.RowsRead(0, range(1), bytes(32)), *failing, intent]))
    recorder.commit(ev.Chunk(1, 4, [ev.SinkConfirmed(OUT, 0, None, 5, 6)]))

    with database.reading() as connection:
        (end,) = from_reader(connection, "outcome", recorder.run)

    assert (end["path"], end["error_message"]) == ("error_routed", "at last")
