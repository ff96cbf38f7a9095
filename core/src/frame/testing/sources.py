"""A source that yields what a test lists."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frame.errors import SourceError
from frame.plugin import Determinism, InvalidRow, PluginConfig, Source
from frame.testing.clock import ManualClock


@dataclass(frozen=True, slots=True)
class Later:
    """So many seconds pass on the source's clock before the next row comes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until:
    """The next row comes when `event` is set, which is for another thread to do."""

    event: threading.Event


Listed = Mapping[str, Any] | InvalidRow | Exception | Later | Until


class ListSource(Source):
    """Yields `items`, in order: rows and `InvalidRow`s; an exception among them is raised at its place.

    `Later(seconds)` moves `clock` on between two rows, which shows with `chunk_rows: 1`, where a chunk is read when
    the one before it is done. `Until(event)` lets the source wait; it is then read in a thread of its own.

    >>> list(ListSource([{"id": 1}, {"id": 2}]).read())
    [{'id': 1}, {'id': 2}]
    """

    name = "list"
    determinism = Determinism.DETERMINISTIC

    def __init__(self, items: Sequence[Listed], clock: ManualClock | None = None) -> None:
        given: object = items
        if isinstance(given, PluginConfig):
            raise ValueError("a ListSource is made in code, with its rows: ListSource([...])")
        super().__init__(PluginConfig())
        self._items, self._clock = tuple(items), clock
        self._at = 0

    def may_wait(self) -> bool:
        return any(isinstance(item, Until) for item in self._items)

    def read(self) -> Iterator[Mapping[str, Any] | InvalidRow]:
        for number in range(self._at, len(self._items)):
            item = self._items[number]
            self._at = number + 1
            match item:
                case Later(seconds):
                    self._pass(seconds)
                case Until(event):
                    event.wait()
                case Exception():
                    raise item
                case _:
                    yield item

    def _pass(self, seconds: float) -> None:
        if self._clock is None:
            raise SourceError(self.name, "Later(...) needs a clock: ListSource([...], clock)")
        self._clock.advance(seconds)

    def position(self) -> int:
        return self._at

    def seek(self, position: int) -> None:
        self._at = position

    def close(self) -> None:
        """The next run begins at the beginning."""
        self._at = 0
