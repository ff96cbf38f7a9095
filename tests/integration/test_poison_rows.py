"""A row that ends the process again and again is found out, and the run goes on without it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys
import frame
from frame.plugin import Aggregation, Determinism, Gate, PluginConfig, Transform
from frame.testing import ListSource


class Deadly(Transform):
    name = "deadly"
    determinism = Determinism.DETERMINISTIC

    def process(self, row, context):
        if row["n"] == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return {**row, "done": True}


class DeadlyGate(Gate):
    name = "deadly_gate"
    determinism = Determinism.DETERMINISTIC

    def evaluate(self, row, context):
        if row["n"] == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return True


class DeadlyBatch(Aggregation):
    name = "deadly_batch"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, config):
        super().__init__(config)
        self.rows = []

    def accept(self, row):
        if row["n"] == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        self.rows.append(row)

    def flush(self):
        rows, self.rows = self.rows, []
        return [dict(row) for row in rows]


NODES = {
    "transform": {"name": "work", "plugin": Deadly, "on_error": "bad"},
    "gate": {"name": "work", "plugin": DeadlyGate, "routes": {"true": "out", "false": "out"}, "on_error": "bad"},
    "aggregation": {"name": "work", "aggregate": {"plugin": DeadlyBatch}, "to": "out", "on_error": "bad"},
}
pipeline = frame.pipeline(
    "poisoned",
    source=ListSource([{"n": n} for n in range(20)]),
    nodes=[{**NODES[sys.argv[2]], "to": "out"} if sys.argv[2] != "gate" else NODES["gate"]],
    sinks={
        "out": {"plugin": "jsonl", "options": {"path": os.path.abspath("out.jsonl")}},
        "bad": {"plugin": "jsonl", "options": {"path": os.path.abspath("bad.jsonl")}},
    },
    settings={"chunk_rows": 10},
    audit={"url": "sqlite:///" + os.path.abspath("audit.db")},
)
if sys.argv[1] == "run":
    result = frame.run(pipeline)
else:
    result = frame.resume("latest", pipeline=pipeline, audit="sqlite:///" + os.path.abspath("audit.db"))
print(result.status.value)
"""


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["transform", "gate", "aggregation"])
def test_a_row_that_kills_three_processes_fails_and_the_others_come_through(kind: str, tmp_path: Path):
    (tmp_path / "program.py").write_text(SCRIPT)

    def process(what: str) -> int:
        command = [sys.executable, "program.py", what, kind]
        return subprocess.run(command, cwd=tmp_path, timeout=60, check=False, capture_output=True).returncode

    codes = [process("run"), process("resume"), process("resume"), process("resume")]

    assert codes == [-9, -9, -9, 0]
    assert [row["n"] for row in lines(tmp_path / "out.jsonl")] == [n for n in range(20) if n != 5]
    (bad,) = lines(tmp_path / "bad.jsonl")
    assert bad["n"] == 5
    assert bad["_error"]["type"] == "ProcessDied"  # type: ignore[index]
