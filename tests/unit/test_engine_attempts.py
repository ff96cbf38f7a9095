"""Attempts: how often a plugin is called for a row, how long it may take, and what is on record about it."""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.engine.delays import delay_s
from frame.errors import RetryableError
from frame.events import AttemptFailed, Failed, Noted, Path, RunStatus, Visited, VisitStatus
from frame.graph.model import Retry
from frame.plugin import Context, Determinism, Drop, Fail, PluginConfig, Transform, TransformResult
from frame.rows import Row
from frame.testing import (
    Applied,
    FlakyTransform,
    Hangs,
    ListSink,
    ListSource,
    ManualClock,
    TestRun,
    run_pipeline,
)

Policy = Mapping[str, Any]


def run(plugin: object, rows: int = 3, clock: ManualClock | None = None, **policy: Any) -> TestRun:
    settings = policy.pop("settings", {})
    stop = policy.pop("stop", None)
    return run_pipeline(
        pipeline(
            "attempts",
            source=ListSource([{"n": n} for n in range(rows)]),
            nodes=[{"name": "work", "plugin": plugin, "to": "out", **policy}],
            sinks={
                name: ListSink()
                for name in ("out", "bad", "worse")
                if name == "out" or f"'{name}'" in str(policy)
            },
            settings=settings,
        ),
        clock=clock,
        stop=stop,
    )


def attempts(ran: TestRun) -> list[tuple[int, int, VisitStatus, str]]:
    return [
        (event.token, event.attempt, event.status, event.error.type)
        for event in ran.events
        if isinstance(event, AttemptFailed)
    ]


def numbers(rows: Sequence[Row]) -> list[int]:
    return [row["n"] for row in rows]


class Coded(Transform):
    """Its class is what a pipeline names, so that each instance is a fresh one."""

    name = "coded"
    determinism = Determinism.DETERMINISTIC
    made: list["Coded"]


def fresh(base: type[Transform] = Transform, **members: Any) -> type[Transform]:
    """A class of its own with these members, and the list `made` of its instances."""

    def begin(self: Any, config: PluginConfig) -> None:
        base.__init__(self, config)
        self.made.append(self)

    common = {"name": "coded", "determinism": Determinism.DETERMINISTIC, "made": [], "__init__": begin}
    return type("Coded", (base,), common | members)


# --- Retries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [{}, {"concurrency": 2}, {"breaker": {"failures": 100}}])
def test_a_row_that_succeeds_at_the_third_attempt_has_two_failed_ones_on_record(policy: Policy) -> None:
    ran = run(FlakyTransform(fails=[1, 2]), rows=1, retry={"attempts": 3}, **policy)

    assert attempts(ran) == [
        (0, 0, VisitStatus.FAILED, "RetryableError"),
        (0, 1, VisitStatus.FAILED, "RetryableError"),
    ]
    assert [event.attempt for event in ran.events if isinstance(event, Visited)] == [2]
    assert ran.result.status is RunStatus.COMPLETED


def test_attempts_that_are_used_up_are_told_with_their_number_and_the_last_error() -> None:
    ran = run(FlakyTransform(fails=[1, 2, 3]), rows=1, retry={"attempts": 3}, on_error="bad")

    [error] = [event.error for event in ran.events if isinstance(event, Failed)]
    assert (error.type, error.attempts) == ("RetriesExhausted", 3)
    assert error.message == "3 attempts, the last one failed with RetryableError: call 3 fails"
    assert ran.written["bad"][0]["_error"] == {
        "node": "work",
        "type": "RetriesExhausted",
        "message": error.message,
        "attempts": 3,
    }


@pytest.mark.parametrize(
    ("answer", "made", "kind"),
    [
        (ValueError("no"), 1, "ValueError"),
        (Fail("no"), 1, "Fail"),
        (Fail("no", retryable=True), 3, "RetriesExhausted"),
        (RetryableError("no"), 3, "RetriesExhausted"),
        (SystemExit(3), 1, "SystemExit"),
        (KeyboardInterrupt(), 1, "KeyboardInterrupt"),
        (None, 1, "WrongResult"),
    ],
)
@pytest.mark.parametrize("policy", [{}, {"concurrency": 2}])
def test_only_what_may_pass_is_tried_again(answer: Any, made: int, kind: str, policy: Policy) -> None:
    calls = itertools.count(1)
    called = []

    def work(row: Row) -> Any:
        called.append(next(calls))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    ran = run(Applied(work), rows=1, retry={"attempts": 3}, **policy)

    assert len(called) == len(attempts(ran)) == made
    assert [
        (event.error.type, event.error.attempts) for event in ran.events if isinstance(event, Failed)
    ] == [(kind, made)]


def test_waits_double_up_to_the_longest() -> None:
    retry = Retry(attempts=9, wait_s=1.0, max_wait_s=5.0, jitter=False)
    assert [delay_s(retry, failed) for failed in (1, 2, 3, 4, 5, 5_000)] == [1, 2, 4, 5, 5, 5]


@pytest.mark.parametrize("policy", [{}, {"breaker": {"failures": 100}}])
def test_the_attempts_of_a_row_are_as_far_apart_as_the_policy_says(policy: Policy) -> None:
    clock = ManualClock(automatic=True)
    retry = {"attempts": 5, "wait": "100s", "max_wait": "300s", "jitter": False}
    at: list[int] = []

    def work(row: Row) -> TransformResult:
        at.append(clock.time_us())
        return Fail("busy", retryable=True)

    run(Applied(work), rows=1, clock=clock, retry=retry, timeout=None, **policy)

    apart = [round((later - earlier) / 1e8) for earlier, later in itertools.pairwise(at)]
    assert apart == [1, 2, 3, 3]


def test_jitter_keeps_a_wait_between_half_of_it_and_all_of_it() -> None:
    waits = [delay_s(Retry(attempts=9, wait_s=1.0, jitter=True), 3) for _ in range(100)]
    assert 2.0 <= min(waits) < max(waits) <= 4.0


# --- Ways out --------------------------------------------------------------------------------------


def test_clauses_are_asked_in_order_and_one_that_cannot_be_evaluated_catches_nothing() -> None:
    clauses = [
        {"when": "row.absent == 1", "to": "worse"},
        {"when": "error.type == 'RetriesExhausted' && error.attempts == 2", "to": "bad"},
        {"when": "row.n == 1", "to": "worse"},
    ]
    answers = [Fail("busy", retryable=True), Fail("odd"), Fail("else")]

    ran = run(Applied(lambda row: answers[row["n"]]), retry={"attempts": 2}, on_error=clauses)

    assert (numbers(ran.written["bad"]), numbers(ran.written["worse"])) == ([0], [1])
    assert ran.state.ended == {Path.ERROR_ROUTED: 2, Path.UNHANDLED: 1}
    assert not ran.result.ok


def test_abort_on_error_stops_at_the_first_row_that_nothing_catches() -> None:
    ran = run(
        Applied(lambda row: Fail("no") if row["n"] == 2 else row),
        rows=6,
        settings={"abort_on_error": True, "chunk_rows": 2},
    )

    assert ran.result.status is RunStatus.FAILED
    assert ran.result.error is not None
    assert (ran.result.error.type, ran.result.counters["open"]) == ("Aborted", 0)
    assert numbers(ran.written["out"]) == [0, 1]


# --- Calls of many ---------------------------------------------------------------------------------


def many_of(work: Callable[[Sequence[Row]], Any]) -> type[Transform]:
    def process_many(self: Any, rows: Sequence[Row], context: Context) -> Any:
        return work(rows)

    return fresh(process_many=process_many)


@pytest.mark.parametrize("policy", [{}, {"concurrency": 2}, {"rate_limit": "1000000/s"}])
def test_process_many_is_enough_whatever_the_policy(policy: Policy) -> None:
    ran = run(many_of(lambda rows: [{"n": row["n"] + 10} for row in rows]), **policy)

    assert numbers(ran.written["out"]) == [10, 11, 12]


def test_a_row_at_fault_is_found_when_process_many_raises() -> None:
    sizes = []

    def work(rows: Sequence[Row]) -> list[Row]:
        sizes.append(len(rows))
        if any(row["n"] == 1 for row in rows):
            raise ValueError("one is at fault")
        return list(rows)

    ran = run(many_of(work))

    assert sizes == [3, 1, 1, 1]
    assert numbers(ran.written["out"]) == [0, 2]
    assert attempts(ran) == [(1, 0, VisitStatus.FAILED, "ValueError")]


@pytest.mark.parametrize("answer", [[], [Drop("a"), Drop("b"), Drop("c"), Drop("d")], None, 7])
def test_process_many_with_another_number_of_results_fails_each_row(answer: Any) -> None:
    ran = run(many_of(lambda rows: answer))

    assert ran.result.counters["unhandled"] == 3
    assert ran.written["out"] == []


def test_the_results_of_process_many_may_differ_row_by_row() -> None:
    results = [{"n": 7}, Drop("no use"), Fail("bad")]

    ran = run(many_of(lambda rows: iter([results[row["n"]] for row in rows])))

    assert numbers(ran.written["out"]) == [7]
    assert ran.state.ended == {Path.DEFAULT_FLOW: 1, Path.DROPPED: 1, Path.UNHANDLED: 1}


# --- Coroutines and concurrency --------------------------------------------------------------------


def async_of(work: Callable[[Row, Context], Any]) -> type[Transform]:
    async def process(self: Any, row: Row, context: Context) -> Any:
        return await work(row, context)

    return fresh(process=process)


def test_coroutines_run_side_by_side_and_rows_keep_their_order() -> None:
    under_way, most = [0], [0]

    async def work(row: Row, context: Context) -> Row:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        await asyncio.sleep(0.02 - 0.001 * row["n"])
        under_way[0] -= 1
        return row

    ran = run(async_of(work), rows=16, concurrency=8)

    assert (most[0], numbers(ran.written["out"])) == (8, list(range(16)))


def test_threads_run_side_by_side_and_rows_keep_their_order() -> None:
    together = threading.Barrier(4, timeout=5)

    def work(row: Row) -> Row:
        together.wait()
        return row

    ran = run(Applied(work), rows=8, concurrency=4)

    assert numbers(ran.written["out"]) == list(range(8))


class Gone(Exception):
    pass


@pytest.mark.parametrize(
    "error", [SystemExit(1), asyncio.CancelledError(), TimeoutError("their own"), Gone("x")]
)
def test_whatever_a_coroutine_raises_fails_its_row_alone(error: BaseException) -> None:
    async def work(row: Row, context: Context) -> Row:
        if row["n"] == 1:
            raise error
        return row

    ran = run(async_of(work))

    assert attempts(ran) == [(1, 0, VisitStatus.FAILED, type(error).__name__)]
    assert numbers(ran.written["out"]) == [0, 2]


# --- Timeouts --------------------------------------------------------------------------------------


def test_a_coroutine_that_takes_too_long_is_cancelled() -> None:
    cancelled = threading.Event()

    async def work(row: Row, context: Context) -> Row:
        try:
            if row["n"] == 1:
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return row

    ran = run(async_of(work), timeout="50ms")

    assert attempts(ran) == [(1, 0, VisitStatus.TIMED_OUT, "TimedOut")]
    assert cancelled.wait(1)
    assert numbers(ran.written["out"]) == [0, 2]


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_coroutine_that_will_not_be_cancelled_holds_nobody_up(release: threading.Event) -> None:
    resisting = []

    async def work(row: Row, context: Context) -> Row:
        if row["n"] == 0:
            resisting.append("begun")
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)
            resisting.append("ended")
        return row

    ran = run(async_of(work), rows=2, timeout="1s", concurrency=2)

    assert numbers(ran.written["out"]) == [1]
    assert resisting == ["begun"]


def hanging_at(release: threading.Event, called: list[tuple[int, int]], *, once: bool) -> type[Transform]:
    """Hangs with row 1 (only its first instance, if `once`); notes in `called` which instance gets which row."""

    def process(self: Any, row: Row, context: Context) -> Row:
        number = self.made.index(self)
        called.append((number, row["n"]))
        if row["n"] == 1 and not (once and number > 1):
            release.wait(10)
        return row

    return fresh(process=process)


def test_a_call_that_hangs_is_left_behind_with_its_instance_and_the_other_rows_go_on(
    release: threading.Event,
) -> None:
    called: list[tuple[int, int]] = []
    plugin = hanging_at(release, called, once=False)
    ran = run(plugin, rows=4, timeout="1s", clock=None)

    first = called[0][0]
    assert called == [(first, 0), (first, 1), (first + 1, 2), (first + 1, 3)]
    assert attempts(ran) == [(1, 0, VisitStatus.TIMED_OUT, "TimedOut")]
    assert numbers(ran.written["out"]) == [0, 2, 3]
    [note] = [e for e in ran.events if isinstance(e, Noted) and e.kind == "thread_left_behind"]
    assert note.detail == {"plugin": "coded", "timeout_s": 1.0}


def test_a_hung_call_that_comes_back_late_touches_no_further_row(release: threading.Event) -> None:
    called: list[tuple[int, int]] = []
    plugin = hanging_at(release, called, once=False)

    run(plugin, rows=4, timeout="1s")
    release.set()
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline and len(called) == 4:
        threading.Event().wait(0.02)

    assert sorted(row for _, row in called) == [0, 1, 2, 3]


@pytest.mark.parametrize("policy", [{}, {"breaker": {"failures": 100}}])
def test_a_row_whose_call_hung_is_tried_again_with_a_fresh_instance(
    release: threading.Event, policy: Policy
) -> None:
    stuck: list[Any] = []

    def process(self: Any, row: Row, context: Context) -> Row:
        assert self not in stuck
        if row["n"] == 1 and not stuck:
            stuck.append(self)
            release.wait(10)
        return row

    ran = run(fresh(process=process), timeout="1s", retry={"attempts": 2}, **policy)

    assert attempts(ran) == [(1, 0, VisitStatus.TIMED_OUT, "TimedOut")]
    assert numbers(ran.written["out"]) == [0, 1, 2]


def test_process_many_that_hangs_fails_all_its_rows_and_the_next_chunk_is_fine(
    release: threading.Event,
) -> None:
    def work(rows: Sequence[Row]) -> list[Row]:
        if rows[0]["n"] == 0:
            release.wait(10)
        return list(rows)

    ran = run(many_of(work), rows=4, timeout="1s", settings={"chunk_rows": 2})

    assert [status for _, _, status, _ in attempts(ran)] == [VisitStatus.TIMED_OUT] * 2
    assert numbers(ran.written["out"]) == [2, 3]


def test_with_concurrency_the_other_rows_do_not_wait_for_one_that_hangs() -> None:
    ran = run(Hangs(calls=[1]), rows=6, concurrency=2, timeout="1s")

    assert ran.result.counters == {**ran.result.counters, "succeeded": 5, "unhandled": 1}


# --- Being asked to stop ---------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [{}, {"concurrency": 3}])
def test_a_stop_while_a_retry_waits_leaves_the_row_open_and_finishes_the_others(policy: Policy) -> None:
    stop = threading.Event()

    def work(row: Row) -> TransformResult:
        if row["n"] != 1:
            return row
        stop.set()
        return Fail("busy", retryable=True)

    ran = run(Applied(work), retry={"attempts": 5, "wait": "1h", "max_wait": "1h"}, stop=stop, **policy)

    assert ran.result.status is RunStatus.INTERRUPTED
    assert ran.result.counters == {**ran.result.counters, "succeeded": 2, "failed": 0, "open": 1}
    assert attempts(ran) == [(1, 0, VisitStatus.FAILED, "Fail")]
    assert numbers(ran.written["out"]) == [0, 2]


def test_a_stop_mid_run_finishes_the_chunk_in_hand_and_reads_no_other() -> None:
    stop = threading.Event()

    def work(row: Row) -> Row:
        if row["n"] == 2:
            stop.set()
        return row

    ran = run(Applied(work), rows=10, stop=stop, settings={"chunk_rows": 4})

    assert ran.result.status is RunStatus.INTERRUPTED
    assert ran.result.resumable
    assert (numbers(ran.written["out"]), ran.recorder.chunks[0].position) == ([0, 1, 2, 3], 4)
