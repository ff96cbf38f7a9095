"""Leases: which process works on a run, and until when it is believed to live."""

import os
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, insert, update

from frame.audit import schema

FREE = 0
"""When the lease of a run expires that nobody works on."""


def expiry(now_us: int, lease_s: float) -> int:
    """When a lease that is taken now expires."""
    return now_us + int(lease_s * 1_000_000)


def write_lease(connection: Connection, run: int, epoch: int, host: str, pid: int, expires_us: int) -> None:
    """Put down who holds the run from now on."""
    leases = schema.run_leases
    values = {"epoch": epoch, "host": host, "pid": pid, "expires_us": expires_us}
    if connection.execute(update(leases).where(leases.c.run == run).values(**values)).rowcount == 0:
        connection.execute(insert(leases), {"run": run, **values})


def extend_lease(connection: Connection, run: int, epoch: int, expires_us: int) -> bool:
    """Move the end of the lease of `epoch`; False if another process holds the run."""
    leases = schema.run_leases
    mine = leases.c.run == run, leases.c.epoch == epoch
    return connection.execute(update(leases).where(*mine).values(expires_us=expires_us)).rowcount == 1


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has that number; a number that is none counts as alive."""
    if pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def is_held(lease: "Row[Any]", now_us: int, here: str, alive: Callable[[int], bool] = is_alive) -> bool:
    """Whether somebody is believed to work on the run; `here`: the name of this host, "" if it is not known."""
    gone = bool(here) and lease.host == here and not alive(lease.pid)
    return bool(lease.expires_us > now_us and not gone)


def holder(lease: "Row[tuple[object, ...]]") -> str:
    """Who holds a lease, for people."""
    return f"process {lease.pid} on {lease.host or 'this host'}"
