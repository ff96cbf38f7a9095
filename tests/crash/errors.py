"""What a system may answer to a call, and what a run that is told so has to say and do."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.shim import NAMES, SYNCS, WRITES, Call, Fault
from tests.crash.sweep import Case, Sweep, Verdict

EVERYTHING = f"{WRITES},{SYNCS},{NAMES},ftruncate"


@dataclass(frozen=True, slots=True)
class Trouble:
    """An errno with the kinds of calls that may answer with it."""

    errno: int
    kinds: str
    mode: str = "fail"
    passes: bool = False
    """It is tried only once at a time: for good it would be the rows that fail, as they should."""

    def __str__(self) -> str:
        return f"{self.mode} {errno.errorcode[self.errno]}"


TROUBLES = (
    Trouble(errno.ENOSPC, f"{WRITES},fsync,fdatasync,open-create,mkdir,link,rename"),
    Trouble(errno.EIO, EVERYTHING),
    Trouble(errno.EROFS, f"{NAMES},{WRITES},ftruncate"),
    Trouble(errno.EFBIG, f"{WRITES},ftruncate"),
    Trouble(errno.EMFILE, "open,open-create,open-truncate"),
    Trouble(errno.EPIPE, "send", passes=True),
    Trouble(errno.ECONNRESET, "send,recv,connect", passes=True),
    Trouble(errno.EIO, f"{WRITES},{SYNCS},rename", "fail-after"),
    Trouble(errno.ENOSPC, WRITES, "short"),
)
"""`fail-after`: it was done, and the answer is an error all the same; `short`: half of it was done."""

DOCUMENTED = (0, 1, 3, 6, 8)
"""Exit codes of a run under an error: done all the same (also with dead letters), refused before it began, stopped."""


def calls_of(calls: Sequence[Call], trouble: Trouble) -> list[Call]:
    """The calls that may answer so, numbered among themselves."""
    kinds = trouble.kinds.split(",")
    return [call for call in calls if call.kind in kinds]


def suffer(sweep: Sweep, trouble: Trouble, at: int, persists: bool) -> Verdict:
    """A run in which the call number `at` of its kinds fails; then, with the cause gone, the resume."""
    fault = Fault(trouble.mode, at, trouble.errno, persists, trouble.kinds)
    sweep.world.begin()
    end = sweep.run(fault, sweep.log)
    verdict = Verdict(Case(sweep.world.pipeline.name, [fault]), ends=[end])
    if end.hung or end.code not in DOCUMENTED:
        verdict.wrong.append(f"{trouble}: {'a hang' if end.hung else f'exit code {end.code}'}")
    if "Traceback" in end.stderr:
        verdict.wrong.append(f"{trouble}: a traceback")
    if end.code not in (0, 1) and not names_place(end.stderr, sweep):
        verdict.wrong.append(f"{trouble}: the message does not say where")
    return sweep.go_on(verdict)


def names_place(said: str, sweep: Sweep) -> bool:
    """Whether a message names a file of the run, or the node that failed."""
    pipeline = sweep.world.pipeline
    files = [Path(name).name for name in (*pipeline.outputs, *pipeline.databases, *pipeline.at_least_once)]
    return any(place in said for place in ("audit.db", "in.csv", "receipt", *files, "sink '"))
