"""How long to wait before another attempt."""

import random

from frame.graph.model import Retry


def delay_s(retry: Retry, failed: int) -> float:
    """Seconds to wait after `failed` attempts (from 1): `wait`, doubled after each, up to `max_wait`.

    With jitter, anything between half of that and all of it, so that rows which failed together do not come
    back together.

    >>> [delay_s(Retry(attempts=6, wait_s=0.5, max_wait_s=4.0, jitter=False), n) for n in (1, 2, 3, 4, 5)]
    [0.5, 1.0, 2.0, 4.0, 4.0]
    """
    # Beyond 2^60 the ceiling has been reached long ago, and a float would overflow.
    full_s = min(retry.max_wait_s, retry.wait_s * 2.0 ** min(failed - 1, 60))
    return full_s * random.uniform(0.5, 1.0) if retry.jitter else full_s  # noqa: S311 - it only spreads calls
