"""The flights example, killed at any moment by the clock: 1,000 random kills."""

import random
import time
from typing import Any

import pytest

from tests.crash.figures import count
from tests.crash.pipelines import Pipeline
from tests.crash.sweep import Case, Sweep, Verdict
from tests.crash.world import ROOT, Frame, Service, World

EXAMPLE = ROOT / "examples" / "flights"
KILLS, PARTS = 1000, 20
MORE = """
settings: {chunk_rows: 200}
audit: {url: "{audit}"}
"""


@pytest.fixture(scope="module")
def flights(frame: Frame, service: Service) -> Sweep:
    pipeline = Pipeline(
        "flights",
        (EXAMPLE / "pipeline.yaml").read_text() + MORE,
        [f"out/{path.name}" for path in (EXAMPLE / "expected").iterdir()],
        files={f"data/{path.name}": path.read_text() for path in (EXAMPLE / "data").glob("*.csv")},
    )
    return Sweep(frame, World(pipeline, frame.home / "worlds" / "flights", service))


def lasts_s(sweep: Sweep) -> float:
    sweep.world.begin()
    began = time.monotonic()
    sweep.run()
    return time.monotonic() - began


def survive(sweep: Sweep, kills: int, seed: str, record: Any, what: str) -> None:
    """Kill until there were so many kills; a run is killed again and again, until it is done."""
    rng, whole_s = random.Random(seed), lasts_s(sweep)
    killed, wrong = 0, []
    while killed < kills:
        sweep.world.begin()
        verdict = Verdict(Case("flights, at random", []))
        for _ in range(rng.randrange(1, 3)):
            if not sweep.is_over():
                verdict.ends.append(sweep.run_for(rng.uniform(0.1, 1.0) * whole_s))
                killed += verdict.ends[-1].hung
        sweep.go_on(verdict)
        wrong += [verdict] if verdict.wrong else []
    count(record, what, kills=killed, bad=len(wrong))
    assert not wrong, f"{len(wrong)} of {killed} kills\n" + "\n".join(map(str, wrong[:5]))


def test_flights_survive_kills_at_random(flights: Sweep, record_property: Any) -> None:
    survive(flights, 6, "short", record_property, "random kills of flights, sampled")


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_flights_survive_a_thousand_kills(part: int, flights: Sweep, record_property: Any) -> None:
    survive(flights, KILLS // PARTS, f"{part}", record_property, "random kills of flights")
