"""Progress as a person or a program gets to see it: a live table on a terminal, JSON lines elsewhere."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

import orjson

from frame.clock import Clock
from frame.events import Chunk, RunStatus
from frame.telemetry.listeners import Listener, RunInfo
from frame.telemetry.progress import ProgressState

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

SCHEMA_VERSION = 1
EVERY_US = 1_000_000


def display(
    clock: Clock,
    quiet: bool = False,
    as_json: bool = False,
    out: TextIO = sys.stdout,
    err: TextIO = sys.stderr,
) -> Listener | None:
    """What shows a run's progress, if anything does.

    `as_json`: JSON lines on `out`, whether quiet or not, for they were asked for. Otherwise on `err`: a live table
    if that is a terminal, JSON lines if it is not.
    """
    if as_json:
        return JsonProgress(out, clock)
    if quiet:
        return None
    return TableProgress(err, clock) if err.isatty() else JsonProgress(err, clock)


class JsonProgress:
    """Writes one JSON object a line: `run_started`, `progress` at most once a second, `run_finished`.

    `ends`: False leaves out the first and the last of them, for somebody who tells the beginning and the end.
    """

    def __init__(self, stream: TextIO, clock: Clock, ends: bool = True) -> None:
        self._stream, self._clock, self._ends = stream, clock, ends
        self._state: ProgressState | None = None
        self._written_us = 0

    def run_started(self, info: RunInfo) -> None:
        """Write the run's name."""
        self._state = ProgressState.begin(info)
        self._written_us = self._clock.time_us()
        if self._ends:
            self._write("run_started", {"pipeline": info.pipeline})

    def committed(self, chunk: Chunk, took_us: int) -> None:
        """Write how far the run is, unless that was said less than a second ago."""
        if self._state is None:
            return
        now_us = self._clock.time_us()
        self._state = self._state.after(chunk, now_us)
        if now_us - self._written_us >= EVERY_US:
            self._written_us = now_us
            self._write("progress", self._state.as_json(now_us))

    def run_finished(self, status: RunStatus, at_us: int) -> None:
        """Write how the run ended."""
        if self._state is not None and self._ends:
            self._write("run_finished", {"status": str(status), **self._state.as_json(at_us)})

    def _write(self, event: str, facts: Mapping[str, object]) -> None:
        assert self._state is not None
        line = {"schema_version": SCHEMA_VERSION, "event": event, "run_id": self._state.info.run_id, **facts}
        self._stream.write(orjson.dumps(line).decode() + "\n")
        self._stream.flush()


class TableProgress:
    """A table that follows the run and is gone when the run is over. Colours obey NO_COLOR."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream, self._clock = stream, clock
        self._state: ProgressState | None = None
        self._live: Live | None = None

    def run_started(self, info: RunInfo) -> None:
        """Begin to draw, four times a second, in a thread that only reads the newest state."""
        from rich.console import Console
        from rich.live import Live

        self._state = ProgressState.begin(info)
        console = Console(file=self._stream)
        # stdout is left alone: a sink may be writing data to it.
        self._live = Live(
            get_renderable=self.table,
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )
        self._live.start()

    def committed(self, chunk: Chunk, took_us: int) -> None:
        """Take in what the chunk came to."""
        if self._state is not None:
            self._state = self._state.after(chunk, self._clock.time_us())

    def run_finished(self, status: RunStatus, at_us: int) -> None:
        """Take the table away and give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def table(self) -> "Group":
        """The newest state, drawn."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        state = self._state
        table = Table(box=None, pad_edge=False)
        for title in ("node", "in", "out", "failed", "held"):
            table.add_column(title, justify="left" if title == "node" else "right")
        if state is None:
            return Group()
        for node in state.info.nodes:
            counts = state.at(node.number)
            numbers = (counts.entered, counts.left, counts.failed, counts.held)
            cells = [Text(f"{number:,}" if number else "·") for number in numbers]
            cells[2].stylize("red" if counts.failed else "")
            table.add_row(Text(node.name), *cells)
        return Group(Text(headline(state, self._clock.time_us()), overflow="ellipsis", no_wrap=True), table)


def headline(state: ProgressState, now_us: int) -> str:
    """One line that says how far the run is."""
    parts = [
        f"{state.rows:,} rows",
        f"{state.rows_per_s(now_us):,.0f} rows/s",
        f"{state.elapsed_s(now_us):.1f} s",
    ]
    if state.failed:
        parts.append(f"{state.failed:,} failed")
    if state.source_ended:
        parts.append("source at its end")
    return f"{state.info.pipeline}: {', '.join(parts)}"
