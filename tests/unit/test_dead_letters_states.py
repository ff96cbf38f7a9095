"""What is said about dead letters, over both databases; who may carry one on; where a branch is still to be joined."""

from dataclasses import replace
from pathlib import Path

import frame
import pytest
from frame.audit import database
from frame.audit.dead_letter_states import Fate, note_retry
from frame.audit.queries import find_run
from frame.audit.recorder import Recorder
from frame.audit.verify.verification import verify_store
from frame.clock import SystemClock
from frame.config.in_code import pipeline
from frame.config.models import PipelineConfig
from frame.errors import Refused
from frame.events import Carried, Chunk
from frame.graph.open_forks import open_fork_at
from frame.operations.compile import compile_pipeline
from frame.operations.run import opening_of
from frame.plugin import Context, Determinism, Transform, TransformResult
from frame.plugin.registry import Registry
from frame.rows import Row
from frame.testing import ListSink, ListSource


class Mendable(Transform):
    name = "mendable"
    determinism = Determinism.DETERMINISTIC
    broken = True

    def process(self, row: Row, context: Context) -> TransformResult:
        if Mendable.broken and row["n"] % 3 == 1:
            raise ValueError("not yet mended")
        return {**row, "done": True}


@pytest.fixture
def prices() -> PipelineConfig:
    Mendable.broken = True
    return pipeline(
        "mendable",
        source={"plugin": ListSource([{"n": n} for n in range(8)])},
        nodes=[{"name": "mend", "plugin": Mendable}],
        sinks={"out": {"plugin": ListSink()}},
        settings={"chunk_rows": 3},
    )


def told(url: str, run: str | None = None) -> list[tuple[int, int | None, str]]:
    found = frame.dead_letters(run, settled=True, audit=url).letters
    return [(each.token, each.row, each.state.fate.value) for each in found]


def test_letters_are_open_then_retried_or_resolved(prices: PipelineConfig, store_url: str):
    first = frame.run(prices, audit=store_url)
    run = first.run_id
    assert told(store_url) == [(1, 1, "open"), (4, 4, "open"), (7, 7, "open")]

    frame.retry_dead_letters(run, [1], pipeline=prices, audit=store_url)
    Mendable.broken = False
    done = frame.retry_dead_letters(run, [4], pipeline=prices, audit=store_url)
    frame.resolve_dead_letters(run, reason="the last one", audit=store_url)

    assert done.result is not None
    assert done.result.counters["succeeded"] == 1
    assert told(store_url, run) == [(1, 1, "failed_again"), (4, 4, "retried"), (7, 7, "resolved")]
    assert sorted(row["n"] for row in prices.sinks["out"].plugin.rows) == [0, 2, 3, 4, 5, 6]


def test_a_letter_is_taken_by_one_retry_and_the_other_leaves_no_run(prices: PipelineConfig, store_url: str):
    run = frame.run(prices, audit=store_url).run_id
    compiled = compile_pipeline(prices, Registry.of([]))

    def begin(tokens: list[int]) -> None:
        opening = opening_of(compiled, SystemClock())
        said = {"run_id": run, "retry_run_id": opening.run_id}
        Recorder(store).begin(opening, note_retry(number, tokens, said, opening.started_us))

    with database.open(store_url) as store:
        with store.reading() as connection:
            number = find_run(connection, run)
        begin([1, 4])
        with pytest.raises(Refused, match=r"token 4 of run .* was retried or resolved just now"):
            begin([4, 7])

    assert len(frame.runs(store_url).runs) == 2
    assert told(store_url, run)[2] == (7, 7, Fate.OPEN)


def test_a_second_retry_of_the_same_letter_is_refused(prices: PipelineConfig, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/audit.db"
    run = frame.run(prices, audit=url).run_id
    frame.retry_dead_letters(run, [1], pipeline=prices, audit=url)

    with pytest.raises(Refused, match="is a dead letter there, as token 0"):
        frame.retry_dead_letters(run, [1], pipeline=prices, audit=url)


NODES = [
    {"name": "before", "plugin": Mendable},
    {"name": "split", "gate": "true", "routes": {"true": ["left", "right", "aside"], "false": "discard"}},
    {"name": "left", "plugin": Mendable, "to": "join"},
    {"name": "right", "plugin": Mendable, "to": "join"},
    {"name": "aside", "plugin": Mendable, "to": "out"},
    {"name": "join", "coalesce": {"policy": "require_all", "merge": "union", "on_collision": "first"}},
    {"name": "after", "plugin": Mendable, "to": "out"},
]


@pytest.mark.parametrize(
    ("node", "join"),
    [
        ("before", None),
        ("split", None),
        ("left", "join"),
        ("right", "join"),
        ("aside", None),
        ("after", None),
    ],
)
def test_only_a_branch_on_its_way_to_a_coalesce_is_still_to_be_joined(node: str, join: str | None):
    config = pipeline(
        "forks", source={"plugin": ListSource([])}, nodes=NODES, sinks={"out": {"plugin": ListSink()}}
    )
    graph = compile_pipeline(config, Registry.of([])).graph
    number = next(each.number for each in graph.nodes if each.name == node)

    found = open_fork_at(graph, number)

    assert (found.name if found else None) == join


def test_a_linked_run_that_carries_on_what_is_no_dead_letter_does_not_verify(
    prices: PipelineConfig, store_url: str
):
    run = frame.run(prices, audit=store_url).run_id
    letters = [0, 4]
    with database.open(store_url) as store:
        opening = replace(
            opening_of(compile_pipeline(prices, Registry.of([])), SystemClock()), origin_run_id=run
        )
        recorder = Recorder(store).begin(opening)
        recorder.commit(Chunk(0, 0, [Carried(1, range(2), letters, bytes(64))]))

        report = verify_store(store, [recorder.run])

    (found,) = report.all_findings
    assert (found.check, found.token) == ("F6", 0)
    assert f"token 0 of run {run}, which is no dead letter there" in found.what
