"""Time for a run that is done over: nobody waits for a retry or a rate limit again."""

import threading

from frame.clock import SystemClock


class Unhurried(SystemClock):
    """The system's clock on which waiting for nothing but time takes none.

    `stop`: the event that stands for the wish to stop; whoever waits for it waits for time alone.
    """

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self._stop = stop

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.is_set() if event is self._stop else super().wait(event, timeout_s)

    async def sleep(self, event: threading.Event, timeout_s: float) -> None:
        """Return at once."""
