"""A pipeline whose one transform waits for 50 ms, as for an answer from outside.

    python waiting.py FOLDER sync|async CONCURRENCY ROWS

Prints the seconds that the run took, from the first plugin to the last.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from frame.config.models import PipelineConfig
from frame.operations import run
from frame.plugin import Context, Determinism, PluginConfig, Source, Transform
from frame.rows import Row

CALL_S = 0.05


class Numbers(Source):
    """Rows with a number each."""

    name = "numbers"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        """How many."""

        rows: int

    def may_wait(self) -> bool:
        return False

    def read(self) -> Iterator[dict[str, int]]:
        return ({"number": number} for number in range(self.config.rows))


class Waiting(Transform):
    """The row, a while later."""

    name = "waiting"
    determinism = Determinism.EXTERNAL_CALL

    class Config(PluginConfig):
        """No options."""

    def process(self, row: Row, context: Context) -> Row:
        time.sleep(CALL_S)
        return row


class WaitingAsync(Transform):
    """The same, as a coroutine."""

    name = "waiting_async"
    determinism = Determinism.EXTERNAL_CALL

    class Config(PluginConfig):
        """No options."""

    async def process(self, row: Row, context: Context) -> Row:  # type: ignore[override]
        await asyncio.sleep(CALL_S)
        return row


def main(folder: Path, style: str, concurrency: int, rows: int) -> None:
    """Run it."""
    for left in folder.iterdir():
        left.unlink()
    pipeline = PipelineConfig.model_validate(
        {
            "name": "waiting",
            "source": {"plugin": Numbers, "options": {"rows": rows}},
            "nodes": [
                {
                    "name": "wait",
                    "plugin": Waiting if style == "sync" else WaitingAsync,
                    "concurrency": concurrency,
                }
            ],
            "sinks": {"out": {"plugin": "csv", "options": {"path": str(folder / "out.csv")}}},
            "audit": {"url": f"sqlite:///{folder / 'audit.db'}"},
        }
    )
    result = run(pipeline)
    print(result.duration_s)
    if result.counters["succeeded"] != rows:
        sys.exit(f"not every row came through: {result.counters}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
