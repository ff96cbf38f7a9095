"""Rate limits: so many calls in so much time, shared by all nodes that name the same service."""

import threading

from frame.graph.model import RateLimit


class RateLimiter:
    """Hands out moments at which a call may be made, evenly spread. Times are the process's monotonic time."""

    def __init__(self, limit: RateLimit) -> None:
        self._interval_us = limit.per_s * 1_000_000 / limit.calls
        self._next_us = 0.0
        self._lock = threading.Lock()

    def reserve_s(self, now_us: int) -> float:
        """Seconds to wait before the call that is hereby reserved."""
        with self._lock:
            at_us = max(self._next_us, float(now_us))
            self._next_us = at_us + self._interval_us
            return (at_us - now_us) / 1_000_000


_limiters: dict[RateLimit, RateLimiter] = {}
_lock = threading.Lock()


def limiter_for(limit: RateLimit) -> RateLimiter:
    """The limiter of the service that `limit` names, the same for all runs of this process."""
    with _lock:
        return _limiters.setdefault(limit, RateLimiter(limit))


def forget_limits() -> None:
    """Forget every reserved call of this process, as if it had just begun."""
    with _lock:
        _limiters.clear()
