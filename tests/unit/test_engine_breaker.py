"""Breakers and rate limits: who may call now, and who has to wait."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from frame.clock import SystemClock
from frame.config.in_code import pipeline
from frame.engine.breaker import BreakerState, Change, CircuitBreaker, breaker_for, forget_breakers
from frame.engine.limits import RateLimiter, forget_limits, limiter_for
from frame.errors import ConfigError, MissingField, RetryableError
from frame.events import AttemptFailed, Failed, Noted, VisitStatus
from frame.graph.model import Breaker, RateLimit
from frame.plugin import Context, Determinism, Fail, PluginConfig, Transform, TransformResult
from frame.rows import Row
from frame.testing import Applied, ListSink, ListSource, ManualClock, TestRun, run_pipeline

SECOND = 1_000_000
POLICY = Breaker(failures=3, recovery_s=60)


@pytest.fixture(autouse=True)
def _nothing_shared() -> Iterator[None]:
    forget_breakers()
    forget_limits()
    yield
    forget_breakers()
    forget_limits()


def ticket(breaker: CircuitBreaker, now_us: int = 0) -> int:
    given, _ = breaker.ask(now_us)
    assert given is not None
    return given


def opened() -> CircuitBreaker:
    breaker = CircuitBreaker("shop", POLICY)
    for _ in range(3):
        breaker.failed(ticket(breaker), 0)
    assert breaker.state is BreakerState.OPEN
    return breaker


# --- By itself -------------------------------------------------------------------------------------


def test_it_opens_after_so_many_failures_in_a_row_and_a_success_counts_anew() -> None:
    breaker = CircuitBreaker("shop", POLICY)

    for fate in ("fail", "fail", "succeed", "fail", "fail"):
        one = ticket(breaker)
        breaker.succeeded(one) if fate == "succeed" else breaker.failed(one, 0)
    assert breaker.failed(ticket(breaker), 0) == Change("shop", BreakerState.CLOSED, BreakerState.OPEN)


def test_it_opens_at_once_when_the_retries_of_a_visit_are_used_up() -> None:
    breaker = CircuitBreaker("shop", POLICY)

    change = breaker.failed(ticket(breaker), 0, used_up=True)

    assert change is not None
    assert (change.before, change.after) == (BreakerState.CLOSED, BreakerState.OPEN)


def test_nobody_goes_through_until_it_has_recovered_and_then_one_alone() -> None:
    breaker = opened()

    assert breaker.ask(60 * SECOND - 1) == (None, None)
    trial, change = breaker.ask(60 * SECOND)
    assert trial is not None
    assert change is not None
    assert change.after is BreakerState.HALF_OPEN
    assert breaker.ask(61 * SECOND) == (None, None)


def test_exactly_one_of_many_threads_is_the_trial() -> None:
    breaker = opened()
    gate = threading.Barrier(16)

    def ask(_: int) -> bool:
        gate.wait()
        return breaker.ask(60 * SECOND)[0] is not None

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(16))) == 1


def test_the_trial_decides() -> None:
    closing, opening = opened(), opened()

    closing.succeeded(ticket(closing, 60 * SECOND))
    opening.failed(ticket(opening, 60 * SECOND), 60 * SECOND)

    assert (closing.state, opening.state) == (BreakerState.CLOSED, BreakerState.OPEN)
    assert opening.ask(119 * SECOND) == (None, None)


def test_a_trial_that_decides_nothing_lets_the_next_one_try() -> None:
    breaker = opened()

    breaker.undecided(ticket(breaker, 60 * SECOND))

    assert breaker.ask(60 * SECOND)[0] is not None
    assert breaker.state is BreakerState.HALF_OPEN


@pytest.mark.parametrize("now_us", [0, 60 * SECOND])
def test_a_call_that_began_before_it_opened_decides_nothing(now_us: int) -> None:
    breaker = CircuitBreaker("shop", POLICY)
    slow_good, slow_bad = ticket(breaker), ticket(breaker)
    for _ in range(3):
        breaker.failed(ticket(breaker), 0)
    trial, _ = breaker.ask(now_us)
    state = breaker.state

    breaker.succeeded(slow_good)
    breaker.failed(slow_bad, now_us)
    breaker.undecided(slow_good)

    assert breaker.state is state
    assert breaker.ask(now_us)[0] is None, "the trial is still under way" if trial else "it is open"


def test_the_runs_of_a_process_share_it() -> None:
    assert breaker_for("shop", POLICY) is breaker_for("shop", POLICY)
    assert breaker_for("shop", POLICY) is not breaker_for("bank", POLICY)


def test_clocks_of_a_process_agree_on_monotonic_time_whatever_the_wall_clock_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = SystemClock()
    monkeypatch.setattr("time.time_ns", lambda: 0)
    after = SystemClock()

    assert abs(after.monotonic_us() - before.monotonic_us()) < SECOND
    assert abs(after.time_us() - before.time_us()) > SECOND


# --- In a run --------------------------------------------------------------------------------------


def run(work: Any, clock: ManualClock | None = None, rows: int = 4, **policy: Any) -> TestRun:
    plugin = work if isinstance(work, Transform | type) else Applied(work)
    stop = policy.pop("stop", None)
    node = {"name": "work", "plugin": plugin, "timeout": None, **policy}
    source = ListSource([{"n": n} for n in range(rows)])
    pipe = pipeline("breaker", source=source, nodes=[node], sinks={"out": ListSink()})
    return run_pipeline(pipe, clock=clock, stop=stop)


def statuses(ran: TestRun) -> list[tuple[int, int, str]]:
    return [(e.token, e.attempt, e.status.value) for e in ran.events if isinstance(e, AttemptFailed)]


def changes(ran: TestRun) -> list[str]:
    notes = [event for event in ran.events if isinstance(event, Noted) and event.kind == "breaker"]
    return [f"{note.detail['before']} -> {note.detail['after']}" for note in notes]


def test_an_open_breaker_refuses_without_a_call_and_the_refusal_is_no_attempt() -> None:
    called = []

    def work(row: Row) -> TransformResult:
        called.append(row["n"])
        return Fail("down", retryable=True)

    ran = run(work, breaker={"failures": 2})

    assert called == [0, 1]
    assert statuses(ran) == [(0, 0, "failed"), (1, 0, "failed"), (2, 0, "rejected"), (3, 0, "rejected")]
    errors = [event.error for event in ran.events if isinstance(event, Failed)]
    assert [(error.type, error.attempts) for error in errors[2:]] == [("BreakerOpen", 0)] * 2
    assert changes(ran) == ["closed -> open"]


def test_it_is_asked_before_every_attempt_and_ends_the_retries() -> None:
    ran = run(
        lambda row: Fail("down", retryable=True), rows=1, breaker={"failures": 2}, retry={"attempts": 9}
    )

    assert statuses(ran) == [(0, 0, "failed"), (0, 1, "failed"), (0, 2, "rejected")]
    [error] = [event.error for event in ran.events if isinstance(event, Failed)]
    assert (error.type, error.attempts) == ("BreakerOpen", 2)


def test_with_wait_for_breaker_rows_wait_until_it_lets_them_through() -> None:
    clock = ManualClock(automatic=True)
    down_until_us = 100 * SECOND

    def work(row: Row) -> TransformResult:
        return row if clock.time_us() >= down_until_us else Fail("down", retryable=True)

    ran = run(
        work,
        clock,
        breaker={"failures": 1, "recovery": "60s"},
        wait_for_breaker=True,
        retry={"attempts": 5, "wait": "1ms", "max_wait": "1ms"},
    )

    assert [row["n"] for row in ran.written["out"]] == [0, 1, 2, 3]
    assert changes(ran)[0] == "closed -> open"
    assert changes(ran)[-2:] == ["open -> half_open", "half_open -> closed"]


def test_a_stop_while_a_row_waits_for_a_breaker_leaves_it_open() -> None:
    stop = threading.Event()

    def work(row: Row) -> TransformResult:
        stop.set()
        return Fail("down", retryable=True)

    ran = run(
        work,
        ManualClock(),
        rows=1,
        stop=stop,
        breaker={"failures": 1},
        wait_for_breaker=True,
        retry={"attempts": 5, "wait": "0s"},
    )

    assert (ran.result.status.value, ran.result.counters["open"]) == ("interrupted", 1)


@pytest.mark.parametrize("fault", [Fail("bad row"), MissingField("x", "work"), ConfigError([])])
def test_what_is_the_fault_of_a_row_or_of_the_options_does_not_count(fault: Any) -> None:
    def work(row: Row) -> TransformResult:
        if isinstance(fault, Exception):
            raise fault
        return fault  # type: ignore[no-any-return]

    ran = run(work, breaker={"failures": 1})

    assert [status for _, _, status in statuses(ran)] == ["failed"] * 4
    assert changes(ran) == []


class Down(Transform):
    """Chosen by class, so that both runs mean the same target."""

    name = "down"
    determinism = Determinism.DETERMINISTIC
    calls = 0

    class Config(PluginConfig):
        host: str = "a"

    def process(self, row: Row, context: Context) -> TransformResult:
        type(self).calls += 1
        raise RetryableError("down")


def test_what_one_run_has_learned_the_next_one_knows_of_the_same_target_alone() -> None:
    Down.calls = 0
    breaker = {"failures": 2, "recovery": "1h"}

    first = run(Down, breaker=breaker)
    same = run(Down, breaker=breaker)
    other = run(Down, breaker=breaker, options={"host": "b"})

    assert [len([s for *_, s in statuses(ran) if s == "failed"]) for ran in (first, same, other)] == [2, 0, 2]
    assert Down.calls == 4


# --- Rate limits -----------------------------------------------------------------------------------


def test_calls_are_spread_evenly_and_an_idle_time_is_not_saved_up() -> None:
    limiter = RateLimiter(RateLimit(10, 1.0, "shop"))

    assert [limiter.reserve_s(0) for _ in range(3)] == [0.0, 0.1, 0.2]
    assert [limiter.reserve_s(5 * SECOND) for _ in range(2)] == [0.0, 0.1]


def test_nodes_that_name_one_service_share_its_limit() -> None:
    limit = RateLimit(10, 1.0, "shop")
    assert limiter_for(limit) is limiter_for(RateLimit(10, 1.0, "shop"))
    assert limiter_for(limit) is not limiter_for(RateLimit(10, 1.0, "bank"))


def test_a_run_keeps_to_its_rate() -> None:
    clock = ManualClock(automatic=True)
    at: list[int] = []

    def work(row: Row) -> Row:
        at.append(clock.time_us())
        return row

    run(work, clock, rate_limit={"rate": "1/m", "service": "slow"})

    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert min(gaps) >= 60 * SECOND


def test_a_stop_while_a_call_waits_for_its_turn_makes_no_call() -> None:
    stop = threading.Event()
    called = []

    def work(row: Row) -> Row:
        called.append(row["n"])
        stop.set()
        return row

    ran = run(work, ManualClock(), stop=stop, rate_limit={"rate": "1/h", "service": "slowest"})

    assert called == [0]
    assert ran.result.counters == {**ran.result.counters, "succeeded": 1, "open": 3}
    assert VisitStatus.REJECTED.value not in [status for *_, status in statuses(ran)]
