"""Births looked up in bulk: where tokens come from, by the record alone."""

from collections.abc import Iterator, Sequence

import pytest
from frame.audit import database
from frame.audit.lineage import Lineage
from frame.audit.lineage_births import KEPT_CHUNKS, Births, Root
from frame.audit.opening import EdgeOpening, NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.errors import UsageError
from frame.events import (
    BatchFlushed,
    Buffered,
    Chunk,
    Event,
    Expanded,
    Merged,
    Routed,
    RouteMode,
    RowsRead,
    TriggerKind,
    Waiting,
)
from sqlalchemy import Connection

HASH = b"\7" * 32
NAMES = ("in", "fork", "left", "right", "join", "split", "sum", "out")
EDGES = ((1, 2, "all"), (1, 3, "all"))


@pytest.fixture
def connection(store_url: str) -> Iterator[Connection]:
    nodes = [NodeOpening(number, name, "transform") for number, name in enumerate(NAMES)]
    edges = [EdgeOpening(origin, target, label, "fork") for origin, target, label in EDGES]
    opening = RunOpening("run", "told", b"{}", nodes, edges, started_us=1)
    with database.open(store_url) as store:
        recorder = Recorder(store).begin(opening)
        for number, events in enumerate(CHUNKS):
            recorder.commit(Chunk(number, 1, events))
        with store.reading() as reading:
            yield reading


def forked(tokens: range, children: range) -> Routed:
    return Routed(1, 0, tokens, "all", RouteMode.FORK, 1, 1, children=children)


def merged(groups: Sequence[int], parents: Sequence[int], children: range) -> Merged:
    widths = [2] * len(groups)
    return Merged(4, groups, parents, widths, children, HASH * len(groups), "all", 1, 1)


CHUNKS: list[list[Event]] = [
    [
        RowsRead(0, range(2), HASH * 2),
        forked(range(2), range(2, 6)),
        Waiting(4, 1, range(2, 6), 1),
        merged([0, 1], [2, 3, 4, 5], range(6, 8)),
        Expanded(5, 0, 7, range(8, 11), HASH * 3, 1, 1),
        Buffered(6, 0, range(8, 11), 0, 1, 1, 1),
    ],
    [
        RowsRead(2, range(11, 3_011), HASH * 3_000),
        Buffered(6, 0, range(11, 3_011), 0, 1, 1, 1),
        BatchFlushed(6, 0, TriggerKind.COUNT, 3_003, range(3_011, 6_011), HASH * 3_000, 1, 1),
    ],
    *([RowsRead(3_002 + n, range(6_011 + n, 6_012 + n), HASH)] for n in range(KEPT_CHUNKS + 5)),
]


@pytest.mark.parametrize(
    ("token", "kind", "parents", "index", "root"),
    [
        (1, "source", (), 0, Root(1, None)),
        (4, "fork", (1,), 0, Root(1, None)),
        (5, "fork", (1,), 1, Root(1, None)),
        (7, "merge", (4, 5), 0, Root(1, None)),
        (10, "expansion", (7,), 2, Root(1, None)),
        (2_999, "source", (), 0, Root(2_990, None)),
        (6_010, "batch", (), 2_999, Root(None, 0)),
    ],
)
def test_a_birth_is_found_with_parents_place_and_root(
    token: int, kind: str, parents: tuple[int, ...], index: int, root: Root, connection: Connection
) -> None:
    births = Births(connection, 1)

    birth = births.of(token)

    assert (birth.kind, births.parents(birth), births.index(birth)) == (kind, parents, index)
    assert births.root(token) == root


@pytest.mark.parametrize("token", [-1, 10_000])
def test_a_token_that_there_is_not_is_refused(token: int, connection: Connection) -> None:
    births = Births(connection, 1)

    with pytest.raises(UsageError, match=f"there is no token {token}"):
        births.of(token)


def test_chunks_that_were_forgotten_are_read_again(connection: Connection) -> None:
    births = Births(connection, 1)

    rows = [births.root(token).row for token in (0, *range(6_011, births.count), 0)]

    assert rows == [0, *range(3_002, 3_002 + KEPT_CHUNKS + 5), 0]


@pytest.mark.parametrize(("token", "group", "branch"), [(2, 0, 2), (3, 0, 3), (4, 0, None), (6, 0, None)])
def test_a_token_stands_for_the_branch_of_its_own_fork(
    token: int, group: int, branch: int | None, connection: Connection
) -> None:
    assert Lineage(connection, 1).branch_of(token, group) == branch
