"""Every error that frame raises, by what the caller can do about it.

    FrameError
    ├── ConfigError          fix the pipeline file (carries every problem found, not the first one)
    ├── UsageError           ask differently: no such run, no such row, an option that does not go
    ├── PluginError          install, upgrade or repair a plugin package
    │   ├── PluginNotFound
    │   ├── PluginBroken
    │   ├── PluginConflict
    │   ├── PackageConflict
    │   └── UnusablePlugins  (and a ConfigError: each problem has its place in the pipeline file)
    ├── RowError             this row fails, the run goes on
    │   ├── MissingField
    │   ├── WrongType
    │   ├── NotCanonical
    │   ├── FieldConflict
    │   └── ExpressionError
    ├── RetryableError       try again
    ├── SourceError          the source cannot be read on; the run stops, resumable
    ├── SinkError            a sink failed as a whole; the run stops, resumable
    ├── AuditError           stop: the record cannot be written or trusted
    │   ├── AuditDenied      the database does not let this role do that: use another, or have it granted
    │   └── DamagedRecord    what is on record makes no sense: verify it, restore it
    ├── ExportError          make room, or name another place: an export cannot be written
    ├── OutOfResources       the machine has no more threads, files or memory; the run stops, resumable
    ├── Refused              what was asked for is not safe or not allowed now
    │   └── ReplayDiffers
    ├── TryAgainLater        another process holds what is needed
    └── FrameBug             a fault in frame itself: please report it

Facts go in as arguments, the text is built by the class, and the same arguments go to `Exception`, so that
an error can be pickled and survives a process boundary.
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass


class FrameError(Exception):
    """Anything that frame raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a pipeline file.

    `line` and `column` count from 1; 0 means that the place is not known (a pipeline built in code).
    `field` is the path inside the file, as in `nodes[2].retry.attempts`.
    """

    message: str
    remedy: str = ""
    field: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        head = ": ".join(part for part in (place, self.field, self.message) if part)
        return f"{head}\n    {self.remedy}" if self.remedy else head


class ConfigError(FrameError):
    """The pipeline file is not valid; nothing was opened or touched. `problems` lists all that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class UsageError(FrameError):
    """What was asked for does not exist or does not make sense."""


class PluginError(FrameError):
    """A plugin package has to be installed, upgraded or repaired."""


class PluginNotFound(PluginError):
    """No installed package offers a plugin of this kind and name. `other_kinds`: kinds that do have the name."""

    def __init__(
        self,
        kind: str,
        name: str,
        near: Sequence[str] = (),
        broken: Sequence[str] = (),
        other_kinds: Sequence[str] = (),
    ) -> None:
        super().__init__(kind, name, near, broken, other_kinds)
        self.kind, self.name, self.near, self.broken = kind, name, tuple(near), tuple(broken)
        self.other_kinds = tuple(other_kinds)

    def __str__(self) -> str:
        text = f"no {self.kind} plugin is called {self.name!r}"
        if self.other_kinds:
            text = f"there is a {' and a '.join(self.other_kinds)} called {self.name!r}, no {self.kind}"
        if self.near:
            text += f"; did you mean {' or '.join(self.near)}?"
        if self.broken:
            text += f" These packages could not be loaded and may offer it: {', '.join(self.broken)}"
        return f"{text} (`frame plugins list` shows what is installed)"


class PluginBroken(PluginError):
    """A plugin package is installed and cannot be used."""

    def __init__(self, package: str, distribution: str, version: str, cause: str) -> None:
        super().__init__(package, distribution, version, cause)
        self.package, self.distribution, self.version, self.cause = package, distribution, version, cause

    def __str__(self) -> str:
        return (
            f"plugin package {self.package!r} ({self.distribution} {self.version}) cannot be loaded: {self.cause} "
            "(`frame plugins doctor` says more)"
        )


class PluginConflict(PluginError):
    """Two packages offer plugins of one kind under one name, and the short name was asked for."""

    def __init__(self, kind: str, name: str, qualified: Sequence[str]) -> None:
        super().__init__(kind, name, qualified)
        self.kind, self.name, self.qualified = kind, name, tuple(qualified)

    def __str__(self) -> str:
        return (
            f"{len(self.qualified)} packages offer a {self.kind} called {self.name!r}: "
            f"write {' or '.join(self.qualified)}"
        )


class PackageConflict(PluginError):
    """Several distributions announce a plugin package under one name, so neither can be trusted to be the one meant."""

    def __init__(self, package: str, distributions: Sequence[str]) -> None:
        super().__init__(package, distributions)
        self.package, self.distributions = package, tuple(distributions)

    def __str__(self) -> str:
        return (
            f"plugin package {self.package!r} is announced by {' and by '.join(self.distributions)}: "
            "uninstall all but the one that you want"
        )


class NotLocked(PluginError):
    """A plugin package is not the one that the lock of the pipeline allows."""

    def __init__(self, lock: str, found: str, wanted: str) -> None:
        super().__init__(lock, found, wanted)
        self.lock, self.found, self.wanted = lock, found, wanted

    def __str__(self) -> str:
        return (
            f"{self.lock} allows {self.wanted}, and installed is {self.found}; install what it allows, or accept "
            "what is installed with `frame plugins lock PIPELINE`"
        )


class PluginFailed(PluginError):
    """A plugin could not be started or finished."""

    def __init__(self, node: str, plugin: str, step: str, why: str) -> None:
        super().__init__(node, plugin, step, why)
        self.node, self.plugin, self.step, self.why = node, plugin, step, why

    def __str__(self) -> str:
        return f"node {self.node!r}: plugin {self.plugin!r} failed in {self.step}: {self.why}"


class UnusablePlugins(ConfigError, PluginError):
    """A pipeline is well-formed, and plugins that it names have to be installed, repaired or chosen anew."""


class RowError(FrameError):
    """This row fails; the run goes on."""


class MissingField(RowError):
    """A row lacks a field that the next node needs."""

    def __init__(self, field: str, node: str) -> None:
        super().__init__(field, node)
        self.field, self.node = field, node

    def __str__(self) -> str:
        return f"no field {self.field!r}, which node {self.node!r} needs"


class WrongType(RowError):
    """A field holds another type than the one it is declared to have."""

    def __init__(self, field: str, expected: str, actual: str) -> None:
        super().__init__(field, expected, actual)
        self.field, self.expected, self.actual = field, expected, actual

    def __str__(self) -> str:
        return f"field {self.field!r} should be {self.expected} and is {self.actual}"


class NotCanonical(RowError):
    """A value has no canonical form (docs/reference/canonical-form.md), so it can be neither hashed nor recorded."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"{self.path or 'the row'} {self.why}"


class FieldConflict(RowError):
    """Two branches give one field different values, and the coalesce is told to fail then."""

    def __init__(self, field: str, first: str, second: str) -> None:
        super().__init__(field, first, second)
        self.field, self.first, self.second = field, first, second

    def __str__(self) -> str:
        return f"branches {self.first!r} and {self.second!r} differ in field {self.field!r}"


class ExpressionError(RowError):
    """An expression could not be evaluated on this row."""

    def __init__(self, expression: str, why: str) -> None:
        super().__init__(expression, why)
        self.expression, self.why = expression, why

    def __str__(self) -> str:
        return f"expression {self.expression!r}: {self.why}"


class RetryableError(FrameError):
    """Raised by a plugin: the attempt failed, and another one may succeed."""


class SourceError(FrameError):
    """The source cannot be read any further. What was read before is kept, and the run can be resumed."""

    def __init__(self, node: str, why: str) -> None:
        super().__init__(node, why)
        self.node, self.why = node, why

    def __str__(self) -> str:
        return f"source {self.node!r}: {self.why}"


class SinkError(FrameError):
    """A sink failed as a whole. Nothing is lost: what it should have written is in the record."""

    def __init__(self, node: str, why: str) -> None:
        super().__init__(node, why)
        self.node, self.why = node, why

    def __str__(self) -> str:
        return f"sink {self.node!r}: {self.why}"


class AuditError(FrameError):
    """The record cannot be written, read or trusted; the run stops."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where, self.why = where, why

    def __str__(self) -> str:
        return f"audit store {self.where}: {self.why}"


class AuditDenied(AuditError):
    """The database does not let this role do with the record what was asked for."""


class ExportError(FrameError):
    """An export cannot be written; nothing of it is left, and the record is as it was."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where, self.why = where, why

    def __str__(self) -> str:
        return f"{self.where} cannot be written: {self.why}. Nothing of it was left behind"


class OutOfResources(FrameError):
    """The machine, or a limit on this process, gives no more of something. What was committed is safe."""


class DamagedRecord(AuditError):
    """Something on record cannot have been written by frame."""

    def __str__(self) -> str:
        return f"the record is damaged, or was changed: {self.where} {self.why} (`frame verify` says more)"


_SCARCITY = frozenset(
    getattr(errno, name)
    for name in ("EDQUOT", "EFBIG", "EIO", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EROFS")
    if hasattr(errno, name)
)


def is_scarcity(error: BaseException) -> bool:
    """Whether `error` says that the machine, or a limit, gives no more, so that the same may go well later.

    >>> is_scarcity(OSError(errno.ENOSPC, "No space left on device")), is_scarcity(FileNotFoundError())
    (True, False)
    """
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SCARCITY)


class Refused(FrameError):
    """What was asked for is not safe, not allowed, or no longer possible."""


class ReplayDiffers(Refused):
    """A node makes something else of a row now than it did when the run took place.

    `recorded`, `made`: the digests of both rows, or what came out in words.
    """

    def __init__(self, node: str, token: int, recorded: str, made: str) -> None:
        super().__init__(node, token, recorded, made)
        self.node, self.token, self.recorded, self.made = node, token, recorded, made

    def __str__(self) -> str:
        return (
            f"node {self.node!r} made {self.recorded} of token {self.token}, as the record has it, and makes "
            f"{self.made} of it now: its plugin, or what it reads, is not what it was (`frame replay` lists all of it)"
        )


class TryAgainLater(FrameError):
    """Another process holds what is needed."""


class UndeclaredEffect(FrameError):
    """A plugin asks its context for what its capabilities say it does not use."""

    def __init__(self, node: str, asked: str, effects: Sequence[str]) -> None:
        super().__init__(node, asked, effects)
        self.node, self.asked, self.effects = node, asked, tuple(effects)

    def __str__(self) -> str:
        declared = " and ".join(f"effects.{effect} = False" for effect in self.effects)
        return f"node {self.node!r} asks for {self.asked}, and its plugin declares {declared}"


class FrameBug(FrameError):
    """frame met a state that it should never be in."""

    def __str__(self) -> str:
        return f"{super().__str__()} (this is a fault in frame; please report it with the output of --debug)"
