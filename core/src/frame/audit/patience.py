"""How long a writer waits for a database that is away."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

FIRST_S, LONGEST_S = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits that double from a tenth of a second up to ten, for `total_s` in all, or until `stop` is set."""

    total_s: float = 300.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    stop: Event | None = None

    def attempts(self) -> Iterator[int]:
        """0 at once, then 1, 2, ... after a wait each, while there is time left.

        >>> now = [0.0]
        >>> patience = Patience(3.0, lambda: now[0], lambda s: now.__setitem__(0, now[0] + s))
        >>> [(attempt, round(now[0], 1)) for attempt in patience.attempts()]
        [(0, 0.0), (1, 0.1), (2, 0.3), (3, 0.7), (4, 1.5), (5, 3.0)]
        """
        until, wait_s, attempt = self.clock() + self.total_s, FIRST_S, 0
        yield attempt
        while (left_s := until - self.clock()) > 1e-3:
            self._wait(min(wait_s, left_s))
            if self.is_over:
                return
            wait_s, attempt = min(2 * wait_s, LONGEST_S), attempt + 1
            yield attempt

    @property
    def is_over(self) -> bool:
        """Whether somebody has asked to stop: what cannot be had now is not waited for."""
        return self.stop is not None and self.stop.is_set()

    @property
    def told(self) -> str:
        """How long that was, for a message."""
        return "until the stop that was asked for" if self.is_over else f"for {self.total_s:.0f} s"

    def _wait(self, seconds: float) -> None:
        if self.stop is None:
            self.sleep(seconds)
        else:
            self.stop.wait(seconds)
