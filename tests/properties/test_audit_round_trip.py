"""What is recorded comes back: random chunks of random events in, the same out."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import count
from typing import Any

import pytest
from frame import events as ev
from frame.audit import database as store
from frame.audit.chunks import read_chunks
from frame.audit.database import Database
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.shapes import merged as merged_shapes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NODES = 4
BIG = 2**40

ids = count()
small = st.integers(0, 20)
times = st.integers(0, 2**50)
numbers = st.integers(0, BIG)
nodes = st.integers(0, NODES - 1)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
positions = st.none() | st.dictionaries(texts, jsons, max_size=3)
sha = st.binary(min_size=32, max_size=32)


@st.composite
def ranges(draw: st.DrawFn, longest: int = 40) -> range:
    first, size = draw(numbers), draw(st.integers(0, longest))
    return range(first, first + size) if size else range(0)


tokens = st.one_of(
    ranges(),
    st.lists(st.integers(0, 50), max_size=12),
    st.lists(numbers, max_size=6),
    st.tuples(numbers, st.integers(2_400, 7_600)).map(lambda pair: range(pair[0], sum(pair))),
    st.tuples(numbers, st.integers(2_400, 7_600)).map(
        lambda pair: list(range(pair[0], pair[0] + 2 * pair[1], 2))
    ),
)


def digests(number: int) -> bytes:
    return b"".join(index.to_bytes(32, "big") for index in range(number))


def visits(number: int) -> st.SearchStrategy[int | list[int]]:
    several = st.integers(0, 300).map(lambda most: [index % (most + 1) for index in range(number)])
    return small | several


errors = st.builds(ev.ErrorInfo, texts, texts, small, st.booleans(), st.none() | texts)
timed = {"node": nodes, "started_us": times, "duration_us": times}
attempt = {**timed, "visit": small, "attempt": small}


@st.composite
def rows_read(draw: st.DrawFn) -> ev.RowsRead:
    new = draw(ranges(6_000))
    return ev.RowsRead(draw(numbers), new, digests(len(new)))


@st.composite
def carried(draw: st.DrawFn) -> ev.Carried:
    some = draw(tokens)
    first = draw(numbers)
    new = range(first, first + len(some)) if some else range(0)
    return ev.Carried(draw(nodes), new, some, digests(len(some)))


@st.composite
def visited(draw: st.DrawFn) -> ev.Visited:
    some = draw(tokens)
    kept = draw(st.sampled_from([None, digests(len(some))]))
    return draw(st.builds(ev.Visited, tokens=st.just(some), digests=st.just(kept), **attempt))


@st.composite
def expanded(draw: st.DrawFn) -> ev.Expanded:
    new = draw(ranges(6_000))
    made = st.just(digests(len(new)))
    return draw(st.builds(ev.Expanded, parent=numbers, children=st.just(new), digests=made, **attempt))


@st.composite
def routed(draw: st.DrawFn) -> ev.Routed:
    some, fan = draw(tokens), draw(st.integers(0, 3))
    first = draw(numbers)
    born = len(some) * fan
    children = range(first, first + born) if born else range(0)
    return draw(
        st.builds(
            ev.Routed,
            tokens=st.just(some),
            label=texts,
            mode=st.sampled_from(ev.RouteMode),
            children=st.just(children),
            limit=st.booleans(),
            **attempt,
        )
    )


@st.composite
def buffered(draw: st.DrawFn) -> ev.Buffered:
    some = draw(tokens)
    which = visits(len(some))
    return draw(
        st.builds(ev.Buffered, visits=which, tokens=st.just(some), batch=numbers, opened_us=times, **timed)
    )


@st.composite
def waiting(draw: st.DrawFn) -> ev.Waiting:
    some = draw(tokens)
    return ev.Waiting(draw(nodes), draw(visits(len(some))), some, draw(times))


@st.composite
def flushed(draw: st.DrawFn) -> ev.BatchFlushed:
    outputs, members = draw(ranges(6_000)), draw(st.integers(0, 6_000))
    made = digests(len(outputs) or draw(st.sampled_from([0, members])))
    given = {"outputs": st.just(outputs), "members": st.just(members), "digests": st.just(made)}
    trigger = st.sampled_from(ev.TriggerKind)
    return draw(st.builds(ev.BatchFlushed, batch=numbers, trigger=trigger, attempt=small, **given, **timed))


@st.composite
def merged(draw: st.DrawFn) -> ev.Merged:
    widths = draw(st.lists(st.integers(0, 4), max_size=20)) * draw(st.sampled_from([1, 1, 1, 200]))
    first = draw(numbers)
    parents = draw(
        st.sampled_from([range(first, first + sum(widths)), [2 * index for index in range(sum(widths))]])
    )
    children = range(first, first + len(widths)) if widths else range(0)
    given = {
        "groups": st.just([7 * index for index in range(len(widths))]),
        "parents": st.just(parents),
        "widths": st.just(widths),
        "children": st.just(children),
        "digests": st.just(digests(len(widths))),
    }
    return draw(st.builds(ev.Merged, reason=texts, **given, **timed))


@st.composite
def intended(draw: st.DrawFn) -> ev.SinkIntended:
    some = draw(tokens)
    left, paths = len(some), []
    while left:
        size = draw(st.integers(1, left))
        paths.append((draw(st.sampled_from(ev.Path)), size))
        left -= size
    which = draw(visits(len(some)))
    return ev.SinkIntended(draw(nodes), next(ids), which, some, paths, draw(sha), draw(texts))


any_event = st.one_of(
    rows_read(),
    carried(),
    st.builds(ev.RowInvalid, numbers, numbers, sha, errors, st.none() | nodes, texts),
    st.builds(ev.SourceEnded, numbers),
    st.builds(ev.VisitsBegun, nodes, small, tokens, times),
    visited(),
    st.builds(
        ev.AttemptFailed, token=numbers, status=st.sampled_from(ev.VisitStatus), error=errors, **attempt
    ),
    st.builds(ev.Failed, nodes, small, numbers, errors, st.none() | small, st.booleans()),
    st.builds(ev.Dropped, tokens=tokens, reason=texts, **attempt),
    expanded(),
    routed(),
    buffered(),
    st.builds(
        ev.BatchAttemptFailed,
        batch=numbers,
        attempt=small,
        status=st.sampled_from(ev.VisitStatus),
        error=errors,
        **timed,
    ),
    flushed(),
    st.builds(
        ev.BatchFailed, nodes, numbers, st.sampled_from(ev.TriggerKind), small, errors, st.none() | small
    ),
    waiting(),
    merged(),
    st.builds(ev.MergeFailed, nodes, numbers, tokens, errors),
    st.builds(ev.MergeLate, nodes, numbers, numbers, small),
    intended(),
    st.builds(ev.ArtifactMade, nodes, texts, st.none() | numbers, st.none() | sha, st.none() | numbers),
    st.builds(ev.Abandoned, tokens, errors),
    st.builds(
        ev.Called,
        token=st.none() | numbers,
        kind=texts,
        index=small,
        request_sha256=sha,
        answer_sha256=st.none() | sha,
        status=texts,
        **attempt,
    ),
    st.builds(ev.Noted, texts, times, st.none() | nodes, st.dictionaries(texts, jsons, max_size=3)),
)


@st.composite
def confirmed(draw: st.DrawFn, events: Sequence[ev.Event]) -> list[ev.Event]:
    """`events` with a confirmation after some of the intents, wherever in the rest."""
    done = list(events)
    for event in events:
        if isinstance(event, ev.SinkIntended) and draw(st.booleans()):
            rejected = draw(
                st.lists(
                    st.tuples(numbers, texts, st.none() | nodes), max_size=3, unique_by=lambda one: one[0]
                )
            )
            times_us = draw(times), draw(times)
            place = draw(st.integers(done.index(event) + 1, len(done)))
            done.insert(
                place, ev.SinkConfirmed(event.node, event.intent, draw(positions), *times_us, rejected)
            )
    return done


@st.composite
def payloads(draw: st.DrawFn) -> ev.Payloads:
    kind = draw(st.sampled_from(ev.PayloadKind))
    key = sha if kind is ev.PayloadKind.CALLS else numbers
    item = st.binary(max_size=40) | st.just(b"x" * 600_000)
    pairs = draw(st.lists(st.tuples(key, item), max_size=5))
    keys, items = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    some = st.sampled_from([b'["b","a"]', b'[["c",["b","a"]]]', b'["a"]'])
    shapes = merged_shapes(
        (1, shape) for shape in draw(st.lists(some, min_size=len(items), max_size=len(items)))
    )
    return ev.Payloads(kind, draw(nodes), keys, items, draw(small), draw(small), shapes)


@st.composite
def chunks(draw: st.DrawFn) -> ev.Chunk:
    events = draw(confirmed(draw(st.lists(any_event, max_size=8))))
    kept = draw(st.lists(payloads(), max_size=2))
    return ev.Chunk(0, draw(times), events, kept, draw(positions))


def plain(value: Any) -> Any:
    """`value` with every sequence as a list: a range may come back for a list and a list for a tuple."""
    if is_dataclass(value):
        return type(value).__name__, *(plain(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, range | list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value


@pytest.fixture(scope="module")
def database(module_store_url: str) -> Iterator[Database]:
    with store.open(module_store_url) as opened:
        yield opened


def opening() -> RunOpening:
    places = [NodeOpening(number, f"node{number}", "transform") for number in range(NODES)]
    return RunOpening(f"run-{next(ids)}", "any", b"{}", places, [], started_us=0)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(several=st.lists(chunks(), min_size=1, max_size=3))
def test_random_chunks_of_random_events_come_back(database: Database, several: list[ev.Chunk]) -> None:
    numbered = [replace(chunk, number=number) for number, chunk in enumerate(several)]
    recorder = Recorder(database).begin(opening())

    for chunk in numbered:
        recorder.commit(chunk)

    with database.reading() as connection:
        assert [plain(chunk) for chunk in read_chunks(connection, recorder.run)] == [
            plain(chunk) for chunk in numbered
        ]
