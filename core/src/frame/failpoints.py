"""Named places at which a test can have this process fail.

`FRAME_FAILPOINT=name:3=kill` kills the process when it reaches `name` for the third time; `:3` may be left out, and
several, with commas between them, may be given. Actions: `kill` (as `kill -9` does), `raise` (an OSError, as from a
broken device) and `stop` (as SIGSTOP does, until SIGCONT). Without the variable a place costs one look at a global.
"""

import errno
import os
import re
import signal
import threading
from collections import Counter
from dataclasses import dataclass, field

VARIABLE = "FRAME_FAILPOINT"

_ONE = re.compile(r"(?P<name>[a-z_]+)(:(?P<time>[1-9][0-9]*))?=(?P<action>kill|raise|stop)")


@dataclass(slots=True)
class _Plan:
    """`actions`: name and how often it has to be reached -> what happens then."""

    actions: dict[tuple[str, int], str]
    reached: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reach(self, name: str) -> None:
        with self.lock:
            self.reached[name] += 1
            action = self.actions.get((name, self.reached[name]))
        match action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":  # sent to this thread, which then goes no further; sent to the process it might
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            case "raise":
                raise OSError(errno.EIO, f"failpoint {name}")


_plan: _Plan | None = None


def arm(plan: str) -> None:
    """Fail as `plan` says, which is written like the variable; "" for not at all. Raises ValueError."""
    global _plan  # noqa: PLW0603 - one a process, like the environment that it comes from
    if not plan:
        _plan = None
        return
    actions = {}
    for one in plan.split(","):
        found = _ONE.fullmatch(one)
        if found is None:
            raise ValueError(f"{VARIABLE}: {one!r} is not of the form NAME:TIMES=kill, raise or stop")
        actions[found["name"], int(found["time"] or 1)] = found["action"]
    _plan = _Plan(actions)


def reached(name: str) -> None:
    """The process is at the place `name`."""
    if _plan is not None:
        _plan.reach(name)


arm(os.environ.get(VARIABLE, ""))
