"""Making one chunk durable while the engine computes the next.

Most of a commit is the disk's time, during which Python runs on. At most two chunks are on their way; the third
`submit` waits. After an error nothing more is written, and every later call raises that first error.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore
from types import TracebackType
from typing import Self

from frame.audit.recorder import RunRecorder
from frame.events import Chunk, RunStatus

IN_FLIGHT = 2


class ThreadedRecorder:
    """A `RunRecorder` that commits in a thread of its own. `close()` it."""

    def __init__(self, recorder: RunRecorder) -> None:
        self.recorder = recorder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frame-recorder")
        self._room = Semaphore(IN_FLIGHT)
        self._error: BaseException | None = None
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def next_chunk(self) -> int:
        return self.recorder.next_chunk

    def submit(self, chunk: Chunk) -> "Future[None]":
        """A future that is done when `chunk` is durable. `chunk` belongs to the recorder until then."""
        self._room.acquire()
        if self._error is not None:
            self._room.release()
            raise self._error
        self._last = self._thread.submit(self._commit, chunk)
        return self._last

    def commit(self, chunk: Chunk) -> None:
        """Make `chunk` durable, and all before it."""
        self.submit(chunk).result()

    def flush(self) -> None:
        """Wait until everything that was submitted is durable."""
        if self._last is not None:
            self._last.result()
        if self._error is not None:
            raise self._error

    def finish(self, status: RunStatus, counters: Mapping[str, int], at_us: int) -> None:
        """As `RunRecorder.finish`, after everything that was submitted."""
        self.flush()
        self.recorder.finish(status, counters, at_us)

    def renew_lease(self, now_us: int) -> None:
        """As `RunRecorder.renew_lease`."""
        self.recorder.renew_lease(now_us)

    def close(self) -> None:
        """Wait for what is on its way and end the thread. Raises nothing."""
        self._thread.shutdown(wait=True)

    def _commit(self, chunk: Chunk) -> None:
        try:
            if self._error is not None:
                raise self._error
            self.recorder.commit(chunk)
        except BaseException as error:
            self._error = self._error or error
            raise
        finally:
            self._room.release()
