"""The views and queries against a plain account of the same run, kept token by token while it is made up."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path as FilePath
from typing import Any

import pytest
from frame import events as ev
from frame.audit import database as store
from frame.audit import queries
from frame.audit.database import Database
from frame.audit.opening import NodeOpening, RunOpening
from frame.audit.recorder import Recorder
from frame.events import OUTCOME_OF, Chunk, ErrorInfo, Path, RouteMode, RunStatus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SOURCE, WORK, GATE, SPLIT, JOIN, BATCH, PASS, OUT, REJECTS = range(9)
NAMES = ["in", "work", "gate", "split", "join", "batch", "pass", "out", "rejects"]
BOOM = ErrorInfo("Boom", "it broke", 2, False, "trace")
run_numbers = count()


class MadeUpRun:
    """A run that never was: chunks of events, and beside them what an honest clerk would have written down."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.events: list[ev.Event] = []
        self.payloads: list[ev.Payloads] = []
        self.next_token = self.next_row = self.next_intent = self.next_batch = 0
        self.outcomes: dict[int, dict[str, Any]] = {}
        self.visits: dict[int, list[dict[str, Any]]] = {}
        self.parents: dict[int, tuple[int, ...]] = {}
        self.digest: dict[int, bytes] = {}
        self.origin: dict[int, bytes] = {}
        self.row_of: dict[int, int] = {}
        self.error: dict[int, ErrorInfo] = {}
        self.unconfirmed: list[tuple[ev.SinkIntended, list[int]]] = []
        self.written: dict[int, list[int]] = {OUT: [], REJECTS: []}
        self.open_batches: dict[int, tuple[int, list[int]]] = {}
        self.accepted: dict[int, list[int]] = {}
        self.waiting: dict[int, list[int]] = {}
        self.passed: list[int] = []

    def new(self, size: int) -> range:
        born = range(self.next_token, self.next_token + size)
        self.next_token += size
        self.visits.update({token: [] for token in born})
        return born

    def hashes(self, size: int) -> list[bytes]:
        return [self.rng.randbytes(32) for _ in range(size)]

    def born(self, tokens: range, hashes: list[bytes], parents: list[tuple[int, ...]]) -> None:
        for token, digest, of in zip(tokens, hashes, parents, strict=True):
            self.digest[token] = self.origin[token] = digest
            self.parents[token] = of

    def visit(self, token: int, node: int, status: str = "completed", attempt: int = 0, **more: Any) -> int:
        known = self.visits[token]
        number = len({one["visit"] for one in known}) if attempt == 0 else known[-1]["visit"]
        self.visits[token].append(
            {"visit": number, "attempt": attempt, "node": node, "status": status, **more}
        )
        return number

    def end(self, token: int, path: Path, **more: Any) -> None:
        assert token not in self.outcomes
        self.outcomes[token] = {"path": path.value, "outcome": OUTCOME_OF[path].value, **more}

    def by_visit(self, tokens: list[int], node: int, **more: Any) -> Iterator[tuple[int, list[int]]]:
        """Tokens in groups that share a visit number, each with that visit noted."""
        numbered = [(self.visit(token, node, **more), token) for token in tokens]
        for number, group in groupby(sorted(numbered), key=lambda pair: pair[0]):
            yield number, [token for _, token in group]

    # --- What can happen to tokens that wait somewhere; each returns those that go on -----------------------

    def read(self, size: int) -> list[int]:
        tokens, hashes = self.new(size), self.hashes(size)
        self.events.append(ev.RowsRead(self.next_row, tokens, b"".join(hashes)))
        self.born(tokens, hashes, [()] * size)
        self.row_of |= {token: self.next_row + place for place, token in enumerate(tokens)}
        self.payloads.append(
            ev.Payloads(ev.PayloadKind.ROWS, SOURCE, tokens, [b"row %d" % t for t in tokens])
        )
        self.next_row += size
        return list(tokens)

    def invalid(self) -> list[tuple[int, Path]]:
        (token,), (digest,) = self.new(1), self.hashes(1)
        sink = self.rng.choice([None, REJECTS])
        self.events.append(ev.RowInvalid(self.next_row, token, digest, BOOM, sink, "line 7"))
        self.digest[token] = self.origin[token] = digest
        self.parents[token], self.row_of[token] = (), self.next_row
        self.next_row += 1
        self.error[token] = BOOM
        if sink is not None:
            return [(token, Path.INVALID_AT_SOURCE)]
        self.end(token, Path.INVALID_AT_SOURCE, error="Boom")
        return []

    def work(self, tokens: list[int]) -> list[int]:
        for number, group in list(self.by_visit(tokens, WORK)):
            hashes = self.hashes(len(group)) if self.rng.random() < 0.7 else None
            self.events.append(
                ev.Visited(WORK, number, group, None if hashes is None else b"".join(hashes), 5, 6)
            )
            if hashes is not None:
                self.digest |= dict(zip(group, hashes, strict=True))
        return tokens

    def fail(self, token: int) -> list[tuple[int, Path]]:
        number = self.visit(token, WORK, status="timed_out", error="Boom")
        status = ev.VisitStatus.TIMED_OUT
        self.events.append(ev.AttemptFailed(WORK, number, token, 0, status, BOOM, 5, 6))
        self.visit(token, WORK, status="failed", attempt=1, error="Boom")
        self.events.append(ev.AttemptFailed(WORK, number, token, 1, ev.VisitStatus.FAILED, BOOM, 5, 6))
        clause, limit = self.rng.choice([(None, False), (0, False), (1, False), (2, True)])
        self.events.append(ev.Failed(WORK, number, token, BOOM, clause, limit))
        self.error[token] = BOOM
        if clause == 0:
            return [(token, Path.ERROR_ROUTED)]
        path = {None: Path.UNHANDLED, 1: Path.ERROR_DISCARDED, 2: Path.VISIT_LIMIT}[clause]
        self.end(token, path, error="Boom")
        return []

    def gate(self, tokens: list[int]) -> list[int]:
        for number, group in list(self.by_visit(tokens, GATE)):
            self.events.append(ev.Routed(GATE, number, group, "true", RouteMode.CONTINUE, 5, 6))
        return tokens

    def discard(self, tokens: list[int]) -> list[int]:
        limit = self.rng.random() < 0.3
        for number, group in list(self.by_visit(tokens, GATE)):
            mode = RouteMode.LOOP if limit else RouteMode.DISCARD
            self.events.append(ev.Routed(GATE, number, group, "no", mode, 5, 6, limit=limit))
        for token in tokens:
            if limit:
                self.end(token, Path.VISIT_LIMIT, error="VisitLimit")
            else:
                self.end(token, Path.GATE_DISCARDED, reason="no")
        return []

    def drop(self, tokens: list[int]) -> list[int]:
        for number, group in list(self.by_visit(tokens, WORK)):
            self.events.append(ev.Dropped(WORK, number, group, "not needed", 5, 6))
        for token in tokens:
            self.end(token, Path.DROPPED, reason="not needed")
        return []

    def expand(self, token: int) -> list[int]:
        size = self.rng.choice([0, 1, 3])
        children, hashes = self.new(size), self.hashes(size)
        children = children if size else range(0)
        number = self.visit(token, WORK)
        self.events.append(ev.Expanded(WORK, number, token, children, b"".join(hashes), 5, 6))
        self.born(children, hashes, [(token,)] * size)
        self.end(token, Path.EXPANDED, group=token)
        return list(children)

    def fork(self, tokens: list[int]) -> list[int]:
        born = []
        for number, group in list(self.by_visit(tokens, SPLIT)):
            children = self.new(2 * len(group))
            self.events.append(
                ev.Routed(SPLIT, number, group, "both", RouteMode.FORK, 5, 6, children=children)
            )
            of = [token for token in group for _ in range(2)]
            self.born(children, [self.digest[token] for token in of], [(token,) for token in of])
            for token in group:
                self.end(token, Path.FORKED, group=token)
            born += list(children)
        return self.join(born)

    def join(self, tokens: list[int]) -> list[int]:
        """Branches arrive at the join; some groups wait for a later chunk."""
        numbers = [self.visit(token, JOIN) for token in tokens]
        self.events.append(ev.Waiting(JOIN, numbers, tokens, 5))
        for token in tokens:
            self.waiting.setdefault(self.parents[token][0], []).append(token)
        return self.merge([group for group in self.waiting if self.rng.random() < 0.6])

    def merge(self, groups: list[int]) -> list[int]:
        united = [(group, self.waiting.pop(group)) for group in groups]
        fine = [one for one in united if self.rng.random() < 0.8]
        for group, tokens in [one for one in united if one not in fine]:
            first, *others = tokens
            self.events.append(ev.MergeFailed(JOIN, group, [first], BOOM))
            self.end(first, Path.MERGE_INCOMPLETE, group=group, error="Boom")
            for token in others:
                number = self.visit(token, JOIN, status="failed", error="LateAtMerge")
                self.events.append(ev.MergeLate(JOIN, group, token, number))
                self.end(token, Path.LATE_AT_MERGE, group=group, error="LateAtMerge")
        if not fine:
            return []
        children, hashes = self.new(len(fine)), self.hashes(len(fine))
        parents = [token for _, tokens in fine for token in tokens]
        widths = [len(tokens) for _, tokens in fine]
        numbers = [group for group, _ in fine]
        joined = b"".join(hashes)
        self.events.append(ev.Merged(JOIN, numbers, parents, widths, children, joined, "all", 5, 6))
        self.born(children, hashes, [tuple(tokens) for _, tokens in fine])
        for group, tokens in fine:
            for token in tokens:
                self.end(token, Path.MERGED, group=group)
        return list(children)

    def buffer(self, tokens: list[int], node: int) -> list[int]:
        batch = next((one for one, (where, _) in self.open_batches.items() if where == node), None)
        if batch is None:
            batch, self.next_batch = self.next_batch, self.next_batch + 1
            self.open_batches[batch] = node, []
        numbers = [self.visit(token, node) for token in tokens]
        self.events.append(ev.Buffered(node, numbers, tokens, batch, 4, 5, 6))
        self.open_batches[batch][1].extend(tokens)
        self.accepted.setdefault(batch, []).extend(tokens)
        return []

    def flush(self, batch: int) -> list[int]:
        node, members = self.open_batches.pop(batch)
        if self.rng.random() < 0.2:
            clause = self.rng.choice([None, 0])
            trigger = ev.TriggerKind.COUNT
            self.events.append(ev.BatchFailed(node, batch, trigger, len(members), BOOM, clause))
            for token in members:
                path = Path.UNHANDLED if clause is None else Path.ERROR_DISCARDED
                self.end(token, path, batch=batch, error="Boom")
            return []
        size = len(members) if node == PASS else self.rng.choice([0, 1, 4])
        hashes = self.hashes(size)
        outputs = range(0) if node == PASS or not size else self.new(size)
        joined = b"".join(hashes)
        trigger = ev.TriggerKind.AT_END
        self.events.append(ev.BatchFlushed(node, batch, trigger, len(members), outputs, joined, 5, 6))
        if node == PASS:
            self.digest |= dict(zip(members, hashes, strict=True))
            return members
        self.born(outputs, hashes, [tuple(members)] * len(outputs))
        for token in members:
            self.end(token, Path.BATCHED, batch=batch)
        return list(outputs)

    def write(self, sink: int, going: list[tuple[int, Path]]) -> None:
        if not going:
            return
        tokens = [token for token, _ in going]
        numbers = [self.visit(token, sink, status="intended") for token in tokens]
        paths = [(path, len(list(group))) for path, group in groupby(path for _, path in going)]
        intent = ev.SinkIntended(
            sink, self.next_intent, numbers, tokens, paths, bytes(32), f"k{self.next_intent}"
        )
        self.next_intent += 1
        self.events.append(intent)
        self.unconfirmed.append((intent, tokens))

    def confirm(self) -> list[tuple[int, Path]]:
        """All writes of the chunk before are done; what OUT refused goes to REJECTS, or ends."""
        diverted: list[tuple[int, Path]] = []
        for intent, tokens in self.unconfirmed:
            refused = []
            if intent.node == OUT:
                refused = [
                    (token, "too long", self.rng.choice([None, REJECTS]))
                    for token in tokens
                    if self.rng.random() < 0.1
                ]
            self.events.append(ev.SinkConfirmed(intent.node, intent.intent, {"at": 1}, 5, 6, refused))
            fallback = {token: to for token, _, to in refused}
            paths = [path for path, size in intent.paths for _ in range(size)]
            for token, path in zip(tokens, paths, strict=True):
                refusal = token in fallback
                self.visits[token][-1] |= (
                    {"status": "failed", "error": "SinkRejected"} if refusal else {"status": "completed"}
                )
                if not refusal:
                    self.written[intent.node].append(token)
                    self.end_at_sink(token, path, intent.node)
                elif fallback[token] is None:
                    self.end(token, Path.SINK_REJECTED, sink=OUT, error="SinkRejected")
                else:
                    diverted.append((token, Path.SINK_REJECTED))
        self.unconfirmed = []
        return diverted

    def end_at_sink(self, token: int, path: Path, sink: int) -> None:
        if path is Path.SINK_REJECTED:
            self.end(token, path, sink=OUT, fallback=REJECTS, error="SinkRejected")
        elif path in (Path.ERROR_ROUTED, Path.INVALID_AT_SOURCE):
            self.end(token, path, sink=sink, error="Boom")
        else:
            self.end(token, path, sink=sink)

    # --- Chunks ----------------------------------------------------------------------------------------------

    def step(self, tokens: list[int], to_rejects: list[tuple[int, Path]]) -> list[int]:
        """The tokens go different ways; those that are still on their way come back."""
        on: list[int] = []
        ways = ["work", "gate", "discard", "drop", "fork", "batch", "pass", "expand", "fail", "stay", "stay"]
        by_way: dict[str, list[int]] = {}
        for token in tokens:
            by_way.setdefault(self.rng.choice(ways), []).append(token)
        for way, group in by_way.items():
            match way:
                case "work" | "gate" | "discard" | "drop" | "fork":
                    on += getattr(self, way)(group)
                case "batch" | "pass":
                    on += self.buffer(group, BATCH if way == "batch" else PASS)
                case "expand":
                    on += [child for token in group for child in self.expand(token)]
                case "fail":
                    to_rejects += [one for token in group for one in self.fail(token)]
                case _:
                    on += group
        return on

    def chunk(self, number: int, size: int, last: bool) -> Chunk:
        self.events, self.payloads = [], []
        to_rejects = self.confirm()
        tokens = self.read(size) if size else []
        to_rejects += [one for _ in range(self.rng.choice([0, 0, 1])) for one in self.invalid()]
        for _ in range(3):
            tokens = self.step(tokens, to_rejects)
        while last and (self.open_batches or self.waiting):
            for batch in list(self.open_batches):
                tokens += self.flush(batch)
            tokens += self.merge(list(self.waiting))
        due = [batch for batch in self.open_batches if self.rng.random() < 0.5]
        tokens += [token for batch in due for token in self.flush(batch)]
        paths = [Path.DEFAULT_FLOW, Path.GATE_ROUTED]
        self.write(OUT, [(token, self.rng.choice(paths)) for token in tokens])
        self.write(REJECTS, to_rejects)
        position = {"row": self.next_row} if size else None
        return Chunk(number, 3, self.events, self.payloads, position)

    def chunks(self, sizes: list[int]) -> Iterator[Chunk]:
        for number, size in enumerate(sizes):
            yield self.chunk(number, size, last=number == len(sizes) - 1)
        number = len(sizes)
        while self.unconfirmed:
            yield self.chunk(number, 0, last=True)
            number += 1


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: FilePath = tmp_path_factory.mktemp("audit")
    with store.open(f"sqlite:///{folder}/audit.db") as opened:
        yield opened


def opening() -> RunOpening:
    clauses = {WORK: [REJECTS, None, WORK], BATCH: [None], PASS: [None]}
    places = [NodeOpening(n, name, "any", on_error=clauses.get(n, ())) for n, name in enumerate(NAMES)]
    return RunOpening(f"made-up-{next(run_numbers)}", "any", b"{}", places, [], started_us=0)


def record(database: Database, story: MadeUpRun, sizes: list[int]) -> int:
    recorder = Recorder(database).begin(opening())
    for chunk in story.chunks(sizes):
        recorder.commit(chunk)
    recorder.finish(RunStatus.COMPLETED_WITH_FAILURES, {}, 9)
    return recorder.run


def without_nones(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def outcome_facts(row: Any) -> dict[str, Any]:
    groups = [row.fork_group, row.expand_group, row.merge_group]
    error = getattr(row, "error_type", None)
    said = row.error.type if getattr(row, "error", None) else error
    return without_nones(
        {
            "outcome": str(row.outcome),
            "path": str(row.path),
            "sink": row.sink,
            "fallback": row.fallback,
            "reason": row.reason,
            "error": said,
            "batch": row.batch,
            "group": next((group for group in groups if group is not None), None),
        }
    )


def visit_facts(row: Any) -> dict[str, Any]:
    said = row.error.type if getattr(row, "error", None) else getattr(row, "error_type", None)
    facts = {name: getattr(row, name) for name in ("visit", "attempt", "node", "status")}
    return without_nones({**facts, "error": said})


runs = {"seed": st.integers(0, 2**32), "sizes": st.lists(st.integers(0, 30), min_size=1, max_size=4)}
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(**runs)
def test_the_views_say_what_happened_to_every_token(database: Database, seed: int, sizes: list[int]) -> None:
    story = MadeUpRun(seed)

    run = record(database, story, sizes)

    with database.reading() as connection:

        def rows(view: str) -> list[Any]:
            return list(connection.exec_driver_sql(f"SELECT * FROM {view} WHERE run = {run}"))

        outcomes = [(row.token, outcome_facts(row)) for row in rows("token_outcomes")]
        assert sorted(outcomes, key=lambda pair: pair[0]) == sorted(story.outcomes.items())
        states: dict[int, list[dict[str, Any]]] = {token: [] for token in story.visits}
        for row in sorted(rows("node_states"), key=lambda row: (row.token, row.visit, row.attempt)):
            states[row.token].append(visit_facts(row))
        assert states == story.visits
        family: dict[int, list[int]] = {token: [] for token in story.parents}
        for row in rows("token_parents"):
            family[row.token].append(row.parent)
        assert {token: sorted(of) for token, of in family.items()} == {
            token: sorted(of) for token, of in story.parents.items()
        }
        assert sorted(row.token for row in rows("tokens")) == sorted(story.parents)
        read = {row.row: (row.token, row.digest) for row in rows("rows")}
        assert read == {row: (token, story.origin[token]) for token, row in story.row_of.items()}


@relaxed
@given(**runs)
def test_the_queries_say_what_happened_to_every_token(
    database: Database, seed: int, sizes: list[int]
) -> None:
    story = MadeUpRun(seed)

    run = record(database, story, sizes)

    with database.reading() as connection:
        for token in story.parents:
            outcome = queries.outcome_of(connection, run, token)
            assert outcome_facts(outcome) == story.outcomes[token]
            visits = queries.visits_of(connection, run, token)
            assert [visit_facts(visit) for visit in visits] == story.visits[token]
            assert queries.parents_of(connection, run, token).tokens == story.parents[token]
            children = {child for child, of in story.parents.items() if token in of}
            assert set(queries.children_of(connection, run, token)) == children
            at_sink = [visit for visit in visits if visit.node in (OUT, REJECTS)]
            assert {visit.input_digest for visit in at_sink} <= {story.digest[token]}
            if token in story.row_of:
                assert queries.token_of_row(connection, run, story.row_of[token]) == token
        for sink, written in story.written.items():
            assert [queries.token_at(connection, run, sink, at) for at in range(len(written))] == written


@relaxed
@given(**runs)
def test_counters_are_those_of_the_outcomes(database: Database, seed: int, sizes: list[int]) -> None:
    story = MadeUpRun(seed)

    run = record(database, story, sizes)

    with database.reading() as connection:
        counters = queries.counters_of(connection, run)
    ended = Counter(outcome["path"] for outcome in story.outcomes.values())
    outcomes = Counter(outcome["outcome"] for outcome in story.outcomes.values())
    assert counters["tokens"] == len(story.parents)
    assert counters["open"] == 0
    assert (counters["succeeded"], counters["failed"]) == (outcomes["success"], outcomes["failure"])
    assert (counters["forked"], counters["merged"]) == (ended["forked"], ended["merged"])


@relaxed
@given(**runs)
def test_members_stand_in_the_order_in_which_their_batch_took_them_in(
    database: Database, seed: int, sizes: list[int]
) -> None:
    story = MadeUpRun(seed)

    run = record(database, story, sizes)

    with database.reading() as connection:
        asked = f"SELECT batch, place, token FROM batch_members WHERE run = {run} ORDER BY batch, place"
        found = [tuple(row) for row in connection.exec_driver_sql(asked)]
    told = sorted(story.accepted.items())
    assert found == [(batch, place, token) for batch, tokens in told for place, token in enumerate(tokens)]


def test_kept_rows_are_found_by_token(database: Database) -> None:
    story = MadeUpRun(3)

    run = record(database, story, [30, 20])

    with database.reading() as connection:
        kept = {
            token: queries.payload_of(connection, run, ev.PayloadKind.ROWS, token) for token in story.row_of
        }
    valid = {token: b"row %d" % token for token in story.row_of if token not in story.error or kept[token]}
    assert {token: data for token, data in kept.items() if data is not None} == valid
