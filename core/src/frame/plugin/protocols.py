"""The five kinds of plugin, as their authors see them.

Lifecycle of every kind, kept whatever happens:

    __init__(config)   no I/O; raise ValueError when options do not go together
    check()            look, and only look, whether a new run could begin; on an instance that may not be used again
    start(context)     open what the work needs
    ...work...
    finish(context)    the run has come to its end; not called when the run failed or was stopped
    close()            always called, at least once, possibly without start(); must be idempotent

One instance serves one node of one run. Unless `concurrency` is configured, calls never overlap.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from frame.plugin.capabilities import Capabilities
from frame.plugin.context import Context
from frame.plugin.results import Artifact, GateResult, InvalidRow, Rejected, TransformResult
from frame.plugin.schema import Schema
from frame.rows import Row

PLUGIN_API = 1


class Kind(StrEnum):
    """What a plugin is for."""

    SOURCE = "source"
    TRANSFORM = "transform"
    GATE = "gate"
    AGGREGATION = "aggregation"
    SINK = "sink"


class Determinism(StrEnum):
    """What a second call with the same input gives, and so what has to be recorded to defend the first one."""

    DETERMINISTIC = "deterministic"
    SEEDED = "seeded"
    IO_READ = "io_read"
    IO_WRITE = "io_write"
    EXTERNAL_CALL = "external_call"
    NON_DETERMINISTIC = "non_deterministic"


RECOMPUTABLE = frozenset({Determinism.DETERMINISTIC, Determinism.SEEDED, Determinism.IO_READ})
"""Outputs of these can be made again from their input, so the record keeps only their hash."""


class Delivery(StrEnum):
    """What a sink does with a write that it may have seen before; all but the last are exactly-once."""

    TRANSACTIONAL = "transactional"
    IDEMPOTENT = "idempotent"
    FILE = "file"
    AT_LEAST_ONCE = "at_least_once"


class PluginConfig(BaseModel):
    """Base of every plugin's `Config`: immutable, and an unknown option is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=False)


class Plugin:
    """What all kinds share. Subclass one of the five kinds, not this."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    determinism: ClassVar[Determinism]
    capabilities: ClassVar[Capabilities | None] = None
    """What it does besides its work; None: it does not say, and cannot be certified."""
    api: ClassVar[int] = PLUGIN_API
    Config: ClassVar[type[PluginConfig]] = PluginConfig

    config: Any

    def __init__(self, config: PluginConfig) -> None:
        self.config = config

    def requires(self) -> Schema:
        """The fields that every incoming row must have; checked when the pipeline is built."""
        return Schema()

    def check(self) -> None:
        """Look whether a new run could begin: whether the input is there, the output may be written.

        Called before anything is opened, made or recorded, and must change nothing itself. Raise ConfigError or
        ValueError, saying what has to be put right.
        """

    def start(self, context: Context) -> None:
        """Open what the work needs. Called once, before any row."""

    def finish(self, context: Context) -> Any:
        """The run has come to its end."""

    def close(self) -> None:
        """Let go of everything. Idempotent."""


class Source(Plugin):
    """Where rows come from."""

    kind = Kind.SOURCE

    text_values: ClassVar[bool] = False
    """Every value is text (as in CSV), so the schema reads "17" as an int; otherwise "17" is not an int."""

    def provides(self) -> Schema:
        """What is known of the rows without reading any."""
        return Schema()

    def may_wait(self) -> bool:
        """Whether `read` may block for somebody else (a network, a person, a pipe).

        A source that answers False is read without a thread of its own.
        """
        return True

    def read(self) -> Iterator[Mapping[str, Any] | InvalidRow]:
        """Rows in a fixed order, from where `seek` went or from the beginning.

        Raise SourceError or OSError when the source cannot be read any further.
        """
        raise NotImplementedError

    def position(self) -> Any:
        """Where the source stands: after the row that `read` gave last. JSON values; None if it can't tell."""
        return None

    def seek(self, position: Any) -> None:
        """Go on reading after `position`. Called before `read`, with what `position` gave in an earlier process."""
        raise NotImplementedError(f"{self.name} cannot seek")

    def evidence(self) -> Mapping[str, Any]:
        """What was read, for the record: JSON values such as URI, size and SHA-256. Asked at the end of the run."""
        return {}


class Transform(Plugin):
    """One row in, one result out."""

    kind = Kind.TRANSFORM

    expands: ClassVar[bool] = False
    """Whether `process` may return `Expand`; one that does without saying so here fails the row."""

    def provides(self, incoming: Schema) -> Schema:
        """What is known of the rows that leave, given what is known of those that come."""
        return Schema()

    def process(self, row: Row, context: Context) -> TransformResult:
        """The result for `row`. May be `async def`; see also `process_many`."""
        raise NotImplementedError

    # A vectorised transform defines, instead of process:
    #   def process_many(self, rows: Sequence[Row], context: Context) -> Sequence[TransformResult]
    # One result a row, in the order of the rows. If it raises, frame calls it again row by row to find the
    # rows at fault.


class Gate(Plugin):
    """One row in, one label out; what a label leads to is the pipeline's business."""

    kind = Kind.GATE

    def labels(self) -> frozenset[str] | None:
        """Every label that `evaluate` can return, or None if that depends on the data."""
        return None

    def evaluate(self, row: Row, context: Context) -> GateResult:
        """The label for `row`; True and False stand for "true" and "false"."""
        raise NotImplementedError


class Aggregation(Plugin):
    """Many rows in, some rows out, a batch at a time.

    The engine owns the batch. After a crash it accepts the members again, in the same order.
    """

    kind = Kind.AGGREGATION

    def provides(self, incoming: Schema) -> Schema:
        """What is known of the rows that `flush` returns."""
        return Schema()

    def accept(self, row: Row) -> None:
        """Take one more member into the open batch. A row that raises here fails alone and is no member."""
        raise NotImplementedError

    def flush(self) -> Sequence[Mapping[str, Any]]:
        """The outputs of the open batch; the next `accept` begins a new one.

        If it raises it may be called again, and must then still know all members. In `passthrough` mode
        there must be as many rows as members, in their order.
        """
        raise NotImplementedError


class Sink(Plugin):
    """Where rows go."""

    kind = Kind.SINK

    delivery: ClassVar[Delivery] = Delivery.AT_LEAST_ONCE

    def open(self, position: Any) -> None:
        """Get ready to write after `position`, taking back whatever was written behind it; None: from the beginning."""

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        """Write `rows`, in order, and return those that cannot be taken (the others are written).

        `key` names this write for ever: a repeat after a crash comes with the same key and the same rows.
        Raise anything to fail as a whole; then nothing of `rows` may stay behind.
        """
        raise NotImplementedError

    def position(self) -> Any:
        """Make everything written so far durable, and say where the sink stands. JSON values or None."""
        return None

    def finish(self, context: Context) -> Artifact | None:
        """Publish what was written."""
        return None


def kind_of(plugin: type[Plugin]) -> Kind:
    """The kind of a plugin class. Raises TypeError for the abstract base itself."""
    kind = getattr(plugin, "kind", None)
    if not isinstance(kind, Kind):
        raise TypeError(f"{plugin.__qualname__} is none of the five kinds of plugin")
    return kind
