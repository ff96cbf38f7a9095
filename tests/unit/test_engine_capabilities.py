"""A plugin gets what its capabilities declare, and calls overlap only where they say that they may."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from frame.config.in_code import pipeline
from frame.events import AttemptFailed
from frame.plugin import Capabilities, Context, Determinism, Effects, PluginConfig, Transform
from frame.rows import Row
from frame.testing import ListSink, ListSource, TestRun, run_pipeline

NONE = Effects(network=False, process=False, filesystem=False, clock=False, random=False)
PURE = Capabilities(
    effects=NONE,
    batch=False,
    stateful=False,
    ordered=True,
    idempotent=True,
    thread_safe=True,
    personal_data=False,
)


class Worker(Transform):
    """Does what `work` says, and declares `said`."""

    name = "worker"
    determinism = Determinism.EXTERNAL_CALL

    def __init__(self, work: Callable[[Row, Context], Any], said: Capabilities | None) -> None:
        super().__init__(PluginConfig())
        self._work, self.capabilities = work, said  # type: ignore[misc]  # as a class would say it

    def process(self, row: Row, context: Context) -> Any:
        return self._work(row, context)


def run(work: Callable[[Row, Context], Any], said: Capabilities | None, **policy: Any) -> TestRun:
    node = {"name": "work", "plugin": Worker(work, said), **policy}
    source = ListSource([{"n": n} for n in range(8)])
    return run_pipeline(pipeline("declared", source=source, nodes=[node], sinks={"out": ListSink()}))


def ask_for_the_time(row: Row, context: Context) -> Any:
    return {**row, "at": context.now()}


def draw(row: Row, context: Context) -> Any:
    return {**row, "drawn": context.random.random()}


def call(row: Row, context: Context) -> Any:
    return {**row, "told": context.call("http", "q", str)}


ASKED = {
    "clock": (ask_for_the_time, "context.now()", ["clock"]),
    "random": (draw, "context.random", ["random"]),
    "call": (call, "context.call('http', ...)", ["network", "process"]),
}


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(("work", "asked", "effects"), ASKED.values(), ids=ASKED)
def test_what_is_declared_not_to_be_used_is_refused(
    work: Callable[[Row, Context], Any], asked: str, effects: list[str], concurrency: int
) -> None:
    ran = run(work, PURE, concurrency=concurrency)

    errors = [event.error for event in ran.events if isinstance(event, AttemptFailed)]
    declares = " and ".join(f"effects.{effect} = False" for effect in effects)
    assert len(errors) == 8
    assert {error.type for error in errors} == {"UndeclaredEffect"}
    assert errors[0].message == f"node 'work' asks for {asked}, and its plugin declares {declares}"


@pytest.mark.parametrize(("work", "_", "effects"), ASKED.values(), ids=ASKED)
def test_what_is_declared_or_left_open_is_given(
    work: Callable[[Row, Context], Any], _: str, effects: list[str]
) -> None:
    for effect in effects:
        declared = replace(PURE, effects=replace(NONE, **{effect: True}))
        assert len(run(work, declared).written["out"]) == 8
    assert len(run(work, None).written["out"]) == 8


SAID = {
    "not thread-safe": (replace(PURE, thread_safe=False), False),
    "stateful": (replace(PURE, stateful=True), False),
    "thread-safe": (PURE, True),
    "nothing": (None, True),
}


@pytest.mark.parametrize(("said", "overlap"), SAID.values(), ids=SAID)
def test_calls_overlap_only_if_the_plugin_says_that_they_may(
    said: Capabilities | None, overlap: bool
) -> None:
    inside, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(4) if overlap else None

    def work(row: Row, context: Context) -> Row:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        if together:
            together.wait(30)
        else:
            time.sleep(0)
        with lock:
            inside -= 1
        return row

    ran = run(work, said, concurrency=4)

    assert [row["n"] for row in ran.written["out"]] == list(range(8))
    assert most == (4 if overlap else 1)
