"""Sinks: what is to be written is announced first, then written, made durable and confirmed."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_attempt, stop_any, stop_when_event_set

from frame.canonical import canonical, canonical_rows
from frame.engine.calls import TimedOut
from frame.engine.delays import delay_s
from frame.engine.failures import Raised
from frame.engine.inflight import InFlight
from frame.engine.nodes import PluginNode, Surroundings
from frame.errors import ConfigError, NotCanonical, SinkError
from frame.events import ArtifactMade, Path, SinkConfirmed, SinkIntended
from frame.failpoints import reached
from frame.graph.model import Graph, SinkNode
from frame.plugin.protocols import Delivery
from frame.plugin.results import Artifact, Rejected
from frame.rows import Row, freeze
from frame.scheduler.work import Write

BY_ERROR = frozenset({Path.ERROR_ROUTED, Path.INVALID_AT_SOURCE, Path.SINK_REJECTED})
"""Rows that come by these ways carry their error in the sink's error field."""


class SinkExecutor:
    """Prepares and delivers the writes of one sink. `originals`: names in frame -> in the source."""

    def __init__(
        self,
        node: SinkNode,
        plugin: PluginNode,
        graph: Graph,
        around: Surroundings,
        inflight: InFlight,
        originals: Callable[[], Mapping[str, str]],
    ) -> None:
        self._node, self._plugin, self._graph = node, plugin, graph
        self._around, self._inflight, self._originals = around, inflight, originals

    @property
    def number(self) -> int:
        return self._node.number

    @property
    def delivery(self) -> Delivery:
        """What the sink does with a write that it may have seen before."""
        delivery: Delivery = self._plugin.plugin.delivery
        return delivery

    def open(self, position: Any = None) -> None:
        """Get the sink ready to write after `position`; None: its first write."""
        self._plugin.step("open", lambda: self._plugin.plugin.open(position))
        if position is None:
            self._note_opened()

    def _note_opened(self) -> None:
        """Say where the sink stands: a run that stops before its first write goes on from there."""
        position = self._plugin.outcome(_standing)
        if isinstance(position, Raised):
            raise self._failed(position.error) from self._around.facts.redactor.cause(position.error)
        if position is not None:
            self._around.note("sink_opened", self._node.number, position=position)

    def prepare(self, write: Write) -> tuple[list[Row], list[bytes], bytes]:
        """The rows to write, their canonical forms, and the SHA-256 of these, each with a line feed."""
        rows = self._inflight.rows_of(write.tokens)
        forms = self._inflight.forms_of(write.tokens)
        if self._changes_rows(write):
            rows = self._changed(write, rows)
            forms = canonical_rows(rows)
        content = hashlib.sha256(b"\n".join(forms) + b"\n").digest()
        return rows, forms, content

    def _changes_rows(self, write: Write) -> bool:
        by_error = self._node.error_field is not None and any(path in BY_ERROR for path, _ in write.paths)
        return by_error or (self._node.headers_original and bool(self._originals()))

    def _changed(self, write: Write, rows: Sequence[Row]) -> list[Row]:
        paths = [path for path, count in write.paths for _ in range(count)]
        return [
            freeze(self._with_names({**row, **self._error(token, path)}))
            for token, path, row in zip(write.tokens, paths, rows, strict=True)
        ]

    def _error(self, token: int, path: Path) -> dict[str, Any]:
        known = self._inflight.errors.get(token)
        if self._node.error_field is None or path not in BY_ERROR or known is None:
            return {}
        node, error = known
        facts = {
            "node": self._graph.nodes[node].name,
            "type": error.type,
            "message": error.message,
            "attempts": error.attempts,
        }
        return {self._node.error_field: facts}

    def _with_names(self, row: dict[str, Any]) -> dict[str, Any]:
        if not self._node.headers_original:
            return row
        originals = self._originals()
        return {originals.get(name, name): value for name, value in row.items()}

    def deliver(self, intent: SinkIntended, rows: Sequence[Row]) -> SinkConfirmed:
        """Write, make durable, and say so. Raises SinkError when the sink fails as a whole."""
        started_us = self._around.clock.time_us()
        retry = self._node.policy.retry
        retrying = Retrying(
            stop=stop_any(stop_after_attempt(retry.attempts), stop_when_event_set(self._around.stop)),
            wait=lambda state: delay_s(retry, state.attempt_number),
            retry=retry_if_result(_may_be_repeated),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
            sleep=self._sleep,
        )
        outcome = retrying(self._plugin.outcome, lambda plugin: _write(plugin, rows, intent.key))
        if isinstance(outcome, Raised):
            raise self._failed(outcome.error) from self._around.facts.redactor.cause(outcome.error)
        rejected, position = outcome
        try:
            _check(rejected, len(rows))
            canonical(position)
        except (ValueError, NotCanonical) as error:
            raise self._failed(error) from error
        duration_us = self._around.clock.time_us() - started_us
        refused = tuple(self._refused(intent, rejection) for rejection in rejected)
        return SinkConfirmed(intent.node, intent.intent, position, started_us, duration_us, refused)

    def _sleep(self, seconds: float) -> None:
        self._around.clock.wait(self._around.stop, seconds)

    def _refused(self, intent: SinkIntended, rejection: Rejected) -> tuple[int, str, int | None]:
        token = intent.tokens[rejection.index]
        reason = self._around.facts.redactor.text(str(rejection.reason))
        # A row that was refused once goes no further: one step, no chains.
        paths = [path for path, count in intent.paths for _ in range(count)]
        again = paths[rejection.index] is Path.SINK_REJECTED
        return token, reason, None if again else self._node.on_error

    def _failed(self, error: BaseException) -> SinkError:
        redactor = self._around.facts.redactor
        if isinstance(error, SinkError):
            return SinkError(error.node, redactor.text(error.why))
        return SinkError(self._node.name, redactor.told(error))

    def publish(self) -> ArtifactMade | None:
        """Let the sink bring out what it has made."""
        reached("before_publish")
        artifact: Artifact | None = self._plugin.finish()
        reached("after_publish")
        if artifact is None:
            return None
        uri = self._around.facts.redactor.text(artifact.uri)
        return ArtifactMade(self._node.number, uri, artifact.size_bytes, artifact.sha256, artifact.rows)


def _check(rejected: Sequence[Any], count: int) -> None:
    """Raises ValueError unless each of `rejected` names one of `count` rows, and no row is named twice."""
    indexes = [rejection.index for rejection in rejected if isinstance(rejection, Rejected)]
    if len(indexes) != len(rejected) or len(set(indexes)) != len(indexes):
        raise ValueError("write() may return Rejected, one for each row that it refuses, and nothing else")
    wrong = [index for index in indexes if type(index) is not int or not 0 <= index < count]
    if wrong:
        raise ValueError(f"write() refused row {wrong[0]!r} of {count} (they count from 0)")


def _may_be_repeated(outcome: object) -> bool:
    """Whether a write failed in a way that another attempt may mend; one that hangs still holds the sink."""
    lasting = SinkError | ConfigError | TimedOut
    return isinstance(outcome, Raised) and not isinstance(outcome.error, lasting)


def _write(plugin: Any, rows: Sequence[Row], key: str) -> tuple[Sequence[Rejected], Any]:
    reached("before_sink_write")
    rejected = tuple(plugin.write(rows, key) or ())
    reached("after_sink_write")
    position = plugin.position()
    reached("after_sink_sync")
    return rejected, position


def _standing(plugin: Any) -> Any:
    """Where the sink stands, if that is something that can be put on record."""
    position = plugin.position()
    canonical(position)
    return position
